"""What clients want now, in generated tokens per second.

*Noise.* A pod's capacity is what it serves in time under **random** arrivals (`tokenpace.planning.balance`): chance
bursts are paid for there, once. So what demand is compared with is the *rate* of arrivals, and a rate that was counted
over h seconds has a standard error of its own: arrivals are Poisson and each brings O tokens, so
``se² = D·O·m/h``. Planning for the highest count would pay for chance twice. m is 1 where requests are counted, and
``E[O²]/E[O]²`` where their tokens are; no engine tells, but it is by how much windows differ that follow one another.

*How long to count.* Since the last change: long enough for a small error, without yesterday's rate in it. The past is
cut into windows that share no second. Wherever two rates explain their counts better than one does, by more than chance
would, the rate has changed; the mean after the most likely change is free of what was before. A mean over everything
that does *not contradict* the present is not: it reaches back until it does, to the lower end of what the rate may be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from operator import mul

from tokenpace.api.slo import Traffic
from tokenpace.planning.balance import SECOND_MOMENT, PodLoad, Shape
from tokenpace.planning.observation import Reading

CHANCE_NATS = 1.0
"""Log-likelihood ratio that chance reaches in the whole history. A shorter part is tried so much more often that
``log(history / part)`` is added: bounds of 10 s are 3.2 standard errors wide, those of 10 minutes 1.4. It is the
penalty ``sqrt(2·log(e·n/m))`` of Frick, Munk and Sieling (Multiscale change point inference, J. R. Statist. Soc. B
76(3), 2014). In 45 simulated hours of constant random demand (1.5 to 5.5 pods of 10-14 tokens/s) no replica was added
for nothing with equal lengths and 5 with exponential ones (`python -m benchmarks.planning`); with 0.5 it was 0 and 6,
and the right replicas 98 and 95 % of the time instead of 99 and 96 %."""

QUEUE_CONFIDENCE = 2.5
"""Standard deviations of the number of requests in a fleet at capacity beyond which they are a queue. With 2.0 a step
is answered up to 7 s sooner in the mean, and with exponential lengths twice as many replicas are added for nothing."""

HISTORY_SECONDS = 600.0
"""Demand is remembered this long, or as long as the stabilization window if that is longer."""

HISTORY_MOMENTS = 128
"""Moments of memory at most: what is older than this many ticks is kept in coarser steps."""

GROWTH = 1.5
"""A saturated pod hides what clients want. Until it is known, the fleet grows by this factor a lead time."""

SECOND_MOMENT_WINDOWS = 8.0
"""Pairs of windows that the expected m counts for beside those that were seen. A window of equal lengths and one of
exponential ones differ little: 20 of them tell 1 from 2 with an error of 0.4."""

MOST_OF_A_PAIR = 4.0 * SECOND_MOMENT
"""Most that one pair of windows can say of m: a step between them is no chance, and would hide the next one."""

UNSETTLED_WINDOWS = 2
"""The newest windows are not asked for m: a change that is not certain yet would pass for chance, and never be."""

SHAPE_REQUESTS = 20.0
"""Requests that `spec.traffic` counts for beside measured ones: short requests end first and would bias the mean."""

SHAPE_SECONDS = 600.0
"""Time constant in which measured shapes fade."""

ANOTHER_SHAPE = 2.0
"""Prompt tokens per generated token that grow by more than this factor, and by more than chance, are another shape:
what was before is dropped. Faded out, prompts four times as long would be taken for twice as long for five minutes:
that costs 4 points of attainment. With 1.5 the recorded hour's own swings are followed, which costs half a point.
Shorter prompts leave capacity to spare and are believed slowly, as everything is by which a fleet would shrink."""

ANOTHER_SHAPE_DEVIATIONS = 3.0
"""Standard deviations of chance, of the prompts and answers of a window and of those before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSums:
    """What the fleet was asked, fading with `SHAPE_SECONDS`."""

    prompt_tokens: float = 0.0
    generated_tokens: float = 0.0
    ended_requests: float = 0.0
    ended_tokens: float = 0.0

    def after(self, readings: Sequence[Reading], elapsed_seconds: float) -> "TrafficSums":
        """Return the sums with what pods did for ``elapsed_seconds``."""
        kept, recent = math.exp(-elapsed_seconds / SHAPE_SECONDS), self._since_change(readings)
        counted = [
            (reading.requests_per_second * elapsed_seconds, reading.tokens_per_completion)
            for reading in readings
            if reading.requests_per_second is not None and reading.tokens_per_completion is not None
        ]
        return TrafficSums(
            prompt_tokens=recent.prompt_tokens * kept
            + elapsed_seconds * sum(reading.prompt_tokens_per_second for reading in readings),
            generated_tokens=recent.generated_tokens * kept
            + elapsed_seconds * sum(reading.generated_tokens_per_second for reading in readings),
            ended_requests=self.ended_requests * kept + sum(requests for requests, _ in counted),
            ended_tokens=self.ended_tokens * kept + sum(requests * tokens for requests, tokens in counted),
        )

    def _since_change(self, readings: Sequence[Reading]) -> "TrafficSums":
        """Return the sums, with nothing but the latest window of prompts in them if that shows longer ones."""
        prompts = sum(reading.prompt_tokens_per_second * reading.window_seconds for reading in readings)
        generated = sum(reading.generated_tokens_per_second * reading.window_seconds for reading in readings)
        if min(prompts, generated, self.prompt_tokens, self.generated_tokens, self.ended_tokens) <= 0:
            return self
        requests = generated * self.ended_requests / self.ended_tokens
        variance = 2.0 * (SECOND_MOMENT - 1.0) * (1.0 / requests + 1.0 / self.ended_requests)
        chance = ANOTHER_SHAPE_DEVIATIONS * math.sqrt(variance)
        longer = math.log(prompts / generated) - math.log(self.prompt_tokens / self.generated_tokens)
        if longer <= max(math.log(ANOTHER_SHAPE), chance):
            return self
        return replace(self, prompt_tokens=prompts, generated_tokens=generated)

    def shape(self, declared: Traffic) -> Shape:
        """Return the mean request: what was measured, shrunk to what was declared.

        Prompt tokens are those computed: without what a prefix cache saved.
        """
        generated = (SHAPE_REQUESTS * declared.generated_tokens + self.ended_tokens) / (
            SHAPE_REQUESTS + self.ended_requests
        )
        ratio = (SHAPE_REQUESTS * declared.prompt_tokens + self.prompt_tokens) / (
            SHAPE_REQUESTS * declared.generated_tokens + self.generated_tokens
        )
        return Shape(prompt_tokens=ratio * generated, generated_tokens=generated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Demand at one moment of the past."""

    at_seconds: float
    tokens_per_second: float
    """Rate of arrivals, without the backlog."""
    demand_tokens_per_second: float
    """What clients wanted as it looked then: arrivals and backlog, and what may be hidden behind full pods."""
    window_seconds: float
    saturated: bool
    """Whether the rate is only a lower bound."""
    lasting_tokens_per_second: float = 0.0
    """The same without the backlog: what would be wanted when that is worked off."""
    ticks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The rate of arrivals now, in tokens per second."""

    now: float
    """In the latest window alone."""
    low: float
    """As sure as it takes to add replicas."""
    mean: float
    high: float
    careful_low: float
    """As sure as it takes to give up precision: `low` if lengths vary more than windows show. So is `high`."""
    counted_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one pod was asked for, and since when and until when requests came to it."""

    tokens_per_second: float
    since_seconds: float
    until_seconds: float = math.inf

    def tokens(self, since_seconds: float, now: float) -> float:
        """Return what it was asked for in a window."""
        return self.tokens_per_second * max(0.0, min(now, self.until_seconds) - max(self.since_seconds, since_seconds))


def requests_in(reading: Reading) -> float:
    """Return the requests in a pod, the waiting ones included."""
    return reading.running_streams + reading.waiting_requests


def offered_tokens_per_second(reading: Reading, shape: Shape, requests_before: float | None) -> float:
    """Return the rate at which one pod is asked for tokens.

    Admissions where the engine counts them; else the balance of the pod, served plus what its queue grew by.
    ``requests_before`` is the number of its requests averaged over about one window, None for a pod not seen before.
    """
    if reading.requests_per_second is not None:
        return reading.requests_per_second * shape.generated_tokens
    growth = 0.0 if requests_before is None else (requests_in(reading) - requests_before) / reading.window_seconds
    return max(0.0, reading.generated_tokens_per_second + growth * shape.generated_tokens)


def with_moment(
    history: tuple[Moment, ...], moment: Moment, keep_seconds: float, tick_seconds: float
) -> tuple[Moment, ...]:
    """Return the history with ``moment`` in it, bounded in time and in number.

    Ticks that fall into the same step of the history are averaged; their demand is the largest of them.
    """
    oldest = moment.at_seconds - keep_seconds
    kept = tuple(one for one in history if oldest <= one.at_seconds < moment.at_seconds)
    step = max(tick_seconds, keep_seconds / HISTORY_MOMENTS)
    begun_seconds = kept[-2].at_seconds if len(kept) > 1 else -math.inf
    if moment.at_seconds - begun_seconds >= step:
        return (*kept, moment)
    last = kept[-1]
    ticks = last.ticks + 1
    merged = replace(
        moment,
        tokens_per_second=(last.tokens_per_second * last.ticks + moment.tokens_per_second) / ticks,
        demand_tokens_per_second=max(last.demand_tokens_per_second, moment.demand_tokens_per_second),
        lasting_tokens_per_second=max(last.lasting_tokens_per_second, moment.lasting_tokens_per_second),
        saturated=last.saturated or moment.saturated,
        ticks=ticks,
    )
    return (*kept[:-1], merged)


def rate(history: Sequence[Moment], shape: Shape, since_seconds: float, *, counted: bool = False) -> Rate | None:
    """Return the rate of arrivals now, from the past since it last changed.

    Args:
        history: moments, oldest first.
        shape: the mean request, whose length is what a count is uncertain by.
        since_seconds: nothing before is looked at, for there is a gap.
        counted: whether requests were counted, and not the tokens that they brought.

    Returns:
        None without any moment.
    """
    windows = _disjoint(history, since_seconds)
    if not windows:
        return None
    burst_tokens = _second_moment(windows, shape, 1.0 if counted else SECOND_MOMENT) * shape.generated_tokens
    careful_tokens = max(burst_tokens, SECOND_MOMENT * shape.generated_tokens)
    while unchanged := _windows_since_change(windows, burst_tokens, careful_tokens):
        windows = windows[:unchanged]
    seconds = sum(window.window_seconds for window in windows)
    mean = sum(window.tokens_per_second * window.window_seconds for window in windows) / seconds
    deviations = math.sqrt(2.0 * _chance_nats(seconds))
    below, above = (
        deviations * math.sqrt(max(mean, tokens / seconds) * tokens / seconds)
        for tokens in (burst_tokens, careful_tokens)
    )
    low, high = max(0.0, mean - below), mean + above
    return Rate(
        now=history[-1].tokens_per_second,
        low=low,
        mean=min(max(low, mean + _trend(windows, mean, burst_tokens)), high),
        careful_low=max(0.0, mean - above),
        high=math.inf if all(window.saturated for window in windows) else high,
        counted_seconds=seconds,
    )


def _disjoint(history: Sequence[Moment], since_seconds: float) -> list[Moment]:
    """Return moments whose windows share no second, newest first: their counts are independent of each other."""
    windows: list[Moment] = []
    begun_seconds = math.inf
    for moment in reversed(history):
        if moment.at_seconds < since_seconds:
            break
        if moment.at_seconds <= begun_seconds:
            windows.append(moment)
            begun_seconds = moment.at_seconds - moment.window_seconds
    return windows


def _second_moment(windows: Sequence[Moment], shape: Shape, expected: float) -> float:
    """Return m: variance by mean of what windows count, in requests, shrunk to what is expected; at least 1, Poisson's.

    From differences of neighbours (von Neumann, Ann. Math. Statist. 12(4), 1941), in which a ramp or a step counts
    little beside what it adds to the variance about a mean.
    """
    total, count = SECOND_MOMENT_WINDOWS * expected, SECOND_MOMENT_WINDOWS
    for newer, older in pairwise(windows[UNSETTLED_WINDOWS:]):
        tokens_per_second = (newer.tokens_per_second + older.tokens_per_second) / 2
        if tokens_per_second > 0:
            seconds = 2.0 / (1.0 / newer.window_seconds + 1.0 / older.window_seconds)
            square = (newer.tokens_per_second - older.tokens_per_second) ** 2 * seconds
            total += min(square / (2.0 * tokens_per_second * shape.generated_tokens), MOST_OF_A_PAIR)
            count += 1.0
    return max(1.0, total / count)


def _chance_nats(seconds: float) -> float:
    """Return the log-likelihood ratio that chance reaches in a part of the past of so many seconds."""
    return CHANCE_NATS + math.log(max(HISTORY_SECONDS / seconds, 1.0))


def _windows_since_change(windows: Sequence[Moment], burst_tokens: float, careful_tokens: float) -> int:
    """Return how many of the newest windows came after the most likely change of the rate; 0 if chance explains all.

    The likelihood ratio of one rate and two, of Poisson counts of bursts (Kulldorff, Communications in Statistics -
    Theory and Methods 26(6), 1997). A fall is told by larger bursts than a rise.
    """
    tokens = list(accumulate(window.tokens_per_second * window.window_seconds for window in windows))
    seconds = list(accumulate(window.window_seconds for window in windows))

    alike = _log_likelihood(tokens[-1], seconds[-1])

    def beyond_chance(split: int) -> float:
        newer = _log_likelihood(tokens[split], seconds[split])
        older = _log_likelihood(tokens[-1] - tokens[split], seconds[-1] - seconds[split])
        rises = tokens[split] * seconds[-1] > tokens[-1] * seconds[split]
        return (newer + older - alike) / (burst_tokens if rises else careful_tokens) - _chance_nats(seconds[split])

    nats, count = max(((beyond_chance(split), split + 1) for split in range(len(windows) - 1)), default=(0.0, 0))
    return count if nats > 0 else 0


def _log_likelihood(tokens: float, seconds: float) -> float:
    """Return the log-likelihood of a count under its own mean, without what any mean shares, in tokens for counts."""
    return tokens * (math.log(tokens) - math.log(seconds)) if tokens > 0 else 0.0


def _trend(windows: Sequence[Moment], mean: float, burst_tokens: float) -> float:
    """Return by how much the rate now is above its mean since the last change: a ramp leaves no change to be cut at.

    The least-squares slope, shrunk by what chance adds to its square (positive part; James and Stein, Proc. Fourth
    Berkeley Symposium 1, 1961), so that constant demand keeps its mean.
    """
    middles = [window.at_seconds - windows[0].at_seconds - window.window_seconds / 2 for window in windows]
    seconds = [window.window_seconds for window in windows]
    centre = sum(map(mul, middles, seconds)) / sum(seconds)
    spread = sum(length * (middle - centre) ** 2 for middle, length in zip(middles, seconds, strict=True))
    moved = sum(
        window.tokens_per_second * length * (middle - centre)
        for window, middle, length in zip(windows, middles, seconds, strict=True)
    )
    by_chance = spread * mean * burst_tokens
    return -centre * moved / spread * (1.0 - by_chance / (moved * moved)) if moved * moved > by_chance else 0.0


def backlog_requests(readings_and_loads: Sequence[tuple[Reading, PodLoad | None]]) -> float:
    """Return the requests beyond those that a fleet at capacity has by chance (design, section 4).

    At capacity a pod has N̄ requests with variance φ·N̄; n pods have ``n·N̄ + z·sqrt(n·φ·N̄)``. Of a pod whose capacity
    is not known, those that wait are the backlog.
    """
    excess = variance = 0.0
    for reading, load in readings_and_loads:
        if load is None:
            excess += reading.waiting_requests
        else:
            usual = load.requests
            excess += requests_in(reading) - usual
            variance += load.spread * usual
    return max(0.0, excess - QUEUE_CONFIDENCE * math.sqrt(variance))
