"""Load of a certain size on one LLMDeployment, for measurements: more than a replica can do, or exactly what it can."""

import statistics
from datetime import timedelta
from typing import NamedTuple

from e2e.clients_view import served_when_full
from e2e.llmdeployment import LLMDeployment
from e2e.load_pod import Load, start_load
from tokenpace.planning.balance import Shape

SATURATION = 1.6
"""Times what a replica can do: its slots are full throughout."""


class Times(NamedTuple):
    """Of a crowd, after its first arrival."""

    filled_seconds: float
    """When every slot is taken."""
    until_seconds: float
    """When the last request comes."""


LONG = Times(15, 45)
SHORT = Times(5, 20)
"""For several by turns: four slots fill within three seconds, and 30 requests end in fifteen."""


def served_by_full_replicas(
    resource: LLMDeployment, tokens_per_second: float, shape: Shape, crowds: int
) -> tuple[float, ...]:
    """Offer so many short crowds, one after the other; return what each was served: their range is the noise."""
    return tuple(
        served_by_a_full_replica(resource, f"crowd-{number}", tokens_per_second, shape, SHORT)
        for number in range(crowds)
    )


def served_by_a_full_replica(
    resource: LLMDeployment, name: str, tokens_per_second: float, shape: Shape, times: Times = LONG
) -> float:
    """Offer more than a replica can do; return the tokens/s that clients were served while every slot was taken."""
    crowd = offered(resource, name, tokens_per_second, times.until_seconds, shape)
    filled_at, ended_at = (crowd.begun_at + timedelta(seconds=seconds) for seconds in times)
    return statistics.fmean(served_when_full([crowd], filled_at, ended_at))


def offered(resource: LLMDeployment, name: str, tokens_per_second: float, seconds: float, shape: Shape) -> Load:
    """Offer a load and wait until its last stream has ended."""
    profile = f"{tokens_per_second:.2f}:{seconds}"
    load = start_load(resource.kubectl, f"{resource.name}-{name}", profile=profile, target=resource.name, shape=shape)
    load.wait(seconds + 120)
    return load
