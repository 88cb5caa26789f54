"""Figures of a stretch of time from the streams in it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenpace.bench.percentiles import percentile
from tokenpace.bench.stream import End, Stream


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `begin` (exclusive) to `end` (inclusive), in seconds of the streams' clock."""

    begin: float
    end: float

    def __contains__(self, moment: float | None) -> bool:
        """Whether a moment lies in it; one that never came does not."""
        return moment is not None and self.begin < moment <= self.end


def figures(
    ended: Sequence[Stream], in_flight: Collection[Stream], stretch: Stretch, max_tokens: int, served_tokens: int
) -> dict[str, Any]:
    """What clients saw in a stretch of time.

    Args:
        ended: the streams that ended in it.
        in_flight: the streams that had not ended at its end.
        stretch: the time in question.
        max_tokens: tokens that each stream asks for.
        served_tokens: tokens that arrived in it, of streams that ended and of others.

    Returns:
        Rates in tokens/s, times in seconds; None where there is nothing to tell, which is not 0. First-token times are
        of the streams whose first token came in the stretch, speeds of those that ended complete in it.

    """
    seconds = stretch.end - stretch.begin
    streams = [*ended, *in_flight]
    arrived = [stream for stream in streams if stream.scheduled_at in stretch]
    waits = [stretch.end - stream.scheduled_at for stream in in_flight if stream.first_token_at is None]
    ends = Counter(stream.end for stream in ended)
    return {
        "seconds": seconds,
        "offered_tokens_per_second": len(arrived) * max_tokens / seconds,
        "served_tokens_per_second": served_tokens / seconds,
        "in_flight": len(in_flight),
        "longest_wait_seconds": max(waits, default=None),
        "first_token_seconds": _percentiles(
            (s.first_token_seconds for s in streams if s.first_token_at in stretch), 95
        ),
        "stream_tokens_per_second": _percentiles((s.tokens_per_second for s in ended if s.end is End.COMPLETE), 5),
        "latest_dispatch_seconds": max((s.sent_at - s.scheduled_at for s in arrived if s.sent_at), default=None),
        "failed": len(ended) - ends[End.COMPLETE],
        "ends": {end.value: ends[end] for end in End},
    }


def totals(ended: Sequence[Stream]) -> dict[str, Any]:
    """What only the end of a run can say: sums, and the first few failures in words."""
    prompts = [stream.prompt_tokens for stream in ended if stream.prompt_tokens is not None]
    return {
        "streams": len(ended),
        "tokens": sum(stream.tokens for stream in ended),
        "mean_prompt_tokens": sum(prompts) / len(prompts) if prompts else None,
        "failures": [f"{s.end}: {s.detail}" for s in ended if s.end is not End.COMPLETE][:10],
    }


def stream_figures(stream: Stream) -> dict[str, Any]:
    """One stream that has ended, for those who want other percentiles of other stretches of time."""
    return {
        "end": stream.end,
        "first_token_seconds": stream.first_token_seconds,
        "tokens_per_second": stream.tokens_per_second,
        "tokens": stream.tokens,
        "prompt_tokens": stream.prompt_tokens,
        "detail": stream.detail,
    }


def _percentiles(values: Iterable[float | None], tail_per_cent: float) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    return {f"p{per_cent:02g}": percentile(known, per_cent) for per_cent in (50, tail_per_cent)}
