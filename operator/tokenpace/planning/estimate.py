"""What is believed at this moment: demand, the capacity of each variant, lead times; each with where it comes from."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenpace.api.scaling import Balancing
from tokenpace.api.slo import SLO
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.status import SpeedSource
from tokenpace.api.variant import Variant
from tokenpace.planning.balance import EXTRAPOLATION, Costs, PodLoad, Shape, Targets, capacity
from tokenpace.planning.demand import GROWTH, Rate, backlog_requests, rate
from tokenpace.planning.leadtime import Starts
from tokenpace.planning.learning import Learned
from tokenpace.planning.memory import Memory
from tokenpace.planning.prior import prior_belief
from tokenpace.planning.queueing import drain_seconds
from tokenpace.planning.sight import Sight
from tokenpace.planning.streams import mean_stream_tokens_per_second

FIRST_SIGHT_SECONDS = 300.0
"""Work that is watched before beliefs are proven. The first windows know one load and guess the rest: where nothing was
declared, or what was declared is wrong, they can ask for many times what is needed."""

SMALLEST_RATIO = 1e-9
"""Prompt tokens per generated token below which prompts limit nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What is believed of one variant."""

    learned: Learned
    shape: Shape
    targets: Targets
    pooled: bool
    """Whether pods share their streams evenly."""
    lead_seconds: float
    declared: bool
    """Whether a speed card or `expected` says something of the speed of generation."""
    carded: bool = False
    """Whether it is a speed card."""
    planned: dict[int, PodLoad | None] = field(default_factory=dict, compare=False, repr=False)
    """By pods that share their streams, what `planned_load` has answered: a plan asks it a dozen times."""

    @property
    def costs(self) -> Costs | None:
        """What the engine spends its seconds on; None while that is not known well enough to plan with."""
        return self.learned.costs if self.declared or self.proven else None

    @property
    def proven(self) -> bool:
        """Whether enough work was watched to trust what was learned beyond the loads that were seen."""
        return self.learned.saturated or self.learned.observed_seconds >= FIRST_SIGHT_SECONDS

    @property
    def source(self) -> SpeedSource:
        """Where the costs come from."""
        if self.learned.observed_seconds > 0 and not self.learned.saturated:
            return SpeedSource.LEARNED
        return SpeedSource.MEASURED if self.learned.saturated or self.carded else SpeedSource.DECLARED

    @property
    def feasible(self) -> bool | None:
        """Whether some number of replicas keeps every latency target; None while nothing is known."""
        return None if self.costs is None else self.targets.attainable(self.costs, self.shape) is self.targets

    def promised_load(self, replicas: int) -> PodLoad | None:
        """Return the largest load of one of ``replicas`` pods at which every target holds; None where none does."""
        return self._load(self.targets, replicas)

    def planned_load(self, replicas: int) -> PodLoad | None:
        """Return the load to plan with: as promised, without those targets that no number of replicas can keep."""
        costs, pool = self.costs, self._pool(replicas)
        if costs is None:
            return None
        if pool not in self.planned:
            self.planned[pool] = self._load(self.targets.attainable(costs, self.shape), replicas)
        return self.planned[pool]

    def tokens_per_second(self, replicas: int) -> float:
        """Return the capacity of one of ``replicas`` pods, to plan with; 0 while nothing is known."""
        load = self.planned_load(replicas)
        return 0.0 if load is None else load.tokens_per_second

    def _load(self, targets: Targets, replicas: int) -> PodLoad | None:
        if self.costs is None:
            return None
        return capacity(
            self.costs,
            self.shape,
            targets,
            slots=self.learned.slots,
            most_streams=self.learned.most_streams,
            pool=self._pool(replicas),
        )

    def _pool(self, replicas: int) -> int:
        return max(replicas, 1) if self.pooled else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is believed of the resource."""

    variants: Mapping[str, Believed]
    shape: Shape
    drain_seconds: float
    rate: Rate | None
    """None while nothing was measured."""
    served_tokens_per_second: float | None
    stream_tokens_per_second: float | None
    fast_share: float | None
    """Share of requests whose streams were as fast as promised, over about a minute; None where there were none."""
    waiting_requests: float | None
    backlog_requests: float
    saturated: bool
    """Whether demand is hidden behind a fleet that has been full for a whole window."""
    growth_tokens_per_second: float
    """What to plan for at least while saturated."""
    backlog_tokens_per_second: float

    @property
    def demand_tokens_per_second(self) -> float | None:
        """What clients want now, the backlog included."""
        return None if self.rate is None else self.rate.mean + self.backlog_tokens_per_second

    @property
    def lasting_tokens_per_second(self) -> float:
        """What clients will want when the backlog is worked off; at least so much is planned for while saturated."""
        return max(0.0 if self.rate is None else self.rate.mean, self.growth_tokens_per_second)

    @property
    def needed_tokens_per_second(self) -> float:
        """What certainly has to be planned for."""
        return self._needed(0.0 if self.rate is None else self.rate.low)

    @property
    def needed_beyond_doubt_tokens_per_second(self) -> float:
        """What has to be planned for even if lengths vary more than was seen."""
        return self._needed(0.0 if self.rate is None else self.rate.careful_low)

    def _needed(self, arriving: float) -> float:
        return max(arriving + self.backlog_tokens_per_second, self.growth_tokens_per_second)

    def capacity_of(self, serving: Mapping[str, int]) -> float:
        """Return what pods can serve together, to plan with; those of which nothing is known do not count."""
        return capacity_of(self.variants, serving)

    def served_of(self, serving: Mapping[str, int], arriving: float) -> float:
        """Return what pods can serve together of so much: their capacity, or, beyond it, what each can of its share."""
        known = {name: count for name, count in serving.items() if count and name in self.variants}
        total = sum(known.values())
        each = {name: self.variants[name].tokens_per_second(total) for name in known}
        beyond = sum(count * min(arriving / total, each[name]) for name, count in known.items())
        return max(beyond, self.capacity_of(serving))


def is_extrapolated(believed: Believed) -> bool:
    """Tell whether capacity ends where experience ends: more may well be possible."""
    load, most, slots = believed.planned_load(1), believed.learned.most_streams, believed.learned.slots
    return load is None or ((slots is None or slots > load.streams + 1e-9) and load.streams >= EXTRAPOLATION * most)


def promised_demand(slo: SLO, shape: Shape, demand_tokens_per_second: float) -> float:
    """Return the part of a demand that is promised; what is above is served as well as the bounds allow."""
    promised = demand_tokens_per_second
    if slo.generation_tokens_per_second is not None:
        promised = min(promised, slo.generation_tokens_per_second)
    if slo.prefill_tokens_per_second is not None:
        promised = min(promised, slo.prefill_tokens_per_second / max(shape.prompt_ratio, SMALLEST_RATIO))
    return promised


def required_capacity(slo: SLO, shape: Shape, demand_tokens_per_second: float) -> float:
    """Return the capacity that has to be ready for a demand: for what is promised, plus what is kept for bursts."""
    promised = promised_demand(slo, shape, demand_tokens_per_second)
    return max(slo.ready_tokens_per_second, promised + slo.burst_tokens_per_second)


def targets_of(slo: SLO, drain: float) -> Targets:
    """Return what is promised, as the balance needs it."""
    stream, first = slo.stream, slo.time_to_first_token
    return Targets(
        stream_seconds_per_token=None if stream is None else 1.0 / stream.tokens_per_second,
        stream_deviations=0.0 if stream is None else statistics.NormalDist().inv_cdf(stream.percentile / 100),
        first_token_seconds=None if first is None else first.milliseconds / 1000,
        late_share=1.0 if first is None else 1.0 - first.percentile / 100,
        mean_wait_seconds=drain,
    )


def estimate(spec: LLMDeploymentSpec, sight: Sight, memory: Memory) -> Estimate:
    """Return what is believed at this moment."""
    shape = memory.traffic.shape(spec.traffic)
    drain = drain_seconds(spec.slo, sight.observation.tick_seconds)
    targets = targets_of(spec.slo, drain)
    cards = sight.observation.speed_cards
    variants = {
        variant.name: _believed(
            variant, cards.get(variant.name), spec=spec, memory=memory, shape=shape, targets=targets
        )
        for variant in spec.variants
    }
    readings = sight.readings
    counted = bool(readings) and all(reading.requests_per_second is not None for reading in readings)
    now = (
        rate(memory.history, shape, memory.watching_since_seconds, counted=counted)
        if memory.watching_since_seconds is not None
        else None
    )
    generated = sum(reading.generated_tokens_per_second for reading in readings) * sight.unseen_factor
    saturated = _is_saturated(memory, sight)
    backlog = _backlog(variants, sight) if sight.measuring else 0.0
    return Estimate(
        variants=variants,
        shape=shape,
        drain_seconds=drain,
        rate=now,
        served_tokens_per_second=generated if sight.measuring else None,
        stream_tokens_per_second=mean_stream_tokens_per_second(readings),
        fast_share=memory.stream_share.share,
        waiting_requests=(
            sum(reading.waiting_requests for reading in readings) * sight.unseen_factor if sight.measuring else None
        ),
        backlog_requests=backlog,
        saturated=saturated,
        growth_tokens_per_second=_growth(variants, sight) if saturated else 0.0,
        backlog_tokens_per_second=_drained(backlog, now, variants=variants, sight=sight, shape=shape, slo=spec.slo),
    )


def _believed(
    variant: Variant,
    card: LLMSpeedCardSpec | None,
    *,
    spec: LLMDeploymentSpec,
    memory: Memory,
    shape: Shape,
    targets: Targets,
) -> Believed:
    starts = memory.starts.get(variant.name, Starts(template_hash=""))
    return Believed(
        learned=memory.learned[variant.name],
        shape=shape,
        targets=targets,
        pooled=spec.scaling.balancing is Balancing.LEAST_REQUEST,
        lead_seconds=starts.lead_seconds(variant.expected, card),
        declared=prior_belief(variant.expected, card) is not None,
        carded=card is not None,
    )


def _is_saturated(memory: Memory, sight: Sight) -> bool:
    """Tell whether every slot has been taken for a whole window, on top of the window that says so."""
    if memory.full_since_seconds is None or not sight.measuring:
        return False
    window_seconds = max(reading.window_seconds for reading in sight.readings)
    return sight.now - memory.full_since_seconds >= window_seconds


def _growth(variants: Mapping[str, Believed], sight: Sight) -> float:
    """Return what to plan for while demand is hidden: so much more than the measured pods are planned to serve.

    Pods that are new are not counted, so that nothing is added again before they show what they relieve.
    """
    counts = Counter(pod.variant for pod, _ in sight.known)
    return GROWTH * sum(
        variants[name].tokens_per_second(count) * count for name, count in counts.items() if name in variants
    )


def capacity_of(variants: Mapping[str, Believed], serving: Mapping[str, int]) -> float:
    """Return what so many pods of each variant can serve behind one Service, where the weakest bind all (design, 4)."""
    known = {name: count for name, count in serving.items() if count and name in variants and variants[name].costs}
    total = sum(known.values())
    return total * min((variants[name].tokens_per_second(total) for name in known), default=0.0)


def _backlog(variants: Mapping[str, Believed], sight: Sight) -> float:
    serving = sight.pods_serving.items()
    loads = {name: variants[name].planned_load(count) for name, count in serving if name in variants}
    known = [(reading, loads.get(pod.variant)) for pod, reading in sight.known]
    return backlog_requests(known) * sight.unseen_factor


def _drained(
    backlog: float, now: Rate | None, *, variants: Mapping[str, Believed], sight: Sight, shape: Shape, slo: SLO
) -> float:
    """Return the tokens/s that it takes to work the backlog off in time, from when a new pod could help.

    Until then the pods that serve work on it, and those that start as soon as they do; or it grows (design, section 4:
    projected over the lead time). If nothing is declared, that may take as long as help does: to work off in seconds
    what has waited for minutes would take many times the fleet, and hardly shorten the wait.
    """
    if backlog <= 0 or now is None:
        return 0.0
    pods = [pod for pod in sight.observation.pods if pod.variant in variants and not pod.terminating]
    lead = max((variants[pod.variant].lead_seconds for pod in pods if pod.serving), default=0.0)
    left = backlog * shape.generated_tokens + (now.mean - capacity_of(variants, sight.pods_serving)) * lead
    for pod in pods:
        # A pod that starts serves for as much of the lead time as it is old. One in trouble never may.
        if not pod.serving and pod.hindrance.is_usual:
            seconds = min(max(sight.now - pod.starting_since_seconds, 0.0), lead)
            left -= seconds * variants[pod.variant].tokens_per_second(sight.serving_of(pod.variant))
    return max(0.0, left) / drain_seconds(slo, max(sight.observation.tick_seconds, lead))
