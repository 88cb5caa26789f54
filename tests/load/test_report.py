from collections.abc import Collection, Sequence
from typing import Any

from loadgen.report import Stretch, figures, totals

from tokenpace.bench.stream import End, Stream

WHOLE = Stretch(0, 10)


def stream(
    scheduled_at: float = 1.0, *, first: float | None = 2.0, last: float = 5.0, end: End | None = End.COMPLETE
) -> Stream:
    seen = Stream(scheduled_at, sent_at=scheduled_at, prompt_tokens=30, end=end)
    if first is not None:
        seen.event_times, seen.tokens = [first, first, last, last], 4
    return seen


def report(
    ended: Sequence[Stream] = (), in_flight: Collection[Stream] = (), stretch: Stretch = WHOLE, served_tokens: int = 0
) -> dict[str, Any]:
    return figures(ended, in_flight, stretch, max_tokens=4, served_tokens=served_tokens)


def test_offered_counts_arrivals_and_served_counts_tokens() -> None:
    line = report(ended=[stream()], in_flight=[stream(end=None)], served_tokens=7)
    assert (line["offered_tokens_per_second"], line["served_tokens_per_second"]) == (0.8, 0.7)


def test_an_arrival_on_the_edge_belongs_to_one_stretch_only() -> None:
    on_edge = stream(scheduled_at=10.0, first=11.0)
    offered = [report([on_edge], stretch=part)["offered_tokens_per_second"] for part in (WHOLE, Stretch(10, 20))]
    assert offered == [0.4, 0]


def test_a_stretch_without_streams_has_no_latency_instead_of_zero() -> None:
    line = report()
    assert line["first_token_seconds"] == {"p50": None, "p95": None}
    assert line["stream_tokens_per_second"] == {"p50": None, "p05": None}
    assert line["longest_wait_seconds"] is None
    assert line["offered_tokens_per_second"] == 0


def test_streams_that_still_wait_show_in_the_longest_wait() -> None:
    assert report(in_flight=[stream(2.0, first=None, end=None), stream(end=None)])["longest_wait_seconds"] == 8.0


def test_failed_streams_are_told_apart_and_lend_no_speed() -> None:
    line = report(ended=[stream(end=End.CUT), stream(end=End.REFUSED, first=None), stream(end=End.CUT), stream()])
    assert line["failed"] == 3
    assert {kind: n for kind, n in line["ends"].items() if n} == {"cut": 2, "refused": 1, "complete": 1}
    assert report(ended=[stream(end=End.CUT)])["stream_tokens_per_second"]["p50"] is None


def test_the_longest_delay_of_our_own_is_reported() -> None:
    slow = Stream(1.0, sent_at=1.25)
    assert report(ended=[stream(), slow])["latest_dispatch_seconds"] == 0.25


def test_totals_sum_tokens_and_quote_the_first_failures() -> None:
    cut = stream(end=End.CUT)
    cut.detail = "connection reset"
    assert totals([stream(), cut]) == {
        "streams": 2,
        "tokens": 8,
        "mean_prompt_tokens": 30,
        "failures": ["cut: connection reset"],
    }
