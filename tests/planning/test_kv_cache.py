"""Where memory ends before the batch limit, a queue tells how many requests fit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import NOW, declared, observation, pod, reading

from tokenpace.planning.balance import Shape
from tokenpace.planning.kv_cache import held_tokens, kv_tokens_after, queued_since, with_slots_that_fit
from tokenpace.planning.memory import Memory, remember
from tokenpace.planning.observation import Reading
from tokenpace.planning.sight import look

CHAT = Shape(prompt_tokens=1000.0, generated_tokens=200.0)
DRAIN_SECONDS = 10.0
WINDOW_SECONDS = 30.0
AT_LENGTH = 100 * WINDOW_SECONDS


def running(streams: float, **other: Any) -> Reading:
    rates = {"generated": 20.0 * streams, "prompt_tokens_per_second": 100.0 * streams}
    return reading(**{**rates, "running": streams, "waiting": 50.0, "slots": 32.0, **other})


def shown(one: Reading, *, queued_seconds: float, before: float | None = None, elapsed: float = 10.0) -> float | None:
    return kv_tokens_after(before, [(one, queued_seconds)], CHAT, elapsed)


def test_what_runs_while_others_wait_through_a_whole_window_is_what_fits() -> None:
    assert shown(running(9.0), queued_seconds=WINDOW_SECONDS) == 9.0 * 1100.0


def test_a_queue_that_is_shorter_than_the_window_shows_nothing() -> None:
    assert shown(running(9.0), queued_seconds=WINDOW_SECONDS - 1.0) is None


def test_a_queue_at_the_batch_limit_shows_nothing_of_the_memory() -> None:
    assert shown(running(31.0), queued_seconds=AT_LENGTH) is None


def test_a_server_that_works_on_nothing_shows_nothing() -> None:
    assert shown(running(0.0), queued_seconds=AT_LENGTH) is None


def test_without_a_batch_limit_a_queue_says_the_same() -> None:
    assert shown(running(9.0, slots=None), queued_seconds=WINDOW_SECONDS) == 9.0 * 1100.0


def test_more_streams_than_were_thought_to_fit_show_that_there_is_more() -> None:
    assert shown(running(20.0), queued_seconds=0.0, before=9_900.0, elapsed=AT_LENGTH) == pytest.approx(22_000.0)


def test_fewer_streams_without_a_queue_change_nothing() -> None:
    assert shown(running(3.0), queued_seconds=0.0, before=9_900.0) == 9_900.0


def test_prompts_twice_as_long_leave_half_as_many_slots() -> None:
    long = Shape(prompt_tokens=2 * CHAT.prompt_tokens, generated_tokens=2 * CHAT.generated_tokens)
    assert with_slots_that_fit(running(4.0), 8 * held_tokens(CHAT), CHAT).slots == 8.0
    assert with_slots_that_fit(running(4.0), 8 * held_tokens(CHAT), long).slots == 4.0


@given(st.floats(1.0, 1e9), st.one_of(st.none(), st.floats(1.0, 1e6)))
def test_memory_never_gives_more_slots_than_the_batch_limit_and_always_one(kv_tokens: float, slots: float) -> None:
    fitting = with_slots_that_fit(running(4.0, slots=slots), kv_tokens, CHAT).slots
    assert fitting is not None
    assert fitting >= 1.0
    assert slots is None or fitting <= slots


def test_what_is_begun_on_in_time_is_no_queue() -> None:
    seen = look(observation(pod("a", running(9.0, waiting=9.0)), pod("b", running(9.0, waiting=9.1))), NOW)
    assert queued_since({}, seen, CHAT, DRAIN_SECONDS) == {"b": NOW}


def test_a_queue_is_dated_from_its_first_sight_and_forgotten_with_its_end() -> None:
    seen = look(observation(pod("a", running(9.0)), pod("b", running(9.0, waiting=0.0))), NOW)
    assert queued_since({"a": NOW - 20.0, "b": NOW - 20.0}, seen, CHAT, DRAIN_SECONDS) == {"a": NOW - 20.0}


def remembered(seconds: float, *, gap_at: float | None = None) -> Memory:
    memory = Memory()
    for at in range(0, int(seconds) + 1, 10):
        one = observation(pod("a", running(9.0)))
        now = NOW + at + (1000.0 if gap_at is not None and at >= gap_at else 0.0)
        memory = remember(memory, declared(traffic=(1000, 200)), look(one, now))
    return memory


def test_a_pod_that_lets_requests_wait_is_planned_with_the_slots_that_it_shows() -> None:
    assert remembered(40.0).learned["q8"].slots == pytest.approx(9.0)


def test_a_queue_before_a_gap_is_not_known_to_have_lasted() -> None:
    assert remembered(40.0, gap_at=20.0).learned["q8"].kv_tokens is None
