"""Slots of one minute add up, whatever was judged, read twice or never."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.planning.slo_accounting import SLOSlots, Tally, tally

verdicts = st.lists(st.sampled_from(["good", "bad", None]), max_size=200)


def slots(story: list[str | None], first_minute: int = 1000) -> SLOSlots:
    """Return the slots of a story, told from its first minute."""
    bits = {word: sum(1 << n for n, verdict in enumerate(story) if verdict == word) for word in ("good", "bad")}
    return SLOSlots(first_minute, bits["good"], bits["bad"])


def counted(story: list[str | None]) -> tuple[int, int, int]:
    return story.count("good"), story.count("bad"), story.count(None)


def tallied(known: SLOSlots, *, age_minutes: int, until_minute: int, window_minutes: int) -> Tally:
    first = until_minute + 1 - min(age_minutes, window_minutes)
    return tally(known, first_minute=first, until_minute=until_minute, window_minutes=window_minutes)


@given(verdicts, st.integers(0, 300), st.integers(60, 250))
def test_good_bad_and_left_out_are_the_minutes_that_passed(story: list[str | None], age: int, window: int) -> None:
    found = tallied(slots(story), age_minutes=age, until_minute=1000 + len(story), window_minutes=window)
    assert found.good + found.bad + found.left_out == min(age, window)
    assert found.good + found.bad + found.left_out + found.to_come == window


@given(verdicts)
def test_every_verdict_of_the_window_counts_once(story: list[str | None]) -> None:
    found = tallied(slots(story), age_minutes=200, until_minute=999 + len(story), window_minutes=200)
    assert (found.good, found.bad) == counted(story)[:2]


@given(verdicts, st.integers(1, 100))
def test_what_is_older_than_the_window_counts_no_more(story: list[str | None], window: int) -> None:
    found = tallied(slots(story), age_minutes=1000, until_minute=999 + len(story), window_minutes=window)
    assert (found.good, found.bad) == counted(story[-window:])[:2]


@given(verdicts, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=10))
def test_readings_that_overlap_count_nothing_twice(story: list[str | None], cuts: list[tuple[int, int]]) -> None:
    """Each reading ends somewhere and begins as much before the end of the one before it."""
    known, end = SLOSlots(1000), 0
    for cut, overlap in (*sorted(cuts), (len(story), 0)):
        begin, end = max(0, min(end, len(story)) - overlap), min(max(end, cut), len(story))
        known = known.followed_by(slots(story[begin:end], 1000 + begin))
    assert known == slots(story)


@given(verdicts, st.integers(900, 1300))
def test_another_beginning_changes_no_verdict_after_it(story: list[str | None], minute: int) -> None:
    rebased = slots(story).since(minute)
    later = story[max(0, minute - 1000) :]
    assert (rebased.good.bit_count(), rebased.bad.bit_count()) == counted(later)[:2]


def test_where_nothing_was_judged_there_is_no_percentage() -> None:
    found = Tally(good=0, bad=0, left_out=60, to_come=0)
    assert (found.good_percent, found.budget_remaining_percent(Decimal(99))) == (None, None)


def test_slots_that_are_left_out_change_no_percentage() -> None:
    assert Tally(good=199, bad=1, left_out=1000, to_come=0).good_percent == Decimal("99.5")


@pytest.mark.parametrize(
    ("bad", "objective", "left"),
    [
        pytest.param(0, "99.5", 100, id="nothing-missed"),
        pytest.param(2, "99.5", 60, id="two-of-five"),
        pytest.param(5, "99.5", 0, id="just-spent"),
        pytest.param(9, "99.5", 0, id="overspent"),
        pytest.param(0, "100", 100, id="no-budget-and-nothing-missed"),
        pytest.param(1, "100", 0, id="no-budget-and-one-missed"),
        pytest.param(1000, "0", 0, id="everything-missed-of-everything"),
    ],
)
def test_the_budget_is_what_the_objective_leaves_of_a_thousand_slots(bad: int, objective: str, left: int) -> None:
    found = Tally(good=1000 - bad, bad=bad, left_out=440, to_come=0)
    assert found.budget_remaining_percent(Decimal(objective)) == left


def test_the_first_bad_slot_of_a_new_resource_does_not_spend_what_is_to_come() -> None:
    assert Tally(good=9, bad=1, left_out=0, to_come=990).budget_remaining_percent(Decimal(99)) == 90


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.decimals(0, 100, places=3))
def test_an_objective_is_kept_over_a_whole_window_as_long_as_its_budget_lasts(
    good: int, bad: int, left_out: int, objective: Decimal
) -> None:
    found = Tally(good=good, bad=bad, left_out=left_out, to_come=0)
    left = found.budget_remaining_percent(objective)
    if left is not None and found.good_percent is not None:
        assert 0 <= left <= 100
        if left > 0:
            assert found.good_percent >= objective
        if found.good_percent < objective:
            assert left == 0
