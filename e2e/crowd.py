"""Load of a certain size on one LLMDeployment, for measurements: more than a replica can do, or exactly what it can."""

import statistics
from datetime import timedelta

from e2e.clients_view import served_when_full
from e2e.llmdeployment import LLMDeployment
from e2e.load_pod import Load, start_load
from tokenpace.planning.balance import Shape

SATURATION = 1.6
"""Times what a replica can do: its slots are full throughout."""
SATURATED_SECONDS = 45
FILLING_SECONDS = 15
"""From the first arrival until every slot is taken."""


def served_by_a_full_replica(resource: LLMDeployment, name: str, tokens_per_second: float, shape: Shape) -> float:
    """Offer more than a replica can do; return the tokens/s that clients were served while every slot was taken."""
    crowd = offered(resource, name, tokens_per_second, SATURATED_SECONDS, shape)
    filled_at, ended_at = (
        crowd.begun_at + timedelta(seconds=seconds) for seconds in (FILLING_SECONDS, SATURATED_SECONDS)
    )
    return statistics.fmean(served_when_full([crowd], filled_at, ended_at))


def offered(resource: LLMDeployment, name: str, tokens_per_second: float, seconds: float, shape: Shape) -> Load:
    """Offer a load and wait until its last stream has ended."""
    profile = f"{tokens_per_second:.2f}:{seconds}"
    load = start_load(resource.kubectl, f"{resource.name}-{name}", profile=profile, target=resource.name, shape=shape)
    load.wait(seconds + 120)
    return load
