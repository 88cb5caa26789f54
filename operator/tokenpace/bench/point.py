"""Figures of one point from its streams. Pure.

The field's definitions, each where it is computed; `tokenpace.bench.result` says which figure has which.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from tokenpace.bench.percentiles import percentile
from tokenpace.bench.result import Distribution, Point
from tokenpace.bench.stream import End, Stream

MOST_LAG_SECONDS: Final = 0.01
MOST_LAG_SHARE: Final = 0.1
"""A point counts if median and 99th percentile of the lag are within 10 ms, or within 10 % of the same percentile of
the time to the first token, whichever is more. Slower, the program measures itself: it reads tokens in the same loop in
which it sends, and requests that are due at random moments find that loop as tokens do."""

MOST_UNSERVED: Final = 0.1
"""The share of the offered requests that may be left unserved, or turned away, before a server is full."""
BUSY_SHARE: Final = 0.5
"""Of a point's time, in which somebody has to wait at a server that is full. Fewer may have been served because, by
chance, fewer came: then nobody waits."""
HURRIED: Final = 2.0
"""A request waits from this many times the first-token time of a request on its own after it was due: its prompt may be
read meanwhile, beside others."""

SERVED: Final = (End.COMPLETE, End.SHORT)
"""A benchmark cannot make every server ignore the end of sequence; a short answer is an answer."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `begin` (exclusive) to `end` (inclusive), in seconds of the streams' clock."""

    begin: float
    end: float

    def __contains__(self, moment: float | None) -> bool:
        """Whether a moment lies in it; one that never came does not."""
        return moment is not None and self.begin < moment <= self.end

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.begin


def distribution(values: Iterable[float | None]) -> Distribution | None:
    """Return the distribution of those values that are known; None of none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    ranks = {f"p{per_cent}": percentile(known, per_cent) or 0.0 for per_cent in (50, 90, 95, 99)}
    return Distribution(count=len(known), mean=sum(known) / len(known), **ranks)


def point(
    streams: Collection[Stream],
    window: Window,
    *,
    warm_up_seconds: float,
    offered_requests_per_second: float,
    lone_first_token_seconds: float,
) -> Point:
    """Return what clients saw in a window.

    Args:
        streams: all of the point, those before the window and those that were cut after it among them.
        window: the time in question.
        warm_up_seconds: of arrivals before the window.
        offered_requests_per_second: that the schedule was drawn for.
        lone_first_token_seconds: of a request on its own.
    """
    due = [stream for stream in streams if stream.scheduled_at in window]
    served = [stream for stream in due if stream.end in SERVED]
    failed = [stream for stream in due if has_failed(stream)]
    first_token = distribution(stream.first_token_seconds for stream in due)
    lag = distribution(stream.sent_at - stream.scheduled_at for stream in due if stream.sent_at is not None)
    refused = refusal(due, first_token, lag)
    frame = Point(
        offered_requests_per_second=offered_requests_per_second,
        arrived_requests_per_second=len(due) / window.seconds,
        seconds=window.seconds,
        warm_up_seconds=warm_up_seconds,
        completed=len(served),
        failed=len(failed),
        refused=refused,
        saturated=is_saturated(
            streams,
            window,
            offered_requests_per_second=offered_requests_per_second,
            lone_first_token_seconds=lone_first_token_seconds,
        ),
        lag_seconds=lag,
        **dict.fromkeys(_FIGURES),
    )
    if refused is not None:
        return frame
    lending = [stream for stream in streams if not has_failed(stream)]
    tokens, characters = generated_in(lending, window)
    prompts = sum(prompt for moment, prompt in prompts_begun(lending) if moment in window)
    figures = {
        "streams": sum(overlap_seconds(stream, window) for stream in lending) / window.seconds,
        "generation_tokens_per_second": tokens / window.seconds,
        "prefill_tokens_per_second": prompts / window.seconds,
        "characters_per_second": characters / window.seconds,
        "first_token_seconds": first_token,
        "seconds_per_token": (per_token := distribution(stream.seconds_per_token for stream in served)),
        "token_gap_seconds": distribution(gap for stream in served for gap in gaps(stream)),
        "request_seconds": distribution(
            stream.last_token_at - stream.scheduled_at for stream in served if stream.last_token_at is not None
        ),
        "stream_tokens_per_second": None if per_token is None else _speeds(per_token, served),
    }
    return frame.model_copy(update=figures)


_FIGURES: Final = (
    "streams",
    "generation_tokens_per_second",
    "prefill_tokens_per_second",
    "characters_per_second",
    "first_token_seconds",
    "seconds_per_token",
    "token_gap_seconds",
    "request_seconds",
    "stream_tokens_per_second",
)


def refusal(due: Sequence[Stream], first_token: Distribution | None, lag: Distribution | None) -> str | None:
    """Return why a point says nothing of the server, None where it does."""
    if not due or lag is None:
        return "no request was due in its time: measure for longer"
    if first_token is None:
        details = {stream.detail for stream in due if stream.detail}
        return f"not one request got a token: {'; '.join(sorted(details)[:3]) or 'all were still waiting'}"
    for share, late, seconds in (("half", lag.p50, first_token.p50), ("1 %", lag.p99, first_token.p99)):
        most = max(MOST_LAG_SECONDS, MOST_LAG_SHARE * seconds)
        if late > most:
            return (
                f"the generator lagged: {share} of the requests were sent {1000 * late:.0f} ms late or more, "
                f"{1000 * most:.0f} ms is allowed: give it more CPU or offer less"
            )
    return None


def is_saturated(
    streams: Collection[Stream],
    window: Window,
    *,
    offered_requests_per_second: float,
    lone_first_token_seconds: float,
) -> bool:
    """Tell whether more was offered than is served.

    What ended is compared with the rate that was offered, and not with what came: arrivals of 25 requests differ by
    a fifth from their rate, and what a full server ends hardly does. It is full where somebody waits most of the time,
    no fewer are in flight in the end, and a tenth of what was offered is not served. On a simulated server of four
    slots that tells 1.5 times its capacity in 8 to 9 points of 10 with 25 requests, and takes 0.8 times for it in none
    of 100 (tests/bench/test_saturation.py).

    A server that turns requests away, or lets clients wait until they give up, does not let them wait on, but it is as
    full.
    """
    came = sum(stream.scheduled_at in window for stream in streams)
    turned_away = sum(has_failed(stream) and stream.scheduled_at in window for stream in streams)
    ended = sum(stream.end in SERVED and stream.last_token_at in window for stream in streams)
    before, after = (_in_flight(streams, moment) for moment in (window.begin, window.end))
    is_behind = ended < (1 - MOST_UNSERVED) * offered_requests_per_second * window.seconds and after >= before
    waited = waited_seconds(streams, window, HURRIED * lone_first_token_seconds)
    return turned_away > MOST_UNSERVED * came or (is_behind and waited > BUSY_SHARE * window.seconds)


def waited_seconds(streams: Iterable[Stream], window: Window, patience_seconds: float) -> float:
    """Return for how long of the window somebody had waited for a first token for longer than so many seconds."""
    waits = sorted(
        (stream.scheduled_at + patience_seconds, window.end if stream.first_token_at is None else stream.first_token_at)
        for stream in streams
        if not has_failed(stream)
    )
    waited, reached = 0.0, window.begin
    for begin, end in waits:
        seen = max(begin, reached), min(end, window.end)
        waited += max(0.0, seen[1] - seen[0])
        reached = max(reached, seen[1])
    return waited


def _in_flight(streams: Collection[Stream], moment: float) -> int:
    return sum(
        stream.scheduled_at <= moment
        and (stream.end is None or (stream.last_token_at is not None and stream.last_token_at > moment))
        for stream in streams
    )


def has_failed(stream: Stream) -> bool:
    """Tell whether a stream ended otherwise than with an answer; one that was still running when it was cut has not."""
    return stream.end is not None and stream.end not in SERVED


def prompts_begun(streams: Collection[Stream]) -> list[tuple[float, float]]:
    """Return when each stream's first token came, with the length of its prompt.

    A server counts a prompt in the last chunk, which a stream that was cut never got: its prompt is taken to be as long
    as the others are in the mean, and 0 only where none was counted.
    """
    known = [stream.prompt_tokens for stream in streams if stream.prompt_tokens is not None]
    usual = fmean(known) if known else 0.0
    return [
        (stream.first_token_at, usual if stream.prompt_tokens is None else float(stream.prompt_tokens))
        for stream in streams
        if stream.first_token_at is not None
    ]


def generated_in(streams: Iterable[Stream], window: Window) -> tuple[float, float]:
    """Return tokens and characters that came in a window, of all these streams.

    A chunk counts as its stream's tokens by its stream's chunks, so that servers which put several tokens into one, or
    half a character, are counted as they count themselves.
    """
    tokens = characters = 0.0
    for stream in streams:
        if stream.event_times:
            share = sum(moment in window for moment in stream.event_times) / len(stream.event_times)
            tokens += share * stream.tokens
            characters += share * stream.characters
    return tokens, characters


def overlap_seconds(stream: Stream, window: Window) -> float:
    """Return for how long of the window a stream was being generated, from its first token to its last."""
    if stream.first_token_at is None or stream.last_token_at is None:
        return 0.0
    return max(0.0, min(stream.last_token_at, window.end) - max(stream.first_token_at, window.begin))


def gaps(stream: Stream) -> Iterable[float]:
    """Return the seconds between each two chunks."""
    return (after - before for before, after in zip(stream.event_times, stream.event_times[1:], strict=False))


def _speeds(per_token: Distribution, served: Iterable[Stream]) -> Distribution:
    speeds = [stream.tokens_per_second for stream in served if stream.tokens_per_second is not None]
    return Distribution(
        count=len(speeds),
        mean=sum(speeds) / len(speeds),
        p50=1 / per_token.p50,
        p90=1 / per_token.p90,
        p95=1 / per_token.p95,
        p99=1 / per_token.p99,
    )
