"""What is waited for, whatever is done about it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.test_transition import GOAL, road, standing

from tokenpace.planning.shortfall import Stage, stages, waiting

LEADS = {"q8": 60.0, "q4": 30.0}


def waited(*passed: tuple[float, float], arriving: float, backlog: float = 0.0, horizon: float = 1000.0) -> float:
    found = (Stage(seconds, tokens) for seconds, tokens in (*passed, (horizon, passed[-1][1])))
    return waiting(found, arriving=arriving, backlog=backlog, horizon_seconds=horizon)


def test_nothing_waits_while_capacity_is_enough() -> None:
    assert waited((10.0, 50.0), arriving=50.0) == 0.0


def test_a_backlog_is_worked_off_by_what_is_left_of_capacity() -> None:
    assert waited((1.0, 60.0), arriving=50.0, backlog=100.0) == pytest.approx(100.0 * 10.0 / 2)


def test_work_that_is_not_served_waits_ever_longer() -> None:
    assert waited((1.0, 40.0), arriving=50.0, horizon=100.0) == pytest.approx(10.0 * 100.0**2 / 2)


def test_a_dip_is_felt_until_what_it_left_is_worked_off() -> None:
    # 60 s at 10 tokens/s too few leave 600 tokens, for which 10 tokens/s to spare take another 60 s.
    assert waited((60.0, 40.0), (1.0, 60.0), arriving=50.0) == pytest.approx(600.0 * 60.0)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 100)), min_size=1, max_size=6), st.integers(0, 100))
def test_what_is_waited_is_what_small_steps_add_up_to(passed: list[tuple[int, int]], arriving: int) -> None:
    horizon, step, work, total = 200.0, 0.0625, 30.0, 0.0  # a step that adds up without rounding
    ends = [(sum(seconds for seconds, _ in passed[: number + 1]), tokens) for number, (_, tokens) in enumerate(passed)]
    for number in range(int(horizon / step)):
        serves = next((tokens for end, tokens in ends if number * step < end), passed[-1][1])
        after = max(0.0, work + (arriving - serves) * step)
        total, work = total + (work + after) / 2 * step, after
    found = waited(*passed, arriving=arriving, backlog=30.0, horizon=horizon)
    assert math.isclose(found, total, rel_tol=0.02, abs_tol=50.0)


def test_a_surge_never_serves_less_than_before() -> None:
    way = stages(road(GOAL, limit=9), standing(3, 0, proven=False), LEADS)
    assert way == (Stage(30.0, 30.0), Stage(30.0, 40.0))


def test_in_place_the_fleet_dips_until_the_new_serve_as_much_alone() -> None:
    way = stages(road(GOAL, limit=3), standing(3, 0, proven=False), LEADS)
    assert way == (Stage(30.0, 20.0), Stage(30.0, 20.0))


def test_a_way_that_has_no_end_is_none() -> None:
    assert stages(road({"q8": 0, "q4": 1}, limit=1), standing(1, 0), LEADS) is None


def test_a_swap_in_place_of_two_pays_back_after_the_time_that_the_design_gives() -> None:
    # One of two goes for L = 30 s; C_new = 20 and C_old = 10 pay back after L·C_new/(C_new - C_old) = 60 s.
    staying = [waited((1.0, 10.0), arriving=100.0, horizon=horizon) for horizon in (50.0, 130.0)]
    swapping = [waited((30.0, 0.0), (1.0, 20.0), arriving=100.0, horizon=horizon) for horizon in (50.0, 130.0)]
    assert swapping[0] > staying[0]
    assert swapping[1] < staying[1]
