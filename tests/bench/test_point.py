"""Each definition, worked by hand."""

import pytest

from tokenpace.bench.point import Window, distribution, gaps, generated_in, is_saturated, overlap_seconds, point
from tokenpace.bench.result import Point
from tokenpace.bench.stream import End, Stream

TEN_SECONDS = Window(100.0, 110.0)


def stream(
    due: float, *times: float, lag: float = 0.0, end: End | None = End.COMPLETE, prompt_tokens: int | None = 8
) -> Stream:
    """Return a stream with a token of five characters at each time."""
    return Stream(
        scheduled_at=due,
        sent_at=due + lag,
        event_times=list(times),
        tokens=len(times),
        characters=5 * len(times),
        prompt_tokens=prompt_tokens,
        end=end,
    )


def measured(*streams: Stream) -> Point:
    return point(streams, TEN_SECONDS, warm_up_seconds=2, offered_requests_per_second=0.2, lone_first_token_seconds=1)


def full(*streams: Stream) -> bool:
    return is_saturated(streams, TEN_SECONDS, offered_requests_per_second=1.2, lone_first_token_seconds=1)


def test_times_and_speeds_of_one_request_worked_by_hand() -> None:
    seen = measured(stream(101.0, 102.0, 103.0, 105.0, 106.0))
    assert seen.first_token_seconds is not None
    assert seen.first_token_seconds.p50 == 1.0  # 102 - 101
    assert seen.seconds_per_token is not None
    assert seen.seconds_per_token.p50 == pytest.approx(4 / 3)  # (106 - 102) / 3
    assert seen.token_gap_seconds is not None
    assert (seen.token_gap_seconds.p50, seen.token_gap_seconds.p99, seen.token_gap_seconds.count) == (1.0, 2.0, 3)
    assert seen.request_seconds is not None
    assert seen.request_seconds.p50 == 5.0
    assert seen.stream_tokens_per_second is not None
    assert seen.stream_tokens_per_second.p50 == pytest.approx(3 / 4)
    assert seen.generation_tokens_per_second == 0.4  # four tokens in ten seconds
    assert seen.characters_per_second == 2.0
    assert seen.prefill_tokens_per_second == 0.8
    assert seen.streams == 0.4  # four seconds of generation in ten


def test_latency_counts_from_when_a_request_was_due_and_not_from_when_it_was_sent() -> None:
    seen = measured(stream(101.0, 103.0, 104.0, lag=0.15))
    assert seen.first_token_seconds is not None
    assert seen.first_token_seconds.p50 == 2.0


def test_the_speed_that_95_per_cent_reach_is_that_of_the_slow_ones() -> None:
    streams = [stream(100.5, 101.0, 102.0) for _ in range(90)] + [stream(100.5, 101.0, 105.0) for _ in range(10)]
    speeds = measured(*streams).stream_tokens_per_second
    assert speeds is not None
    assert (speeds.p50, speeds.p95) == (1.0, 0.25)


def test_what_came_before_the_window_is_left_out() -> None:
    warm_up = stream(98.0, 99.0, 101.0)
    seen = measured(warm_up, stream(101.0, 102.0, 103.0))
    assert seen.completed == 1
    assert seen.first_token_seconds is not None
    assert seen.first_token_seconds.count == 1
    assert seen.generation_tokens_per_second == pytest.approx(0.3)  # the second token of the first came in it


def test_a_chunk_of_several_tokens_counts_as_its_server_counts() -> None:
    packed = stream(101.0, 102.0, 103.0)
    packed.tokens = 8
    assert generated_in([packed], Window(100.0, 102.5)) == (4.0, 5.0)


def test_all_streams_together_have_the_mean_streams_times_the_speed_of_each() -> None:
    """Little's law: in a steady state the sum of tokens is that of the streams by the time of a token."""
    window = Window(20.0, 80.0)
    streams = [stream(due, *(due + 0.5 * token for token in range(1, 41))) for due in range(-40, 120)]
    total, _ = generated_in(streams, window)
    alive = sum(overlap_seconds(one, window) for one in streams) / window.seconds
    per_stream = 1 / 0.5
    # 39 gaps of each stream make 40 tokens.
    assert total / window.seconds == pytest.approx(alive * per_stream * 40 / 39, rel=0.01)


def test_a_failed_request_is_counted_and_lends_no_speed() -> None:
    seen = measured(stream(101.0, 102.0, 103.0), stream(104.0, 104.1, 104.2, end=End.CUT))
    assert (seen.completed, seen.failed) == (1, 1)
    assert seen.seconds_per_token is not None
    assert seen.seconds_per_token.count == 1
    assert (seen.generation_tokens_per_second, seen.prefill_tokens_per_second, seen.streams) == (0.2, 0.8, 0.1)


def test_a_stream_that_is_cut_at_the_points_end_lends_the_tokens_that_came_and_a_prompt_as_long_as_the_others() -> None:
    seen = measured(stream(101.0, 102.0, 103.0), stream(108.0, 109.0, 110.0, end=None, prompt_tokens=None))
    assert (seen.generation_tokens_per_second, seen.prefill_tokens_per_second) == (0.4, 1.6)


def test_a_point_that_the_generator_lagged_at_is_refused_and_has_no_figures() -> None:
    seen = measured(*(stream(101.0, 102.0, 103.0, lag=0.2) for _ in range(20)))
    assert "generator lagged" in str(seen.refused)
    assert seen.generation_tokens_per_second is None
    assert seen.first_token_seconds is None


def test_one_late_request_among_many_slow_ones_refuses_nothing() -> None:
    seen = measured(*(stream(101.0, 102.0, 103.0) for _ in range(99)), stream(101.0, 102.0, 103.0, lag=0.05))
    assert seen.refused is None


def test_a_point_without_a_token_says_what_the_server_said() -> None:
    rejected = stream(101.0, end=End.REJECTED)
    rejected.detail = "429: overloaded"
    seen = measured(rejected)
    assert "429: overloaded" in str(seen.refused)
    assert seen.saturated


def test_a_queue_that_grows_is_saturation() -> None:
    served = [stream(100.0 + second, 101.0 + second, 102.0 + second) for second in range(1, 8)]
    waiting = [stream(101.0 + number, end=None) for number in range(5)]
    assert not full(*served)
    assert full(*served, *waiting)


def test_fewer_than_were_offered_are_no_saturation_where_nobody_waits() -> None:
    """By chance: the rate is that at which twelve come."""
    assert not full(stream(101.0, 102.0, 103.0), stream(105.0, 106.0, 107.0), stream(109.0, 109.5, 111.0))


@pytest.mark.parametrize("end", [End.REJECTED, End.REFUSED, End.CUT, End.TIMED_OUT])
def test_requests_that_are_turned_away_are_saturation_too(end: End) -> None:
    turned_away = [stream(101.0 + number, end=end) for number in range(2)]
    assert full(stream(101.0, 102.0, 103.0), *turned_away)


def test_values_that_are_not_known_are_left_out_and_none_has_no_distribution() -> None:
    known = distribution([3.0, None, 1.0])
    assert known is not None
    assert (known.count, known.mean, known.p50, known.p99) == (2, 2.0, 1.0, 3.0)
    assert distribution([None]) is None


def test_a_gap_is_between_two_chunks() -> None:
    assert list(gaps(stream(0.0, 1.0, 1.5, 3.5))) == [0.5, 2.0]
