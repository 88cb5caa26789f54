"""llm-d's Workload Variant Autoscaler with its token-based saturation analyzer (V2), over all variants that may serve.

Capacity and demand are tokens held in KV memory. What a replica can hold is bounded by its memory, and by what it was
seen to hold while requests queued. Requests wait in the engines here: there is no scheduler in front with a queue.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from tokenpace.api.support import servable_variants
from tokenpace.replay.policies.cost_aware import UP_THRESHOLD, Analysis, CostAwarePolicy
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.signals import KvMemory, pods_of
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet, Prefill, Speeds
from tokenpace.replay.view import PodView, Scrape, View, increase

PEAK_SECONDS = 60.0
"""Memory and queue are read as `max_over_time[1m]`."""
SHAPE_SECONDS = 300.0
"""Lengths of requests are rates over 5m."""
KV_THRESHOLD = 0.80
"""`kvCacheThreshold`: the share of memory that is counted upon."""
QUEUE_THRESHOLD = 5
"""`queueLengthThreshold`: with so many waiting, a replica is as full as it gets."""
SAMPLES = 10
"""Of what full replicas were seen to hold."""
SHORT_ANSWER_TOKENS = 100.0
MEDIUM_ANSWER_TOKENS = 500.0


class Shape(NamedTuple):
    """A typical request of a pod."""

    prompt_tokens: float
    generated_tokens: float

    @property
    def held_tokens(self) -> float:
        """Return what it holds on average while it is served."""
        return self.prompt_tokens + self.generated_tokens / 2


def shape_of(pod: PodView, view: View) -> Shape | None:
    """Return the mean of the requests that ended lately; None without any."""
    since_seconds = view.at_seconds - SHAPE_SECONDS
    ended = increase(pod.scrapes, "ended", since_seconds)
    if not ended:
        return None
    prompts = increase(pod.scrapes, "ended_prompt_tokens", since_seconds) or 0.0
    generated = increase(pod.scrapes, "ended_generated_tokens", since_seconds) or 0.0
    return Shape(prompts / ended, generated / ended)


def mean_shape(shapes: list[Shape]) -> Shape | None:
    """Return the mean over pods; None without any."""
    if not shapes:
        return None
    prompts, generated = (sum(values) / len(shapes) for values in zip(*shapes, strict=True))
    return Shape(prompts, generated)


class Reading(NamedTuple):
    """One replica."""

    held_tokens: float
    """At the last minute's peak."""
    waiting: int
    """Likewise."""
    shape: Shape | None


@dataclass(slots=True)
class SaturationAnalyzer:
    """What a replica of each variant can hold, learned from replicas that were full."""

    speeds: Mapping[str, Speeds]
    declared: Shape
    """What a request is taken for until one has ended."""
    full: dict[tuple[str, int], deque[float]] = field(
        default_factory=lambda: defaultdict[tuple[str, int], deque[float]](lambda: deque(maxlen=SAMPLES))
    )
    """Tokens held by full replicas, by variant and length of answers."""
    seen: dict[str, float] = field(default_factory=dict)
    """By variant, the last capacity of a replica with metrics."""

    def __call__(self, view: View) -> Analysis | None:
        """Return the tokens held and waited for, and what a replica of each variant can hold."""
        shapes = [found for pod in view.pods if pod.scrapes and (found := shape_of(pod, view)) is not None]
        typical = mean_shape(shapes)
        demand = 0.0
        capacity = {}
        metrics = 0
        for variant in self.speeds:
            readings = self._readings(view, variant, typical or self.declared)
            metrics += len(readings)
            demand += sum(
                reading.held_tokens + (reading.waiting * reading.shape.prompt_tokens if reading.shape else 0.0)
                for reading in readings
            )
            if readings:
                self.seen[variant] = median(self._capacity(variant, reading) for reading in readings)
            capacity[variant] = self.seen.get(variant) or self._estimated(variant, typical or self.declared)
        return Analysis(demand, capacity) if metrics else None

    def _readings(self, view: View, variant: str, typical: Shape) -> list[Reading]:
        memory = KvMemory(self.speeds[variant])
        readings = []
        for pod in pods_of(view, variant):
            lately = [scrape for scrape in pod.scrapes if scrape.at_seconds >= view.at_seconds - PEAK_SECONDS]
            if lately:
                held = _peak(lately, memory.share) * memory.tokens(typical.held_tokens)
                readings.append(Reading(held, max(scrape.waiting for scrape in lately), shape_of(pod, view)))
        return readings

    def _capacity(self, variant: str, reading: Reading) -> float:
        """Return the lesser of what memory and what computing lets a replica hold."""
        shape = reading.shape or self.declared
        samples = self.full[variant, _length_of(shape.generated_tokens)]
        bound = self._bound(variant)
        if reading.waiting >= QUEUE_THRESHOLD and reading.held_tokens > 0:
            samples.append(reading.held_tokens)
            return min(bound, reading.held_tokens)
        if samples:
            return min(bound, sum(samples) / len(samples))
        return self._estimated(variant, shape)

    def _bound(self, variant: str) -> float:
        tokens = self.speeds[variant].kv_tokens
        return math.inf if tokens is None else KV_THRESHOLD * tokens

    def _estimated(self, variant: str, shape: Shape) -> float:
        """Return what the launch arguments say that a replica can hold, before any was full."""
        speeds = self.speeds[variant]
        streams = float(len(speeds.step_seconds))
        if speeds.prefill is Prefill.CHUNKED:
            length = shape.prompt_tokens + shape.generated_tokens
            streams = min(streams, speeds.tokens_per_chunk * shape.generated_tokens / length)
        return min(self._bound(variant), streams * shape.held_tokens)


def _peak(scrapes: list[Scrape], value: Callable[[Scrape], float]) -> float:
    return max(map(value, scrapes))


def _length_of(generated_tokens: float) -> int:
    """Return the class of answers that share what was learned: short, medium or long."""
    return (generated_tokens >= SHORT_ANSWER_TOKENS) + (generated_tokens >= MEDIUM_ANSWER_TOKENS)


def declared_shape(fleet: Fleet) -> Shape:
    """Return the request that the owner of a service declares to be typical."""
    return Shape(float(fleet.spec.traffic.prompt_tokens), float(fleet.spec.traffic.generated_tokens))


def speeds_of(fleet: Fleet) -> Mapping[str, Speeds]:
    """Return what pods tell of their launch arguments, of every variant that may serve."""
    return {variant.name: fleet.variants[variant.name].speeds for variant in servable_variants(fleet.spec)}


def on_saturation(fleet: Fleet, _: Traffic, up_threshold: float) -> CostAwarePolicy:
    """Scale all variants on the tokens that they hold."""
    return CostAwarePolicy.of(fleet.spec, SaturationAnalyzer(speeds_of(fleet), declared_shape(fleet)), up_threshold)


KINDS = (
    PolicyKind(
        name="wva-saturation",
        source="llm-d/llm-d-workload-variant-autoscaler@b08b1c7 internal/engines/analyzers/saturation_v2/analyzer.go, "
        "internal/engines/pipeline/cost_aware_optimizer.go",
        knob="scale-up threshold, as a share of the tokens that fit",
        default=UP_THRESHOLD,
        sweep=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 0.95),
        make=on_saturation,
    ),
)
