"""How many replicas: what is needed, what may be kept, what is allowed."""

import math
from dataclasses import dataclass

from tokenpace.api.reasons import DecisionReason
from tokenpace.api.scaling import Mode
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant
from tokenpace.planning.estimate import Believed, Estimate, required_capacity
from tokenpace.planning.fleet import Choice, Limits, Rung, best_fleet
from tokenpace.planning.imbalance import IMBALANCE_SECONDS
from tokenpace.planning.leadtime import is_overdue
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Pod
from tokenpace.planning.sight import Sight
from tokenpace.planning.stability import Descent, demand_to_keep, descended, settled

SAFE_FLEET_AFTER_SECONDS = 120.0
"""Without metrics the fleet is held this long, which a restart of Prometheus does not exceed. Then it becomes the safe
fleet: the largest that the last stabilization window seen had needed, bounded, and never a smaller one than now."""

EVERYTHING = 1e15
"""Tokens per second beyond any fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Replicas of the variant that serves, and what led to them."""

    replicas: int
    reason: DecisionReason
    current: int
    needed: int
    """Replicas to have at least, as far as the bounds allow: more than there are only if that is certain."""
    likely: int | None
    """Replicas that are enough for the demand as it looks now, likewise; None where that is not known."""
    required_tokens_per_second: float
    """What they have to be able to serve: demand as far as it is promised, ready and burst capacity."""
    enough: bool
    """Whether the bounds allow what is needed."""
    most_tokens_per_second: float
    """What the largest allowed fleet can serve; 0 while capacity is not known."""
    overdue: tuple[Pod, ...] = ()
    """Pods that should serve by now and do not."""
    descent: Descent | None = None


@dataclass(frozen=True, slots=True)
class Fleets:
    """The best fleets within the bounds, by what they have to serve."""

    spec: LLMDeploymentSpec
    estimate: Estimate
    variant: Variant

    @property
    def believed(self) -> Believed:
        """What is believed of the variant."""
        return self.estimate.variants[self.variant.name]

    def best(self, tokens_per_second: float) -> Choice:
        """Return the best fleet that can serve so much."""
        scaling = self.spec.scaling
        limits = Limits(
            # Only pods are measured: without any, nobody would notice the first request.
            least=max(scaling.min_replicas, 1),
            most=scaling.max_replicas,
            hourly_cost=None if scaling.max_hourly_cost is None else float(scaling.max_hourly_cost),
        )
        rung = Rung(
            name=self.variant.name,
            quality=float(self.variant.quality),
            hourly_cost=float(self.variant.hourly_cost or 0),
            capacity=self.believed.tokens_per_second,
            least=self.variant.min_replicas,
            most=self.variant.max_replicas,
        )
        return best_fleet(tokens_per_second, (rung,), limits, scaling.preference)

    def replicas(self, tokens_per_second: float) -> int:
        """Return the replicas of the best fleet that can serve so much."""
        return self.best(tokens_per_second).replicas[self.variant.name]


def decide(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, estimate: Estimate, variant: Variant) -> Decision:
    """Return how many replicas of ``variant`` to have.

    With mode Manual that is what the spec says. Else it is what is needed, at once, or the present fleet if that is
    larger and may not shrink yet; always within the bounds, of which the upper ones win.
    """
    fleets = Fleets(spec, estimate, variant)
    current = sight.observation.replicas.get(variant.name, 0)
    least, most = fleets.replicas(0.0), fleets.best(EVERYTHING)
    required = required_capacity(spec.slo, estimate.shape, _needed_demand(spec, sight, memory, estimate))
    likely = _likely(fleets)
    needed, enough = _needed(fleets, sight, required, likely)
    overdue = _overdue(sight, estimate, variant)
    # A pod that hangs is replaced. One that cannot start for a reason would only be joined by another.
    hanging = sum(pod.trouble is None for pod in overdue)
    unhelped = is_unbalanced(memory, sight.now) and needed > current
    up = current if unhelped else needed + hanging
    down = _kept(fleets, sight, memory) + hanging
    wanted, descent = descended(current, settled(current, up, down), memory.descent, sight.now)
    replicas = min(max(wanted, least), most.replicas[variant.name])
    manual = spec.scaling.mode is Mode.MANUAL
    return Decision(
        replicas=spec.replicas if manual else replicas,
        reason=_first(
            (manual, DecisionReason.MANUAL),
            (sight.blind and _needs_safe_fleet(memory, sight.now), DecisionReason.METRICS_MISSING_SAFE_FLEET),
            (sight.blind, DecisionReason.METRICS_MISSING),
            (not sight.serving, DecisionReason.STARTING),
            (not least <= current <= most.replicas[variant.name], DecisionReason.BOUNDS_CHANGED),
            (unhelped, DecisionReason.TRAFFIC_UNBALANCED),
            (replicas > current and estimate.saturated, DecisionReason.SATURATED),
            (replicas > current, DecisionReason.DEMAND_ABOVE_CAPACITY),
            (replicas < current, DecisionReason.DEMAND_BELOW_CAPACITY),
            (estimate.variants[variant.name].feasible is False, DecisionReason.INFEASIBLE),
            (not enough, DecisionReason.LIMITED),
            (likely is not None and likely < current, DecisionReason.STABILIZING),
            (True, DecisionReason.AT_TARGET),
        ),
        current=current,
        needed=needed,
        likely=likely,
        required_tokens_per_second=required,
        enough=enough,
        most_tokens_per_second=most.tokens_per_second,
        overdue=overdue,
        descent=descent,
    )


def is_unbalanced(memory: Memory, now: float) -> bool:
    """Tell whether requests have been missing some pods for so long that more pods would not be found either."""
    since = memory.unbalanced_since_seconds
    return since is not None and now - since >= IMBALANCE_SECONDS


def _first(*reasons: tuple[bool, DecisionReason]) -> DecisionReason:
    return next(reason for holds, reason in reasons if holds)


def _needs_safe_fleet(memory: Memory, now: float) -> bool:
    since = memory.blind_since_seconds
    return since is not None and now - since >= SAFE_FLEET_AFTER_SECONDS


def _needed_demand(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, estimate: Estimate) -> float:
    """Return the demand to be enough for: what is certain now, or of the safe fleet while nothing is seen."""
    if not sight.blind:
        return estimate.needed_tokens_per_second
    if not memory.history or not _needs_safe_fleet(memory, sight.now):
        return 0.0
    since_seconds = memory.history[-1].at_seconds - spec.scaling.scale_down.stabilization_window_seconds
    return max(moment.demand_tokens_per_second for moment in memory.history if moment.at_seconds >= since_seconds)


def _needed(fleets: Fleets, sight: Sight, required_tokens_per_second: float, likely: int | None) -> tuple[int, bool]:
    """Return the replicas to have at least, and whether the bounds allow what is required.

    If it is certain that more are needed than there are, they are as many as are likely to be. Of a variant of which
    nothing is known, one is added when those that serve are full, and then they are measured. One whose beliefs are not
    proven is believed its own performance first: a fleet that is in time as it is grows only as far as demand has grown
    beyond what it serves.
    """
    name = fleets.variant.name
    serving = sight.serving_of(name)
    if fleets.believed.costs is None:
        return serving + fleets.estimate.saturated, True
    choice = fleets.best(required_tokens_per_second)
    needed = choice.replicas[name]
    if likely is not None and needed > sight.observation.replicas.get(name, 0):
        needed = max(needed, likely)
    if not fleets.believed.proven and serving == len(sight.serving) and _is_in_time(fleets):
        needed = min(needed, math.ceil(serving * _growth_of_demand(fleets.estimate)))
    return needed, choice.enough


def _growth_of_demand(estimate: Estimate) -> float:
    """Return by which factor demand certainly exceeds what is served; 1 if it does not."""
    served = estimate.served_tokens_per_second
    return max(1.0, estimate.rate.low / served) if estimate.rate and served else 1.0


def _is_in_time(fleets: Fleets) -> bool:
    """Tell whether the fleet is seen to keep the promised stream speed, at the load that it has."""
    target, share = fleets.spec.slo.stream, fleets.estimate.fast_share
    return (
        target is not None
        and share is not None
        and 100 * share >= target.percentile
        and not fleets.estimate.waiting_requests
    )


def _kept(fleets: Fleets, sight: Sight, memory: Memory) -> int:
    """Return the replicas that have to stay whatever is needed now: all, until a smaller fleet has proven enough.

    It has to have been enough for a whole stabilization window in which every tick was seen.
    """
    name, estimate = fleets.variant.name, fleets.estimate
    current = sight.observation.replicas.get(name, 0)
    since_seconds = sight.now - fleets.spec.scaling.scale_down.stabilization_window_seconds
    watched_since = memory.watching_since_seconds
    if estimate.rate is None or sight.unknown or estimate.saturated:
        return current
    if watched_since is None or watched_since > since_seconds:
        return current
    if fleets.believed.costs is None:
        asked = any(moment.tokens_per_second > 0 for moment in memory.history if moment.at_seconds >= since_seconds)
        return current if asked else 0
    keep = demand_to_keep(estimate.rate, memory.history, since_seconds)
    return fleets.replicas(required_capacity(fleets.spec.slo, estimate.shape, keep))


def _overdue(sight: Sight, estimate: Estimate, variant: Variant) -> tuple[Pod, ...]:
    lead_seconds = estimate.variants[variant.name].lead_seconds
    return tuple(
        pod
        for pod in sight.observation.pods
        if pod.variant == variant.name and is_overdue(pod, lead_seconds, sight.now)
    )


def _likely(fleets: Fleets) -> int | None:
    """Return the replicas that are enough for the demand as it looks now; None where that is not known."""
    demand = fleets.estimate.demand_tokens_per_second
    if demand is None or fleets.believed.costs is None:
        return None
    return fleets.replicas(required_capacity(fleets.spec.slo, fleets.estimate.shape, demand))
