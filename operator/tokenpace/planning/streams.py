"""The speed that streams have now, estimated on every engine: ``Σ g·1[1/y ≥ s] / Σ g`` over pods and a minute.

Each pod's mean speed stands for all its streams, which hides the spread between them: an estimate. Pods are weighed
by the tokens they generate, because a percentile of *requests* is promised and a pod finishes g/O of them a second.
Weighing by streams (design, section 4) counts a request the more often the slower it is: with a median exactly on
target it would find far less than half of the streams fast enough.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tokenpace.planning.observation import Reading

SLOT_SECONDS = 60.0
"""Time is judged in slots of a minute: what is estimated is averaged over about one."""


def stream_tokens_per_second(reading: Reading) -> float | None:
    """Return the speed of a pod's mean stream: as the engine timed it, else g/k (Little); None of an idle pod."""
    if reading.seconds_per_output_token is not None:
        return 1.0 / reading.seconds_per_output_token
    if reading.generated_tokens_per_second <= 0 or reading.running_streams <= 0:
        return None
    return reading.generated_tokens_per_second / reading.running_streams


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShare:
    """Tokens by whether their stream was fast enough, fading with `SLOT_SECONDS`."""

    fast_tokens: float = 0.0
    tokens: float = 0.0

    @property
    def share(self) -> float | None:
        """Share of requests that were fast enough; None where there were none."""
        return self.fast_tokens / self.tokens if self.tokens > 0 else None

    def after(self, readings: Iterable[Reading], target: float, elapsed_seconds: float) -> "StreamShare":
        """Return the shares after pods did what their readings say, for ``elapsed_seconds``."""
        kept = math.exp(-elapsed_seconds / SLOT_SECONDS)
        fast, total = self.fast_tokens * kept, self.tokens * kept
        for reading in readings:
            speed = stream_tokens_per_second(reading)
            tokens = reading.generated_tokens_per_second * elapsed_seconds
            total += tokens
            fast += tokens if speed is not None and speed >= target else 0.0
        return StreamShare(fast_tokens=fast, tokens=total)


def mean_stream_tokens_per_second(readings: Iterable[Reading]) -> float | None:
    """Return the speed of the mean stream of all pods, Σ g / Σ g·y; None where nothing is generated."""
    tokens = seconds = 0.0
    for reading in readings:
        speed = stream_tokens_per_second(reading)
        if speed is not None and speed > 0 and reading.generated_tokens_per_second > 0:
            tokens += reading.generated_tokens_per_second
            seconds += reading.generated_tokens_per_second / speed
    return tokens / seconds if seconds > 0 else None
