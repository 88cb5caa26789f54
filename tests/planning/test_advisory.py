"""A fleet that nobody moves: with mode Advisory, or where another autoscaler acts, the plan is only read."""

import pytest
from tests.planning.declared import NOW, declared, full_reading, observation, reading, serving

from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Observation
from tokenpace.planning.plan import plan

SETTLED_SECONDS = 900
"""Longer than the stabilization window and everything that is averaged."""


def goals(seen: Observation, hours: float = 2.0) -> set[int]:
    """Return every goal for q8 in hours of looking at the same picture, once the first have gone by."""
    spec, memory = declared(mode="Advisory"), Memory()
    found = set()
    for tick in range(int(hours * 3600 / seen.tick_seconds)):
        at = NOW + tick * seen.tick_seconds
        decided, memory = plan(spec, seen, memory, at)
        if at >= NOW + SETTLED_SECONDS:
            found.add(decided.goal["q8"])
    return found


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(observation(*serving(1, reading(5.0))), id="as many as are needed"),
        pytest.param(observation(*serving(8, reading(2.0))), id="too many"),
        pytest.param(observation(*serving(8, reading(0.0))), id="idle"),
        pytest.param(observation(*serving(2, reading(14.0))), id="too few"),
        pytest.param(observation(*serving(2, full_reading())), id="full, with a queue"),
    ],
)
def test_the_same_demand_gives_the_same_goal_for_ever(seen: Observation) -> None:
    assert len(goals(seen)) == 1


def test_the_goal_is_where_a_descent_would_end_and_not_its_first_minute() -> None:
    (goal,) = goals(observation(*serving(8, reading(0.5))))
    assert goal == 1
