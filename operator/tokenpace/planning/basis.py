"""Everything that a decision rests on, in one value."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.estimate import Estimate
from tokenpace.planning.ladder import Ladder
from tokenpace.planning.leadtime import is_overdue, never_ends
from tokenpace.planning.memory import Memory
from tokenpace.planning.need import Need
from tokenpace.planning.observation import Canary, Pod
from tokenpace.planning.queueing import is_queue
from tokenpace.planning.sight import Sight
from tokenpace.planning.stock import Shortage
from tokenpace.planning.transition import Standing

FEWEST_TO_SWAP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What is declared, seen, remembered, believed and needed."""

    spec: LLMDeploymentSpec
    sight: Sight
    memory: Memory
    estimate: Estimate
    need: Need
    ladder: Ladder
    degraded: frozenset[str]
    """The variants below the best one."""
    running: Mapping[str, int]
    """Replicas that are asked for, of every variant that is declared or runs."""

    @property
    def required(self) -> float:
        """Tokens per second that a fleet has to be able to serve, as it looks now."""
        return max(self.need.certain, self.need.likely or 0.0)

    @property
    def stock(self) -> Mapping[str, int]:
        """By variant, the replicas that the cluster has room for, where some of them cannot start."""
        stuck = Counter(
            pod.variant for pod in self.sight.observation.pods if pod.hindrance.recurs and self.is_overdue(pod)
        )
        return {
            name: max(self.running.get(name, 0) - count, self.sight.serving_of(name)) for name, count in stuck.items()
        }

    @property
    def shortages(self) -> Mapping[str, Shortage]:
        """By variant, the shortages that count now: on the way to another variant, or of another than serves.

        Of the only one that serves, a replica that cannot start is asked for all the same: it is what brings a node.
        """
        return {
            name: shortage
            for name, shortage in self.memory.shortages.items()
            if shortage.setback.blocks(self.sight.now) and (name != self.sight.incumbent or self.is_mixed_with(name))
        }

    @property
    def places(self) -> int | None:
        """The pods of all variants that the cluster has room for; None where nothing says that it has none for more.

        In a single place nothing can be swapped: it would be without a replica that serves.
        """
        known = self.memory.places
        if known is None or known.pods is None or known.pods < FEWEST_TO_SWAP or not known.last(self.sight.now):
            return None
        return known.pods

    @property
    def most_that_start(self) -> Mapping[str, int]:
        """By variant, the replicas beyond which none is asked for now, because they would not start.

        Of the only one that serves, and that shall, they are asked for all the same: it is they that find room again.
        """
        most = {name: shortage.replicas for name, shortage in self.shortages.items()}
        if self.places is not None:
            stays = self.sight.incumbent if self.memory.goal in (None, self.sight.incumbent) else None
            bound = (name for name in self.running if name != stays or self.is_mixed_with(name))
            most |= {name: min(most.get(name, self.places), self.places) for name in bound}
        return most

    @property
    def lead_seconds(self) -> Mapping[str, float]:
        """By variant, from asking for a replica to its first token."""
        return {name: believed.lead_seconds for name, believed in self.estimate.variants.items()}

    def is_successor(self, name: str) -> bool:
        """Tell whether this variant has yet to take the place of the one that serves."""
        return name != (self.sight.incumbent or name) and self.is_mixed_with(name)

    def is_mixed_with(self, name: str | None, but: Collection[str] = ()) -> bool:
        """Tell whether others than this variant run, ``but`` for some, beyond what `minReplicas` keeps of them."""
        return any(
            count > self.ladder.kept(one) for one, count in self.running.items() if one != name and one not in but
        )

    def is_overdue(self, pod: Pod) -> bool:
        """Tell whether a pod should serve by now and does not."""
        believed = self.estimate.variants.get(pod.variant)
        return believed is not None and is_overdue(pod, believed.lead_seconds, self.sight.now)

    def is_in_time(self, name: str) -> bool:
        """Tell whether a fleet of this variant alone is seen to keep the promised stream speed, at the load it has."""
        target, share, estimate = self.spec.slo.stream, self.estimate.fast_share, self.estimate
        return (
            target is not None
            and share is not None
            and 100 * share >= target.percentile
            and not is_queue(
                estimate.waiting_requests or 0.0,
                tokens_per_second=estimate.served_tokens_per_second or 0.0,
                request_tokens=estimate.shape.generated_tokens,
                drain=estimate.drain_seconds,
            )
            and self.sight.serving_of(name) == len(self.sight.serving)
        )

    def is_proven(self, name: str) -> bool:
        """Tell whether a replica of a variant has shown that it generates: to a canary, or to clients meanwhile."""
        template_hash = self.sight.observation.template_hashes.get(name)
        return name == self.sight.incumbent or any(
            pod.canary is Canary.PASSED or (pod.canary is Canary.UNTRIED and pod.generates_for_clients)
            for pod in self.sight.serving
            if pod.variant == name and pod.template_hash == template_hash
        )

    def standing(self, name: str) -> Standing:
        """Return where the fleet is on its way to one in which this variant serves."""
        sound = Counter(pod.variant for pod in self.sight.serving if pod.canary is not Canary.FAILED)
        there = Counter(pod.variant for pod in self.sight.observation.pods if not pod.terminating)
        ending = sum(pod.terminating and not never_ends(pod, self.sight.now) for pod in self.sight.observation.pods)
        return Standing(
            running=self.running,
            serving={one: sound[one] for one in self.running},
            leaving=ending + sum(max(0, count - self.running.get(one, 0)) for one, count in there.items()),
            proven=self.is_proven(name),
        )
