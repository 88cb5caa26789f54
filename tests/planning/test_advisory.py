"""A fleet that nobody moves: with mode Advisory, or where another autoscaler acts, the plan is only read."""

import pytest
from tests.planning.declared import NOW, SMALL_POD, declared, full_reading, observation, reading, serving

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Observation, Pod
from tokenpace.planning.plan import plan

SETTLED_SECONDS = 900
"""Longer than the stabilization window and everything that is averaged."""

FAST_POD = {name: 3 * number for name, number in SMALL_POD.items() if name != "atStreams"} | {"atStreams": 4}
ALONE = declared(mode="Advisory")
LADDER = declared(
    mode="Advisory",
    maxReplicas=2,
    variants=[{"name": "q8", "expected": SMALL_POD}, {"name": "q4", "quality": "95", "expected": FAST_POD}],
)


def goals(spec: LLMDeploymentSpec, seen: Observation, hours: float = 2.0) -> list[dict[str, int]]:
    """Return every goal in hours of looking at the same picture, each once, when the first minutes have gone by."""
    memory = Memory()
    found: list[dict[str, int]] = []
    for tick in range(int(hours * 3600 / seen.tick_seconds)):
        at = NOW + tick * seen.tick_seconds
        decided, memory = plan(spec, seen, memory, at)
        if at >= NOW + SETTLED_SECONDS and dict(decided.goal) not in found:
            found.append(dict(decided.goal))
    return found


@pytest.mark.parametrize(
    ("seen", "goal"),
    [
        pytest.param(observation(*serving(1, reading(5.0))), 1, id="as many as are needed"),
        pytest.param(observation(*serving(8, reading(0.5))), 1, id="too many"),
        pytest.param(observation(*serving(8, reading(0.0))), 1, id="idle"),
        pytest.param(observation(*serving(2, full_reading())), 3, id="full, with a queue"),
    ],
)
def test_the_same_demand_gives_the_same_advice_for_ever(seen: Observation, goal: int) -> None:
    """Not half of a descent, nor ever more for a wish that nobody fulfils."""
    assert goals(ALONE, seen) == [{"q8": goal}]


@pytest.mark.parametrize(
    ("variant", "seen", "goal"),
    [
        pytest.param("q8", serving(2, full_reading()), {"q8": 0, "q4": 1}, id="down, where replicas are not enough"),
        pytest.param("q4", serving(1, reading(4.0), variant="q4"), {"q8": 1, "q4": 0}, id="up, where they are"),
    ],
)
def test_a_switch_that_nobody_makes_goes_on_being_advised(
    variant: str, seen: tuple[Pod, ...], goal: dict[str, int]
) -> None:
    replicas = {"q8": 0, "q4": 0} | {variant: len(seen)}
    picture = observation(*seen, replicas=replicas, variants=("q8", "q4"))
    assert goals(LADDER, picture) == [goal]
