"""Looks at the same picture for a while, tick by tick."""

from tests.planning.declared import NOW

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.decision import Plan
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Observation
from tokenpace.planning.plan import plan


def watch(
    spec: LLMDeploymentSpec, seen: Observation, seconds: float = 0.0, memory: Memory | None = None, start: float = NOW
) -> tuple[Plan, Memory]:
    """Return the last plan after looking at the same picture for so long."""
    decided, memory = plan(spec, seen, Memory() if memory is None else memory, start)
    ticks = int(seconds / seen.tick_seconds)
    for tick in range(1, ticks + 1):
        decided, memory = plan(spec, seen, memory, start + tick * seen.tick_seconds)
    return decided, memory


def q8(decided: Plan) -> int:
    return decided.fleet["q8"]
