"""What is offered when: tokens/s over time, and the arrivals that follow from it."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which the demand goes in a straight line from one value to another."""

    start_tokens_per_second: float
    end_tokens_per_second: float
    seconds: float

    @property
    def tokens(self) -> float:
        """Tokens asked for in the whole segment."""
        return (self.start_tokens_per_second + self.end_tokens_per_second) / 2 * self.seconds

    def rate_at(self, elapsed: float) -> float:
        """Demand in tokens/s, `elapsed` seconds after the segment's begin."""
        share = elapsed / self.seconds
        return self.start_tokens_per_second * (1 - share) + self.end_tokens_per_second * share

    def seconds_until(self, tokens: float) -> float:
        """Seconds from the segment's begin until so many tokens have been asked for: the inverse of the integral.

        `tokens` is between 0 (exclusive) and the segment's own. The root is taken in the form without a difference of
        large numbers, which also holds for a flat segment.
        """
        slope = (self.end_tokens_per_second - self.start_tokens_per_second) / self.seconds
        rate_then = math.sqrt(max(0.0, self.start_tokens_per_second**2 + 2 * slope * tokens))
        return 2 * tokens / (self.start_tokens_per_second + rate_then)


@dataclass(frozen=True, slots=True)
class Profile:
    """Segments one after the other."""

    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `20:60,40-80:120`: 20 tokens/s for 60 s, then a ramp from 40 to 80 in 120 s.

        Raises:
            ValueError: a segment is not `RATE:SECONDS` or `FROM-TO:SECONDS` in numbers that make sense.

        """
        return cls(tuple(_segment(part) for part in text.split(",")))

    @property
    def seconds(self) -> float:
        """How long the profile lasts."""
        return sum(segment.seconds for segment in self.segments)

    def rate_at(self, elapsed: float) -> float:
        """Demand in tokens/s, `elapsed` seconds after the profile's begin; 0 once it is over."""
        for segment in self.segments:
            if elapsed < segment.seconds:
                return segment.rate_at(elapsed)
            elapsed -= segment.seconds
        return 0.0

    def arrivals(self, *, tokens_per_stream: int, randomness: random.Random) -> Iterator[float]:
        """Seconds after the begin at which streams arrive: Poisson, of rate demand / tokens per stream.

        A Poisson process of any rate is one of rate 1 seen on the clock of its integrated rate (time change:
        Cinlar, Introduction to Stochastic Processes, chapter 4.7). So the gaps are exponential in *tokens asked for*,
        and each segment turns tokens back into seconds.
        """
        begin = 0.0
        tokens = randomness.expovariate(1 / tokens_per_stream)
        for segment in self.segments:
            while 0 < tokens <= segment.tokens:
                yield begin + segment.seconds_until(tokens)
                tokens += randomness.expovariate(1 / tokens_per_stream)
            tokens -= segment.tokens
            begin += segment.seconds


def _segment(text: str) -> Segment:
    rates, colon, seconds = text.partition(":")
    start, dash, end = rates.partition("-")
    try:
        segment = Segment(float(start), float(end if dash else start), float(seconds))
    except ValueError:
        segment = None
    if not colon or segment is None or not _makes_sense(segment):
        raise ValueError(f"profile segment {text!r}: write RATE:SECONDS or FROM-TO:SECONDS, as in 20:60 or 40-80:120")
    return segment


def _makes_sense(segment: Segment) -> bool:
    numbers = (segment.start_tokens_per_second, segment.end_tokens_per_second, segment.seconds)
    return all(math.isfinite(number) and number >= 0 for number in numbers) and segment.seconds > 0
