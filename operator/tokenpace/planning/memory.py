"""What the planner remembers from tick to tick. Bounded in size, and lost at a restart but for what was learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.balance import Shape
from tokenpace.planning.budget import Budget, degraded_variants
from tokenpace.planning.demand import (
    HISTORY_SECONDS,
    Moment,
    Offer,
    TrafficSums,
    offered_tokens_per_second,
    requests_in,
    with_moment,
)
from tokenpace.planning.imbalance import IMBALANCE, PodRequests, imbalance
from tokenpace.planning.kv_cache import QueuedSince, kv_tokens_after, queued_since, with_slots_that_fit
from tokenpace.planning.leadtime import Starts
from tokenpace.planning.learning import FULL, Learned, learn
from tokenpace.planning.observation import Pod, Reading
from tokenpace.planning.plausible import SHORTEST_SECONDS
from tokenpace.planning.queueing import drain_seconds
from tokenpace.planning.setbacks import Setback
from tokenpace.planning.sight import Sight
from tokenpace.planning.stability import Descent
from tokenpace.planning.stock import Places, Shortage
from tokenpace.planning.streams import StreamShare

LONGEST_PAUSE_TICKS = 6
"""A pause between two plans of more ticks than this is a gap in what was seen, if it is also longer than"""

LONGEST_PAUSE_SECONDS = 30.0
"""this: ticks of a second or two may well take as long with thousands of resources."""

SETTLED_WINDOWS = 2.0
"""A pod is learned from once it has served for so many windows: in the first, weights are still read from disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """A time in which every look has seen that nobody asks."""

    since_seconds: float
    until_seconds: float

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return self.until_seconds - self.since_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything that a plan depends on besides the spec and the observation. `Memory()` is that of a fresh start."""

    at_seconds: float | None = None
    """When the last plan was made."""
    watching_since_seconds: float | None = None
    """Since when metrics are seen without a gap. Nothing shrinks before a whole stabilization window was seen."""
    blind_since_seconds: float | None = None
    unbalanced_since_seconds: float | None = None
    full_since_seconds: float | None = None
    """Since when every slot is taken and requests wait."""
    history: tuple[Moment, ...] = ()
    traffic: TrafficSums = field(default_factory=TrafficSums)
    learned: Mapping[str, Learned] = field(default_factory=dict)
    """By variant. The one thing to write down and to read back: `Learned.to_integers`, `Learned.from_integers`."""
    starts: Mapping[str, Starts] = field(default_factory=dict)
    """By variant."""
    requests: Mapping[str, PodRequests] = field(default_factory=dict)
    """By pod."""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """By pod, also of those that left within the last window."""
    queued_since_seconds: QueuedSince = field(default_factory=dict)
    stream_share: StreamShare = field(default_factory=StreamShare)
    descent: Descent | None = None
    goal: str | None = None
    """The variant that the fleet was last sent to."""
    setbacks: Mapping[str, Setback] = field(default_factory=dict)
    """By variant. Written down and read back, as are the last switch and the budget."""
    shortages: Mapping[str, Shortage] = field(default_factory=dict)
    """By variant."""
    places: Places | None = None
    """Those that the cluster has room for, where it has none for more."""
    switched_at_seconds: float | None = None
    """When the fleet was last sent from one variant to another."""
    disagreeing_cards: frozenset[str] = frozenset()
    """Variants whose speed cards are not what live traffic shows."""
    budget: Budget = field(default_factory=Budget)
    idle: Idleness | None = None
    asleep_since_seconds: float | None = None
    """Since when nothing runs because nobody asks; None while it is awake. Written down and read back."""


def remember(memory: Memory, spec: LLMDeploymentSpec, sight: Sight) -> Memory:
    """Return the memory with this moment in it.

    The same moment twice changes nothing more, so that a plan that is made again is the same plan.
    """
    elapsed = sight.observation.tick_seconds if memory.at_seconds is None else sight.now - memory.at_seconds
    # A tick that comes late, or a clock that was set, leaves a time in which nobody looked.
    seamless = 0 <= elapsed <= max(LONGEST_PAUSE_TICKS * sight.observation.tick_seconds, LONGEST_PAUSE_SECONDS)
    if not seamless or not sight.measuring:
        memory = _after_gap(memory)
    memory = replace(
        memory,
        at_seconds=sight.now,
        watching_since_seconds=_since(sight.measuring, memory.watching_since_seconds, sight.now),
        blind_since_seconds=_since(sight.blind, memory.blind_since_seconds, sight.now),
        starts=_starts(memory, sight),
        learned=_believed(memory, spec, sight),
    )
    if not sight.measuring or elapsed < SHORTEST_SECONDS:
        return memory
    known = sight.readings
    elapsed = min(elapsed, max(reading.window_seconds for reading in known))
    traffic = memory.traffic.after(known, elapsed)
    shape = traffic.shape(spec.traffic)
    queued = queued_since(
        memory.queued_since_seconds, sight, shape, drain_seconds(spec.slo, sight.observation.tick_seconds)
    )
    watched = _watched(memory.learned, sight)
    queued_seconds = {name: sight.now - since for name, since in queued.items()}
    believed = _with_memory(memory.learned, watched, queued_seconds, shape, elapsed)
    kv_tokens = {name: learned.kv_tokens for name, learned in believed.items()}
    full = is_fleet_full(
        [with_slots_that_fit(reading, kv_tokens.get(pod.variant), shape) for pod, reading in sight.known]
    )
    requests = _requests(memory, sight, elapsed)
    offers = _offers(memory, sight, shape)
    return replace(
        memory,
        traffic=traffic,
        full_since_seconds=_since(full, memory.full_since_seconds, sight.now),
        history=_history(memory, spec, sight, offers, full=full),
        learned=_learned(believed, watched, shape, elapsed),
        queued_since_seconds=queued,
        requests=requests,
        offers=offers,
        stream_share=_stream_share(memory, spec, known, elapsed),
        unbalanced_since_seconds=_since(
            (imbalance(requests, sight.now) or 0.0) > IMBALANCE, memory.unbalanced_since_seconds, sight.now
        ),
        budget=memory.budget.after(
            sight.known,
            degraded_variants(spec),
            unseen_factor=sight.unseen_factor,
            elapsed_seconds=elapsed,
            window_seconds=3600.0 * spec.slo.window_hours,
        ),
    )


def _after_gap(memory: Memory) -> Memory:
    """Return the memory without what says that something has lasted, or what it was just before."""
    return replace(
        memory,
        watching_since_seconds=None,
        full_since_seconds=None,
        unbalanced_since_seconds=None,
        queued_since_seconds={},
        requests={},
        offers={},
    )


def is_fleet_full(readings: Sequence[Reading]) -> bool:
    """Tell whether all pods together have their slots taken and requests waiting.

    Where an engine does not export its slots, a queue on every pod says the same.
    """
    if any(reading.slots is None for reading in readings):
        return all(reading.waiting_requests > 0 for reading in readings)
    slots = sum(reading.slots or 0.0 for reading in readings)
    running = sum(reading.running_streams for reading in readings)
    return running >= FULL * slots and any(reading.waiting_requests > 0 for reading in readings)


def _since(holds: bool, since_seconds: float | None, now: float) -> float | None:
    """Return since when something holds, None when it does not."""
    return (now if since_seconds is None else min(since_seconds, now)) if holds else None


def _believed(memory: Memory, spec: LLMDeploymentSpec, sight: Sight) -> dict[str, Learned]:
    """Return what is believed of each variant in the spec: as before, or anew if its inputs changed.

    Until work was seen it is what is declared or on the speed card now: a card may come later than its variant.
    """
    hashes = sight.observation.template_hashes
    believed = {}
    for variant in spec.variants:
        known = memory.learned.get(variant.name)
        template_hash = hashes.get(variant.name, known.template_hash if known else "")
        if known is None or known.template_hash != template_hash or known.observed_seconds <= 0:
            prior = Learned.expected(template_hash, variant.expected, sight.observation.speed_cards.get(variant.name))
            same = known is not None and known.template_hash == template_hash
            known = replace(prior, slots=known.slots or prior.slots) if known is not None and same else prior
        believed[variant.name] = known
    return believed


Watched = Mapping[str, Sequence[tuple[Pod, Reading]]]
"""By variant, pods that show something of what is believed of it; left out are variants without one."""


def _watched(believed: Mapping[str, Learned], sight: Sight) -> Watched:
    watched: dict[str, list[tuple[Pod, Reading]]] = {}
    for pod, reading in sight.known:
        learned = believed.get(pod.variant)
        if learned is not None and pod.template_hash == learned.template_hash and _has_settled(pod, reading, sight.now):
            watched.setdefault(pod.variant, []).append((pod, reading))
    return watched


def _with_memory(
    believed: Mapping[str, Learned],
    watched: Watched,
    queued_seconds: Mapping[str, float],
    shape: Shape,
    elapsed_seconds: float,
) -> Mapping[str, Learned]:
    """Return what is believed, with the tokens that the pods of each variant have shown to hold."""
    changed = {}
    for name, pods in watched.items():
        seen = [(reading, queued_seconds.get(pod.name, 0.0)) for pod, reading in pods]
        kv_tokens = kv_tokens_after(believed[name].kv_tokens, seen, shape, elapsed_seconds)
        if kv_tokens != believed[name].kv_tokens:
            changed[name] = replace(believed[name], kv_tokens=kv_tokens)
    return {**believed, **changed}


def _learned(
    believed: Mapping[str, Learned], watched: Watched, shape: Shape, elapsed_seconds: float
) -> dict[str, Learned]:
    return {
        name: learn(
            learned,
            [with_slots_that_fit(reading, learned.kv_tokens, shape) for _, reading in watched.get(name, ())],
            shape.generated_tokens,
            elapsed_seconds,
        )
        for name, learned in believed.items()
    }


def _has_settled(pod: Pod, reading: Reading, now: float) -> bool:
    return pod.ready_since_seconds is not None and (
        now - pod.ready_since_seconds >= SETTLED_WINDOWS * reading.window_seconds
    )


def _starts(memory: Memory, sight: Sight) -> dict[str, Starts]:
    starts = {}
    for name, template_hash in sight.observation.template_hashes.items():
        known = memory.starts.get(name)
        if known is None or known.template_hash != template_hash:
            known = Starts(template_hash=template_hash)
        starts[name] = known.seeing(
            pod for pod in sight.observation.pods if pod.variant == name and pod.template_hash == template_hash
        )
    return starts


def _requests(memory: Memory, sight: Sight, elapsed_seconds: float) -> dict[str, PodRequests]:
    requests = {}
    for pod, reading in sight.known:
        before, now = memory.requests.get(pod.name), requests_in(reading)
        requests[pod.name] = (
            PodRequests.first(now, sight.now, pod.variant)
            if before is None
            else before.after(now, elapsed_seconds, reading.window_seconds)
        )
    return requests


def _offers(memory: Memory, sight: Sight, shape: Shape) -> dict[str, Offer]:
    """Return what pods are asked for, and what those were that have left since a window ago."""
    before = {name: requests.by_window for name, requests in memory.requests.items()}
    begun_seconds = sight.now - max(reading.window_seconds for reading in sight.readings)
    serving = {pod.name for pod in sight.serving}
    left = {
        name: replace(offer, until_seconds=min(offer.until_seconds, sight.now))
        for name, offer in memory.offers.items()
        if name not in serving and offer.until_seconds > begun_seconds
    }
    known = {
        pod.name: Offer(
            tokens_per_second=offered_tokens_per_second(reading, shape, before.get(pod.name)),
            since_seconds=pod.ready_since_seconds or 0.0,
        )
        for pod, reading in sight.known
    }
    return left | known


def _history(
    memory: Memory, spec: LLMDeploymentSpec, sight: Sight, offers: Mapping[str, Offer], *, full: bool
) -> tuple[Moment, ...]:
    """Return the history with this moment: what was asked of all pods of its window, of each for as long as it served.

    Summed up are rates over the window or, of a new pod, over its life. With those of pods that are there now alone,
    half of the demand would seem gone when half of the pods are, and as much too much be there when they come.
    """
    window_seconds = max(reading.window_seconds for reading in sight.readings)
    tokens = sum(offer.tokens(sight.now - window_seconds, sight.now) for offer in offers.values())
    moment = Moment(
        at_seconds=sight.now,
        tokens_per_second=tokens / window_seconds * sight.unseen_factor,
        demand_tokens_per_second=0.0,
        window_seconds=window_seconds,
        saturated=full,
    )
    keep_seconds = max(HISTORY_SECONDS, spec.scaling.scale_down.stabilization_window_seconds)
    return with_moment(memory.history, moment, keep_seconds, sight.observation.tick_seconds)


def _stream_share(
    memory: Memory, spec: LLMDeploymentSpec, readings: Sequence[Reading], elapsed_seconds: float
) -> StreamShare:
    target = spec.slo.stream
    if target is None:
        return StreamShare()
    return memory.stream_share.after(readings, target.tokens_per_second, elapsed_seconds)
