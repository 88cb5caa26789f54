"""A time in which nobody looked is no time in which a smaller fleet proved enough."""

import pytest
from tests.planning.declared import NOW, declared, observation, reading, serving

from tokenpace.planning.memory import Memory
from tokenpace.planning.plan import plan

WINDOW_SECONDS = 300


def replicas_after(*moments: float) -> int:
    """Return the replicas after nearly idle pods were looked at in these moments."""
    spec = declared(scaleDown={"stabilizationWindowSeconds": WINDOW_SECONDS})
    seen = observation(*serving(4, reading(0.5, 0.1)), tick=10.0)
    memory, wanted = Memory(), 4
    for moment in moments:
        decided, memory = plan(spec, seen, memory, NOW + moment)
        wanted = decided.fleet["q8"]
    return wanted


EVERY_TICK = tuple(10.0 * tick for tick in range(31))


def test_a_window_that_was_seen_whole_lets_replicas_go() -> None:
    assert replicas_after(*EVERY_TICK, 310.0) < 4


@pytest.mark.parametrize("seconds", [400.0, 3600.0, -400.0])
def test_a_pause_or_a_clock_that_was_set_begins_the_window_anew(seconds: float) -> None:
    assert replicas_after(0.0, 10.0, 10.0 + seconds, 20.0 + seconds) == 4
