"""What pods did at work, averaged: times by token and streams by second, before the two are compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tokenpace.planning.balance import Costs
from tokenpace.planning.belief import bounded
from tokenpace.planning.observation import Reading

AVERAGING_SECONDS = 200.0
"""Time constant of the averages, in time at work. With single windows of 30 s a four-slot pod seems 6 % too fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a pod did: sums over seconds at work, fading with `AVERAGING_SECONDS`."""

    seconds: float = 0.0
    tokens: float = 0.0
    stream_seconds: float = 0.0
    """Σ y·g: times are averaged by token, for requests are what is timed."""
    streams: float = 0.0
    """Σ k: streams are averaged by second, for that is what an arrival meets."""
    square_streams: float = 0.0
    """Σ k²: of the windows' means."""
    prompt_tokens: float = 0.0

    @property
    def seconds_per_token(self) -> float:
        """Mean y."""
        return bounded(self.stream_seconds / self.tokens)

    @property
    def mean_streams(self) -> float:
        """Mean k."""
        return self.streams / self.seconds

    @property
    def variance_of_streams(self) -> float:
        """Of the windows' means."""
        return max(0.0, self.square_streams / self.seconds - self.mean_streams**2)

    @property
    def prompt_ratio(self) -> float:
        """Mean r."""
        return self.prompt_tokens / self.tokens

    def after(self, readings: Sequence[Reading], costs: Costs | None, seconds: float) -> "Work":
        """Return the sums after ``seconds`` in which pods did what their readings say."""
        kept, each = math.exp(-seconds / AVERAGING_SECONDS), seconds / len(readings)
        streams = [decoding_streams(one, costs) for one in readings]
        return Work(
            seconds=self.seconds * kept + seconds,
            tokens=self.tokens * kept + each * sum(one.generated_tokens_per_second for one in readings),
            stream_seconds=self.stream_seconds * kept + each * sum(map(_stream_seconds, readings, streams)),
            streams=self.streams * kept + each * sum(streams),
            square_streams=self.square_streams * kept + each * sum(one**2 for one in streams),
            prompt_tokens=self.prompt_tokens * kept + each * sum(one.prompt_tokens_per_second for one in readings),
        )


def decoding_streams(reading: Reading, costs: Costs | None) -> float:
    """Return the mean streams that generate: engines count those in prefill as running, and they are taken off."""
    prompt_token_seconds = reading.seconds_per_prompt_token or (costs.prompt_token_seconds if costs else 0.0)
    prefilling = min(prompt_token_seconds * reading.prompt_tokens_per_second, 1.0)
    return max(reading.running_streams - prefilling, 0.0)


def _stream_seconds(reading: Reading, streams: float) -> float:
    """Return y·g of a pod: by its own clock, else k."""
    if reading.seconds_per_output_token is None:
        return streams
    return reading.seconds_per_output_token * reading.generated_tokens_per_second
