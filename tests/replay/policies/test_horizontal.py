"""Worked numbers, ours and those of https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale."""

from itertools import pairwise

import pytest

from tokenpace.replay.policies.bounds import Bounds
from tokenpace.replay.policies.horizontal import (
    Direction,
    HorizontalScaler,
    Limit,
    external_replicas,
    of_several,
    per_pod_replicas,
)

MANY = Bounds(1, 100)


def wanted(*values: float, missing: int = 0, unready: int = 0, current: int | None = None) -> int | None:
    pods = len(values) + missing + unready
    return per_pod_replicas(
        values, missing=missing, unready=unready, target=10, current=pods if current is None else current
    )


def test_replicas_bring_the_mean_to_the_target() -> None:
    assert wanted(20, 10) == 3  # mean 15: 1.5 of the target, of 2 pods


def test_a_tenth_off_the_target_changes_nothing() -> None:
    assert wanted(11, 11) == 2
    assert wanted(11.2, 11.2) == 3  # 1.12 of 2 pods, rounded up


def test_without_any_value_nothing_is_wanted() -> None:
    assert wanted(missing=3) is None


def test_missing_pods_count_as_idle_on_the_way_up() -> None:
    assert wanted(30, missing=1) == 3  # (30 + 0) / 2 = 1.5 of the target, of 2 pods


def test_missing_pods_count_as_at_the_target_on_the_way_down() -> None:
    assert wanted(2, 2, missing=1) == 2  # (2 + 2 + 10) / 3 = 0.467 of the target, of 3 pods


def test_missing_pods_that_turn_the_verdict_hold() -> None:
    assert wanted(15, missing=1) == 2  # 1.5 of the target alone, 0.75 with the idle one


def test_pods_that_do_not_run_yet_dampen_growth_and_nothing_else() -> None:
    assert wanted(40, unready=1) == 4  # (40 + 0) / 2 = 2.0 of the target, of 2 pods
    assert wanted(5, unready=1) == 1  # 0.5 of 1 pod


def test_growth_that_comes_out_smaller_than_now_holds() -> None:
    assert wanted(20, missing=0, unready=1, current=5) == 5  # careful 1.0
    assert wanted(24, unready=1, current=5) == 5  # 1.2 of 2 pods is 3, below the 5 asked for


def test_a_total_is_shared_at_the_target() -> None:
    assert external_replicas(41, target=10, current=2) == 5
    assert external_replicas(21, target=10, current=2) == 2  # 1.05 of the target each


def test_of_several_metrics_the_one_that_wants_most_holds() -> None:
    assert of_several([2, 5, 3], current=4) == 5


def test_a_failed_metric_forbids_going_down_and_allows_going_up() -> None:
    assert of_several([2, None], current=4) is None
    assert of_several([6, None], current=4) == 6
    assert of_several([None, None], current=4) is None


def test_growth_is_at_most_four_pods_or_double_in_15_seconds() -> None:
    scaler = HorizontalScaler(MANY)
    assert scaler.replicas(0, 3, 100) == 7  # 3 + 4 beats 3 * 2
    assert scaler.replicas(10, 7, 100) == 7  # the four of this period are used up
    assert scaler.replicas(15, 7, 100) == 14  # 7 * 2 beats 7 + 4


def test_pods_taken_away_may_come_back_within_the_period() -> None:
    scaler = HorizontalScaler(MANY, down=Direction((Limit(100, 15, percent=True),), window_seconds=0))
    assert scaler.replicas(0, 10, 2) == 2
    assert scaler.replicas(5, 2, 100) == 20  # the period began with 10


def test_only_what_was_too_much_for_five_minutes_is_taken_away() -> None:
    scaler = HorizontalScaler(MANY)
    held = [scaler.replicas(at, 5, 2) for at in range(0, 300, 15)]
    assert set(held) == {5}
    assert scaler.replicas(300, 5, 2) == 2


def test_a_slow_way_up_does_the_least_that_was_wanted_in_the_window() -> None:
    scaler = HorizontalScaler(MANY, up=Direction((Limit(10, 15),), window_seconds=60))
    assert scaler.replicas(0, 1, 5) == 1
    assert scaler.replicas(30, 1, 3) == 1  # the one replica of the beginning is still in the window
    assert scaler.replicas(60, 1, 5) == 3


def test_a_pod_at_a_time_is_taken_away() -> None:
    scaler = HorizontalScaler(MANY, down=Direction((Limit(1, 60),), window_seconds=0))
    assert scaler.replicas(0, 5, 1) == 4
    assert scaler.replicas(30, 4, 1) == 4
    assert scaler.replicas(60, 4, 1) == 3


def test_failed_metrics_hold() -> None:
    assert HorizontalScaler(MANY).replicas(0, 5, None) == 5


@pytest.mark.parametrize(("current", "asked"), [(0, 2), (9, 6)])
def test_bounds_come_before_metrics(current: int, asked: int) -> None:
    assert HorizontalScaler(Bounds(2, 6)).replicas(0, current, None) == asked


def test_the_documented_ratios_double_and_halve() -> None:
    """200m and 50m where 100m is wanted: the documentation, Algorithm details."""
    pods = range(4)
    assert per_pod_replicas([0.2 for _ in pods], missing=0, unready=0, target=0.1, current=4) == 8
    assert per_pod_replicas([0.05 for _ in pods], missing=0, unready=0, target=0.1, current=4) == 2


def test_the_documented_descent_goes_by_tenths_and_below_forty_by_fours() -> None:
    """From 80 replicas to 10: the documentation, Scaling policies."""
    policies = (Limit(4, 60), Limit(10, 60, percent=True))
    scaler = HorizontalScaler(MANY, down=Direction(policies, window_seconds=0))
    replicas = [80]
    while replicas[-1] > 10:
        replicas.append(scaler.replicas(61 * len(replicas), replicas[-1], 10))
    assert replicas[:3] == [80, 72, 64]  # a tenth of 72 is 7.2, rounded up
    assert {before - after for before, after in pairwise(replicas) if 14 <= before < 40} == {4}
