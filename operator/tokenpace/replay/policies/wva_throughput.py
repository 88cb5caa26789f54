"""llm-d's Workload Variant Autoscaler with its opt-in throughput analyzer, alone, over all variants that may serve.

Capacity and demand are generated tokens a second. Inter-token latency is learned as a line over the share of memory in
use; at 85 % of the memory it gives what a replica can do. A variant without running replicas has no capacity here, and
is never brought in: the source leaves that to a later version. What its gateway would count, arrivals and queue, is
taken from the engines, in its favour.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tokenpace.replay.policies.cost_aware import UP_THRESHOLD, Analysis, CostAwarePolicy
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.signals import RATE_SECONDS, KvMemory, instant, pods_of, rate_of
from tokenpace.replay.policies.wva import Shape, shape_of, speeds_of
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet, Speeds, VariantTruth
from tokenpace.replay.view import PodView, View

SATURATED_SHARE = 0.85
LEAST_SHARE, MOST_SHARE = 0.15, 0.85
"""Of memory: observations outside teach nothing."""
MOST_OBSERVATIONS = 20
LEAST_OBSERVATIONS = 10
LEAST_SPREAD = 0.30
OBSERVATION_SECONDS = 30 * 60.0
"""How long an observation counts."""
DEFAULT_BASE_SECONDS = 0.006
"""Inter-token latency of an empty replica until one was fitted."""
SHAPE_TOLERANCE = 0.20
"""A greater change of prompts or answers begins the learning anew."""
LEAST_TOKENS = 1.0
"""Of a plausible request."""
DRAIN_FACTOR = 2.0
"""A queue is worked off in so many times the time of one answer."""
CHECKED_SHARE, CHECK_TOLERANCE, MOST_MISMATCHES = 0.30, 0.15, 3
"""Where the model is compared with tokens seen, how far it may be off, and how often before it is learned anew."""


class Line(NamedTuple):
    """Inter-token latency over the share of memory in use."""

    slope_seconds: float
    base_seconds: float

    def at(self, share: float) -> float:
        """Return the seconds between two tokens of a stream."""
        return self.slope_seconds * share + self.base_seconds


class Observation(NamedTuple):
    """One replica at one moment."""

    at_seconds: float
    share: float
    inter_token_seconds: float


class Reading(NamedTuple):
    """One replica that is fit to learn from."""

    share: float
    inter_token_seconds: float
    shape: Shape
    ended_per_second: float
    generated_per_second: float


@dataclass(slots=True)
class Learned:
    """What is known of one variant."""

    shape: Shape | None = None
    observations: deque[Observation] = field(default_factory=lambda: deque(maxlen=MOST_OBSERVATIONS))
    base_seconds: float = DEFAULT_BASE_SECONDS
    mismatches: int = 0

    def observe(self, at_seconds: float, shape: Shape, readings: Sequence[Reading]) -> None:
        """Add what was read, after forgetting what is of another shape of requests, or too old."""
        if self.shape is not None and not _is_alike(shape, self.shape):
            self._forget()
        self.shape = shape
        self.observations.extend(
            Observation(at_seconds, reading.share, reading.inter_token_seconds)
            for reading in readings
            if LEAST_SHARE <= reading.share <= MOST_SHARE
        )
        while self.observations and at_seconds - self.observations[0].at_seconds > OBSERVATION_SECONDS:
            self.observations.popleft()

    def line(self, readings: Sequence[Reading]) -> Line | None:
        """Return the fitted line; from too little, one through the last known base and what is read now."""
        if (line := _fitted(self.observations)) is not None:
            self.base_seconds = line.base_seconds
            return line
        busy = [reading for reading in readings if reading.share > 0]
        if not busy:
            return None
        above = sum((reading.inter_token_seconds - self.base_seconds) * reading.share for reading in busy)
        line = Line(above / sum(reading.share**2 for reading in busy), self.base_seconds)
        return line if line.slope_seconds > 0 else None

    def check(self, line: Line, memory_streams: float, readings: Sequence[Reading]) -> None:
        """Forget everything when the line has not given the tokens seen, three times on end."""
        off = any(
            abs(reading.share * memory_streams / line.at(reading.share) - reading.generated_per_second)
            > CHECK_TOLERANCE * reading.generated_per_second
            for reading in readings
            if reading.generated_per_second > 0 and reading.share >= CHECKED_SHARE
        )
        self.mismatches = self.mismatches + 1 if off else 0
        if self.mismatches >= MOST_MISMATCHES:
            self._forget()

    def _forget(self) -> None:
        self.observations.clear()
        self.mismatches = 0


@dataclass(slots=True)
class ThroughputAnalyzer:
    """Tokens a second that a replica of each running variant can generate, learned as it runs."""

    speeds: Mapping[str, Speeds]
    truth: Mapping[str, VariantTruth]
    scrape_seconds: float
    learned: dict[str, Learned] = field(default_factory=dict)

    def __call__(self, view: View) -> Analysis | None:
        """Return the tokens a second asked for and queued, and what a replica of each running variant can do."""
        capacity, latencies, answers = {}, [], []
        for variant in self.speeds:
            learned = self.learned.setdefault(variant, Learned())
            pods = [pod for pod in pods_of(view, variant) if instant(pod, view, self.scrape_seconds) is not None]
            readings = [reading for pod in pods if (reading := self._reading(pod, view, variant)) is not None]
            if readings:
                learned.observe(view.at_seconds, _weighted(readings), readings)
            line = learned.line(readings)
            if not pods or line is None or learned.shape is None:
                continue
            streams = KvMemory(self.speeds[variant]).tokens(learned.shape.held_tokens) / learned.shape.held_tokens
            capacity[variant] = SATURATED_SHARE * streams / line.at(SATURATED_SHARE)
            latencies.append(line.at(SATURATED_SHARE))
            answers.extend([learned.shape.generated_tokens] * len(pods))
            learned.check(line, streams, readings)
        if not capacity:
            return None
        arrivals = sum(rate_of(pod, view, "admitted") or 0.0 for pod in view.pods)
        queued = self._queued(view) / (DRAIN_FACTOR * sum(latencies) / len(latencies))
        return Analysis(arrivals * sum(answers) / len(answers) + queued, capacity)

    def _queued(self, view: View) -> int:
        scrapes = (instant(pod, view, self.scrape_seconds) for pod in view.pods)
        return sum(scrape.waiting for scrape in scrapes if scrape is not None)

    def _reading(self, pod: PodView, view: View, variant: str) -> Reading | None:
        now, shape = instant(pod, view, self.scrape_seconds), shape_of(pod, view)
        latency = self._inter_token_seconds(pod, view, variant)
        if now is None or shape is None or latency is None or min(shape) <= LEAST_TOKENS:
            return None
        share = KvMemory(self.speeds[variant]).share(now)
        ended, generated = (rate_of(pod, view, counter) or 0.0 for counter in ("ended", "generated_tokens"))
        return Reading(share, latency, shape, ended, generated) if share <= 1 else None

    def _inter_token_seconds(self, pod: PodView, view: View, variant: str) -> float | None:
        """Return the mean of the last minute; of ended requests, where tokens are not counted as they come."""
        live = self.truth[variant].counts_tokens_live
        names = ("stream_seconds", "generated_tokens", "first_tokens")
        ended = ("ended_stream_seconds", "ended_generated_tokens", "ended")
        seconds, tokens, first = (rate_of(pod, view, name, RATE_SECONDS) or 0.0 for name in (names if live else ended))
        return seconds / (tokens - first) if tokens > first and seconds > 0 else None


def _is_alike(shape: Shape, other: Shape) -> bool:
    return all(abs(now - then) <= SHAPE_TOLERANCE * then for now, then in zip(shape, other, strict=True))


def _weighted(readings: Sequence[Reading]) -> Shape:
    """Return the mean shape by ended requests; the plain mean where none ended in the last minute."""
    total = sum(reading.ended_per_second for reading in readings)
    weights = [reading.ended_per_second / total if total else 1 / len(readings) for reading in readings]
    return Shape(
        sum(weight * reading.shape.prompt_tokens for weight, reading in zip(weights, readings, strict=True)),
        sum(weight * reading.shape.generated_tokens for weight, reading in zip(weights, readings, strict=True)),
    )


def _fitted(observations: Sequence[Observation]) -> Line | None:
    """Return the line of least squares; None from too few observations, or too much alike."""
    shares = [observation.share for observation in observations]
    if len(shares) < LEAST_OBSERVATIONS or max(shares) - min(shares) < LEAST_SPREAD:
        return None
    latencies = [observation.inter_token_seconds for observation in observations]
    middle, mean = sum(shares) / len(shares), sum(latencies) / len(latencies)
    slope = sum((x - middle) * (y - mean) for x, y in zip(shares, latencies, strict=True))
    slope /= sum((x - middle) ** 2 for x in shares)
    line = Line(slope, mean - slope * middle)
    return line if line.slope_seconds > 0 and line.base_seconds >= 0 else None


def on_throughput(fleet: Fleet, _: Traffic, up_threshold: float) -> CostAwarePolicy:
    """Scale all running variants on generated tokens a second."""
    analyzer = ThroughputAnalyzer(speeds_of(fleet), fleet.variants, fleet.scrape_seconds)
    return CostAwarePolicy.of(fleet.spec, analyzer, up_threshold)


KINDS = (
    PolicyKind(
        name="wva-throughput",
        source="ev-shindin/llm-scaler@ff81a30 internal/engines/analyzers/throughput/{analyzer,constants}.go, "
        "docs/developer-guide/throughput-analyzer.md",
        knob="scale-up threshold, as a share of the tokens/s of replicas at 85 % of their memory",
        default=UP_THRESHOLD,
        sweep=(0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95),
        make=on_throughput,
    ),
)
