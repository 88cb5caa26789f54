"""What is offered when: a schedule that is fixed before the first request is sent."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from tokenpace.traces import Request


class Schedule(Protocol):
    """Requests without end, at a rate."""

    @property
    def prompt_tokens(self) -> int:
        """Of a request, in the mean."""

    @property
    def generated_tokens(self) -> int:
        """Of a request, in the mean."""

    def arrivals(self, rate: float, randomness: random.Random, /) -> Iterator[Request]:
        """Yield arrivals in the order of their times, ``rate`` of them a second in the mean."""


@dataclass(frozen=True, slots=True)
class Poisson:
    """Arrivals that know nothing of each other, with lengths drawn evenly around their means."""

    prompt_tokens: int
    generated_tokens: int
    spread: float
    """Lengths are from (1 - spread) to (1 + spread) times the mean: what tells the cost of a prompt token from that of
    a generated one (`tokenpace.bench.fit`)."""

    def arrivals(self, rate: float, randomness: random.Random, /) -> Iterator[Request]:
        """Yield arrivals with exponential gaps."""
        at_seconds = 0.0
        while True:
            at_seconds += randomness.expovariate(rate)
            yield Request(
                at_seconds,
                around(self.prompt_tokens, self.spread, randomness),
                around(self.generated_tokens, self.spread, randomness),
            )


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded arrivals with their lengths, lived faster or slower so that they have the rate.

    Begun again when they are over. What makes recorded traffic rougher than Poisson's stays.
    """

    requests: Sequence[Request]
    """In the order of their times, the first at 0."""

    @property
    def prompt_tokens(self) -> int:
        """The recording's mean."""
        return round(fmean(request.prompt_tokens for request in self.requests))

    @property
    def generated_tokens(self) -> int:
        """The recording's mean, and at least the two tokens that have a time between them."""
        return max(2, round(fmean(request.generated_tokens for request in self.requests)))

    def arrivals(self, rate: float, _randomness: random.Random, /) -> Iterator[Request]:
        """Yield the recording, stretched."""
        mean_gap = self.requests[-1].at_seconds / max(len(self.requests) - 1, 1)
        stretch = 1 / (rate * mean_gap) if mean_gap > 0 else 1.0
        begin = 0.0
        while True:
            for request in self.requests:
                yield request._replace(at_seconds=begin + request.at_seconds * stretch)
            begin += (self.requests[-1].at_seconds + mean_gap) * stretch or len(self.requests) / rate


def around(mean: int, spread: float, randomness: random.Random) -> int:
    """Return a whole number around a mean, at least 1."""
    return max(1, round(randomness.uniform(1 - spread, 1 + spread) * mean))
