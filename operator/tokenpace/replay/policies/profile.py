"""What a benchmark of one pod before its deployment shows: the truth, for those who scale on one."""

import math
from dataclasses import dataclass

from tokenpace.replay.truth import Speeds


@dataclass(frozen=True, slots=True)
class Profile:
    """A pod's speed by the number of its streams, with requests of one shape."""

    speeds: Speeds
    prompt_tokens: float
    generated_tokens: float

    @property
    def most_streams(self) -> int:
        """How many fit its batch and its memory."""
        slots, tokens = len(self.speeds.step_seconds), self.speeds.kv_tokens
        held = max(1.0, self.prompt_tokens + self.generated_tokens / 2)
        return slots if tokens is None else max(1, min(slots, int(tokens / held)))

    def inter_token_seconds(self, streams: float) -> float:
        """Return the mean time between a stream's tokens: a step, and its share of the prompts read meanwhile."""
        streams = min(max(streams, 1.0), float(self.most_streams))
        below, above = math.floor(streams), math.ceil(streams)
        step = self.speeds.step_seconds[below - 1]
        step += (streams - below) * (self.speeds.step_seconds[above - 1] - step)
        prompt_seconds = self.speeds.prompt_seconds(round(self.prompt_tokens))
        return step + streams * prompt_seconds / max(1.0, self.generated_tokens)

    def tokens_per_second(self, streams: int) -> float:
        """Return what it generates with so many streams."""
        return streams / self.inter_token_seconds(streams)

    def best_tokens_per_second(self, inter_token_seconds: float) -> float:
        """Return the speed with the most streams that keep a latency; that of a single stream where none do."""
        kept = (n for n in range(self.most_streams, 0, -1) if self.inter_token_seconds(n) <= inter_token_seconds)
        return self.tokens_per_second(next(kept, 1))
