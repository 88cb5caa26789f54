"""Lead times, hysteresis, descent and imbalance."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import HASH, NOW, pod

from tokenpace.api.variant import Expected
from tokenpace.planning.demand import Moment, Rate
from tokenpace.planning.imbalance import IMBALANCE, IMBALANCE_SECONDS, PodRequests, imbalance
from tokenpace.planning.leadtime import STARTS, USUAL_LEAD_SECONDS, Starts, is_overdue, never_ends
from tokenpace.planning.observation import Hindrance
from tokenpace.planning.stability import DESCENT_SECONDS, demand_to_keep, descended, settled

UNDECLARED = Expected()


def test_lead_time_is_usual_until_something_is_declared_or_seen() -> None:
    assert Starts(template_hash=HASH).lead_seconds(UNDECLARED) == USUAL_LEAD_SECONDS
    assert Starts(template_hash=HASH).lead_seconds(Expected(startup_seconds=7)) == 7.0


def test_most_starts_are_as_fast_as_the_lead_time() -> None:
    starts = Starts(template_hash=HASH).seeing([pod(f"p{n}", starts_for=float(n)) for n in range(1, 11)])
    assert starts.lead_seconds(Expected(startup_seconds=300)) == 8.0


def test_a_pod_is_counted_once() -> None:
    starts = Starts(template_hash=HASH)
    for _ in range(5):
        starts = starts.seeing([pod("slow", starts_for=90.0)])
    assert starts.seconds == (90.0,)


def test_a_pod_that_is_not_ready_has_no_lead_time() -> None:
    assert Starts(template_hash=HASH).seeing([pod("starting", ready=False)]).seconds == ()


def test_the_history_of_starts_is_bounded() -> None:
    starts = Starts(template_hash=HASH)
    for number in range(100):
        starts = starts.seeing([pod(f"p{number}", starts_for=float(number))])
    assert len(starts.seconds) == STARTS
    assert len(starts.counted) == 1


def test_a_pod_is_overdue_after_three_lead_times() -> None:
    starting = pod("p", created=NOW, ready=False)
    assert not is_overdue(starting, lead_seconds=40.0, now=NOW + 119)
    assert is_overdue(starting, lead_seconds=40.0, now=NOW + 121)


def test_no_pod_is_overdue_within_a_minute() -> None:
    assert not is_overdue(pod("p", created=NOW, ready=False), lead_seconds=1.0, now=NOW + 59)


def test_a_pod_that_ends_is_not_overdue() -> None:
    assert not is_overdue(pod("p", created=NOW, ready=False, terminating=True), lead_seconds=1.0, now=NOW + 999)


@given(st.integers(0, 64), st.integers(0, 64), st.integers(0, 64))
def test_the_fleet_stays_if_it_can(current: int, up: int, more: int) -> None:
    replicas = settled(current, up, up + more)
    assert up <= replicas <= max(up + more, up)
    if up <= current <= up + more:
        assert replicas == current


def rate(low: float, mean: float, high: float) -> Rate:
    return Rate(now=mean, low=low, mean=mean, high=high, careful_low=low, counted_seconds=600.0)


def needed(at: float, tokens_per_second: float) -> Moment:
    return Moment(
        at_seconds=at,
        tokens_per_second=0.0,
        demand_tokens_per_second=tokens_per_second,
        window_seconds=30.0,
        saturated=False,
    )


def test_a_smaller_fleet_needs_five_per_cent_to_spare() -> None:
    assert demand_to_keep(rate(95, 95, 95), [], 0.0) == pytest.approx(100)


def test_chance_and_slack_are_not_added() -> None:
    assert demand_to_keep(rate(80, 100, 120), [], 0.0) == 120


def test_what_was_needed_in_the_window_has_to_stay() -> None:
    moments = [needed(10.0, 500.0), needed(100.0, 190.0), needed(200.0, 20.0)]
    assert demand_to_keep(rate(10, 20, 30), moments, since_seconds=50.0) == 190


def test_a_rate_without_upper_bound_counts_with_its_mean() -> None:
    assert demand_to_keep(rate(95, 95, math.inf), [], 0.0) == pytest.approx(100)


def test_at_most_half_of_the_fleet_goes_in_a_minute() -> None:
    replicas, descent = descended(12, 1, None, NOW)
    assert replicas == 6
    replicas, descent = descended(6, 1, descent, NOW + DESCENT_SECONDS / 2)
    assert replicas == 6
    replicas, descent = descended(6, 1, descent, NOW + DESCENT_SECONDS)
    assert replicas == 3


def test_the_last_but_one_replica_can_always_go() -> None:
    assert descended(2, 1, None, NOW)[0] == 1


def test_a_fleet_that_grew_again_begins_a_new_minute() -> None:
    _, descent = descended(4, 1, None, NOW)
    assert descended(10, 1, descent, NOW + 1)[0] == 5


@given(st.integers(1, 64), st.integers(0, 64))
def test_growing_is_not_slowed_down(current: int, more: int) -> None:
    assert descended(current, current + more, None, NOW)[0] == current + more


def averages(*loads: float, since: float = NOW - 2 * IMBALANCE_SECONDS) -> dict[str, PodRequests]:
    return {
        f"p{n}": PodRequests(by_window=load, by_minutes=load, since_seconds=since, variant="q8")
        for n, load in enumerate(loads)
    }


def test_requests_that_stick_to_one_pod_are_imbalance() -> None:
    ratio = imbalance(averages(20.0, 1.0, 1.0), NOW)
    assert ratio is not None
    assert ratio > IMBALANCE


def test_too_few_requests_are_not_imbalance() -> None:
    assert imbalance(averages(3.0, 0.1), NOW) is None


def test_a_new_pod_without_requests_is_not_imbalance() -> None:
    grown = averages(20.0, 20.0) | {"new": PodRequests.first(0.0, NOW - 10, "q8")}
    assert imbalance(grown, NOW) == pytest.approx(1.0)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.001, 1e4))
def test_averages_lie_between_what_was_and_what_is(before: float, now: float, elapsed: float) -> None:
    average = PodRequests.first(before, NOW, "q8").after(now, elapsed, 30.0)
    low, high = sorted((before, now))
    assert low - 1e-6 <= average.by_minutes <= high + 1e-6
    assert low - 1e-6 <= average.by_window <= high + 1e-6


# --- Faults


@pytest.mark.parametrize(
    ("hindrance", "seconds"),
    [
        (Hindrance.NONE, 300.0),
        (Hindrance.UNPREPARED, 100.0),
        (Hindrance.BLOCKED, 100.0),
        (Hindrance.UNSCHEDULABLE, 100.0),
        (Hindrance.OVER_QUOTA, 60.0),
        (Hindrance.REFUSED, 60.0),
        (Hindrance.LOST, 60.0),
    ],
)
def test_how_long_a_pod_is_waited_for_follows_from_its_lead_time_and_from_what_is_wrong(
    hindrance: Hindrance, seconds: float
) -> None:
    waits = replace(pod("p", created=NOW, ready=False), hindrance=hindrance)
    assert not is_overdue(waits, lead_seconds=100.0, now=NOW + seconds)
    assert is_overdue(waits, lead_seconds=100.0, now=NOW + seconds + 1)


def test_a_pod_that_was_ready_is_waited_for_since_it_is_not() -> None:
    unready = replace(pod("p", created=NOW - 3600, ready=False), unready_since_seconds=NOW)
    assert not is_overdue(unready, lead_seconds=40.0, now=NOW + 119)
    assert is_overdue(unready, lead_seconds=40.0, now=NOW + 121)


def test_a_pod_that_is_ready_again_has_not_started_anew() -> None:
    starts = Starts(template_hash=HASH).seeing([pod("p", starts_for=9.0)]).seeing([pod("p", ready=False)])
    assert starts.seeing([pod("p", starts_for=3000.0)]).seconds == (9.0,)


def test_a_long_wait_for_a_node_is_no_part_of_a_start_but_for_a_quarter_of_an_hour() -> None:
    waited = replace(pod("p", starts_for=7260.0), scheduled_at_seconds=NOW - 3600 + 7200)
    assert Starts(template_hash=HASH).seeing([waited]).seconds == (960.0,)


@pytest.mark.parametrize(("late", "gone"), [(59.0, False), (61.0, True)])
def test_a_pod_that_outlives_its_end_by_a_minute_never_ends(late: float, gone: bool) -> None:
    ending = replace(pod("p", terminating=True), ends_by_seconds=NOW)
    assert never_ends(ending, NOW + late) is gone
