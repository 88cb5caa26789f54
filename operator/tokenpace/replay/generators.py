"""Traffic that is drawn, and recorded traffic that is made larger, denser or rougher. The same seed, the same traffic.

The seed comes first everywhere, so that `functools.partial` of the rest is what a `Scenario` holds.

Open-loop arrivals are a Poisson process whose rate follows a curve: drawn evenly at the curve's peak, and each kept
with the chance that the curve leaves it (thinning; Lewis and Shedler, Naval Research Logistics 26(3), 1979).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tokenpace.replay.traffic import Request, Traffic

CLIENTS: Final = 64
"""Who sends open-loop requests, where nothing else is said; each request is of any of them."""

CONTEXT_TOKENS: Final = 16_384
"""No drawn prompt or answer is longer. The longest recorded prompt has 14,050 tokens."""

Curve = tuple[tuple[float, float], ...]
"""Requests a second by time: corners (seconds, requests a second) with straight lines between them. Two corners at the
same time are a jump."""

Numbers = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.int64]
"""Prompt and generated tokens: one row a request."""

Lengths = Callable[[np.random.Generator, int], Pairs]
"""Draws the lengths of so many requests."""


def steady(rate: float) -> Curve:
    """Return a rate that stays."""
    return ((0.0, rate),)


def step(rate: float, factor: float, *, at_seconds: float) -> Curve:
    """Return a rate that jumps to ``factor`` times itself, and stays there."""
    return ((0.0, rate), (at_seconds, rate), (at_seconds, factor * rate))


def ramp(low: float, high: float, *, since_seconds: float, until_seconds: float) -> Curve:
    """Return a rate that grows evenly between two moments."""
    return ((0.0, low), (since_seconds, low), (until_seconds, high))


def sine_day(low: float, high: float, *, day_seconds: float) -> Curve:
    """Return a day that begins and ends at its quietest and is busiest in the middle."""
    times = np.linspace(0.0, day_seconds, 97)
    rates = low + (high - low) * (1.0 - np.cos(2.0 * np.pi * times / day_seconds)) / 2.0
    return tuple(zip(times.tolist(), rates.tolist(), strict=True))


def on_off(rate: float, *, on_seconds: float, off_seconds: float, seconds: float) -> Curve:
    """Return spells of work with silence between them, work first."""
    corners: list[tuple[float, float]] = []
    for start in np.arange(0.0, seconds, on_seconds + off_seconds).tolist():
        corners += [(start, 0.0), (start, rate), (start + on_seconds, rate), (start + on_seconds, 0.0)]
    return tuple(corners)


def flash_crowd(rate: float, factor: float, *, at_seconds: float, rise_seconds: float, lasts_seconds: float) -> Curve:
    """Return a rate that rises steeply to ``factor`` times itself, stays, and falls back over twice the rise."""
    up, down = at_seconds + rise_seconds, at_seconds + rise_seconds + lasts_seconds
    top = factor * rate
    return ((0.0, rate), (at_seconds, rate), (up, top), (down, top), (down + 2 * rise_seconds, rate))


@dataclass(frozen=True, slots=True)
class RecordedLengths:
    """Pairs of a recording, each as likely as any other: long prompts keep the answers that they had."""

    pairs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, requests: Sequence[Request]) -> "RecordedLengths":
        """Return the lengths of recorded requests."""
        return cls(tuple((request.prompt_tokens, request.generated_tokens) for request in requests))

    def __call__(self, chance: np.random.Generator, count: int) -> Pairs:
        """Draw with replacement."""
        drawn = [self.pairs[index] for index in chance.integers(len(self.pairs), size=count)]
        return np.array(drawn, dtype=np.int64).reshape(count, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormalLengths:
    """Lengths whose logarithms are normal, prompt and answer independent of each other, cut off at the context."""

    prompt_mean: float
    generated_mean: float
    deviation: float = 0.8
    """Standard deviation of the logarithm. With 0.8 E[X²]/E[X]² is 1.9, as of the recorded prompts (answers: 1.6)."""
    most_tokens: int = CONTEXT_TOKENS

    def __call__(self, chance: np.random.Generator, count: int) -> Pairs:
        """Draw; means are those before the cut."""
        medians = np.array([self.prompt_mean, self.generated_mean]) * math.exp(-(self.deviation**2) / 2)
        drawn = medians * np.exp(self.deviation * chance.standard_normal((count, 2)))
        return _whole_tokens(drawn, self.most_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoLengths:
    """Heavy-tailed lengths, cut off at the context: few requests bring most of the tokens."""

    prompt_mean: float
    generated_mean: float
    index: float = 1.5
    """Tail index, above 1; the smaller, the heavier."""
    most_tokens: int = CONTEXT_TOKENS

    def __call__(self, chance: np.random.Generator, count: int) -> Pairs:
        """Draw; means are those before the cut."""
        smallest = np.array([self.prompt_mean, self.generated_mean]) * (self.index - 1.0) / self.index
        drawn = smallest * (1.0 + chance.pareto(self.index, size=(count, 2)))
        return _whole_tokens(drawn, self.most_tokens)


def _whole_tokens(drawn: Numbers, most: int) -> Pairs:
    return np.clip(np.rint(drawn), 1, most).astype(np.int64)


def drawn(
    seed: int,
    /,
    *,
    name: str,
    curve: Curve,
    lengths: Lengths,
    seconds: float,
    clients: int = CLIENTS,
    stay_seconds: float = math.inf,
) -> Traffic:
    """Return open-loop traffic: Poisson arrivals along a curve, each with lengths of its own.

    Args:
        seed: of all chance.
        name: for the report.
        curve: requests a second.
        lengths: of prompts and answers.
        seconds: length of the replay.
        clients: how many there are at a time; each request is of any of them.
        stay_seconds: after so long a client is followed by a new one, at a moment of its own.
    """
    chance = np.random.default_rng(seed)
    peak = max(rate for _, rate in curve)
    times = np.sort(chance.uniform(0.0, seconds, size=chance.poisson(peak * seconds)))
    times = times[chance.uniform(0.0, peak, size=times.size) < _rates(curve, times)]
    pairs = lengths(chance, times.size)
    seats = chance.integers(clients, size=times.size)
    senders = seats + clients * np.floor(times / stay_seconds + seats / clients).astype(np.int64)
    return Traffic(name=name, seconds=seconds, requests=_requests(times, pairs, senders))


def _rates(curve: Curve, times: Numbers) -> Numbers:
    """Return the curve's requests a second at each time; before its first corner and after its last it is level."""
    at, rate = zip(*curve, strict=True)
    return np.asarray(np.interp(times, at, rate), dtype=np.float64)


def _requests(times: Numbers, pairs: Pairs, senders: npt.NDArray[np.int64]) -> tuple[Request, ...]:
    columns: tuple[list[Any], ...] = (times.tolist(), *pairs.T.tolist(), senders.tolist())
    return tuple(map(Request, *columns))


def cut(requests: Sequence[Request], since_seconds: float, until_seconds: float) -> tuple[Request, ...]:
    """Return the requests of a part of a recording, timed from its beginning."""
    return tuple(
        request._replace(at_seconds=request.at_seconds - since_seconds)
        for request in requests
        if since_seconds <= request.at_seconds < until_seconds
    )


def denser(requests: Sequence[Request], factor: float) -> tuple[Request, ...]:
    """Return the requests in 1/``factor`` of their time: the same day, lived faster."""
    return tuple(request._replace(at_seconds=request.at_seconds / factor) for request in requests)


def overlaid(
    seed: int, /, *, name: str, requests: Sequence[Request], copies: int, seconds: float, clients: int = CLIENTS
) -> Traffic:
    """Return a recording laid over itself, each copy begun at a moment of its own and wound round at the end.

    The copies keep what a Poisson process has not: minutes busier than chance, and requests that come together.
    """
    chance = np.random.default_rng(seed)
    recorded = np.array([request.at_seconds for request in requests])
    pairs = np.array(RecordedLengths.of(requests).pairs, dtype=np.int64).reshape(-1, 2)
    times = np.concatenate([(recorded + shift) % seconds for shift in chance.uniform(0.0, seconds, size=copies)])
    order = np.argsort(times, kind="stable")
    pairs, senders = np.tile(pairs, (copies, 1))[order], chance.integers(clients, size=times.size)
    return Traffic(name=name, seconds=seconds, requests=_requests(times[order], pairs, senders))


def thinned(seed: int, /, *, traffic: Traffic, curve: Curve) -> Traffic:
    """Return the traffic with a curve cut into it: each request stays with the chance rate / peak of its moment."""
    times = np.array([request.at_seconds for request in traffic.requests])
    kept = _rates(curve, times) > np.random.default_rng(seed).uniform(0.0, max(rate for _, rate in curve), times.size)
    return replace(
        traffic, requests=tuple(request for request, stays in zip(traffic.requests, kept, strict=True) if stays)
    )


def longer_prompts(traffic: Traffic, factor: float, *, since_seconds: float) -> Traffic:
    """Return the traffic with prompts ``factor`` times as long from a moment on, and the same answers."""
    return replace(
        traffic,
        requests=tuple(
            request._replace(prompt_tokens=min(round(request.prompt_tokens * factor), CONTEXT_TOKENS))
            if request.at_seconds >= since_seconds
            else request
            for request in traffic.requests
        ),
    )


@dataclass(slots=True)
class ThinkingClients:
    """Clients that send their next request some time after the answer to their last: slow service, less demand.

    The n-th request of a client is the same whatever the service does; when it comes depends on the service. It counts
    where each client stands: make one for each replay.
    """

    lengths: Lengths
    think_seconds: float
    """Mean of the exponential time between an answer and the next request."""
    until_seconds: float
    """No request comes later."""
    seed: int
    _chances: dict[int, np.random.Generator] = field(default_factory=dict, init=False, repr=False)

    def after(self, request: Request, ended_at_seconds: float, /) -> Request | None:
        """Return the client's next request."""
        return self._next(request.client, ended_at_seconds)

    def first(self, clients: int) -> tuple[Request, ...]:
        """Return the first request of each client, in the order of their times."""
        begun = (self._next(client, 0.0) for client in range(clients))
        return tuple(sorted(request for request in begun if request is not None))

    def _next(self, client: int, free_since_seconds: float) -> Request | None:
        if client not in self._chances:
            self._chances[client] = np.random.default_rng([self.seed, client])
        chance = self._chances[client]
        at_seconds = free_since_seconds + float(chance.exponential(self.think_seconds))
        ((prompt, generated),) = self.lengths(chance, 1).tolist()
        return Request(at_seconds, prompt, generated, client) if at_seconds < self.until_seconds else None


def closed_loop(
    seed: int, /, *, name: str, lengths: Lengths, clients: int, think_seconds: float, seconds: float
) -> Traffic:
    """Return traffic of clients that wait for each answer and think before they ask again."""
    thinking = ThinkingClients(lengths, think_seconds, seconds, seed)
    return Traffic(name=name, seconds=seconds, requests=thinking.first(clients), reply=thinking)
