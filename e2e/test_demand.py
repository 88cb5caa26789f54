"""Promises about load, as one story: one LLMDeployment lives through every test of this module, in their order.

`--serving tgi` tells it of Text Generation Inference's API, as `make soak` does.
"""

import math
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from e2e.clients_view import served_when_full
from e2e.figures import Figures
from e2e.kubectl import Kubectl, Manifest
from e2e.llmdeployment import SERVINGS, START_SECONDS, LLMDeployment, manifest
from e2e.replica_history import changes_of_direction
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import seconds_since, throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(660), pytest.mark.usefixtures("unbroken")]

POD_SECURITY = "baseline"
"""Text Generation Inference runs as root, without capabilities: docs/engines.md."""
MOST_REPLICAS, PROMISED = 8, 50
BASE = 0.6
"""Replicas' worth of load that lasts through the whole story."""
CROWD = 1.5
"""Times the declared capacity: every slot of one replica is taken, and requests wait."""
BEYOND = {"llama-cpp": 0.05, "tgi": 0.5}
"""Replicas' worth of load that a step brings beyond a whole number.

The most of a minute is planned for, and what is offered in it goes a tenth above its mean by chance. After the step
llama.cpp's pods, fuller than before, are believed to do up to a tenth less, and those behind TGI's API up to a fifth
more: their prompts seem dear while a pod is full.
"""
FILLING_SECONDS = 10
STEADY_SECONDS = 15
AT_REST_SECONDS = 35
"""Longer than the stabilization window: a fleet that has not changed for so long has nothing left to take away."""


@pytest.fixture(scope="module")
def story(pytestconfig: pytest.Config, operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    served_by: str = pytestconfig.getoption("serving")
    with told(LLMDeployment(namespace, served_by), larger_than_the_demo(served_by, "Auto"), operator) as begun:
        yield begun


def larger_than_the_demo(served_by: str, mode: str) -> Manifest:
    slo = {"generationTokensPerSecond": PROMISED}
    scaling = {"mode": mode, "maxReplicas": MOST_REPLICAS}
    return manifest(served_by, file=SERVINGS[served_by].file, slo=slo, scaling=scaling)


def test_a_model_that_is_declared_serves_and_meets_its_slo(story: Story, figures: Figures) -> None:
    applied_at = datetime.now(UTC)
    story.resource.until_condition("Ready", "True", seconds=START_SECONDS)
    figures.note("applied to Ready", seconds_since(applied_at), "s")

    story.add_load("base", BASE * story.recording.capacity_of_a_replica())

    throughout(story.resource.wanted_replicas, lambda seen: seen == 1, what="one replica", seconds=STEADY_SECONDS)
    story.resource.until_condition("SLOMet", "True", seconds=60)


def test_a_full_replica_teaches_what_a_replica_can_do(story: Story, figures: Figures) -> None:
    """As a person would try it who does not trust the declared speed: with the number of replicas fixed."""
    declared = story.recording.capacity_of_a_replica()
    story.resource.kubectl.apply(larger_than_the_demo(story.resource.name, mode="Manual"))
    crowded_at = story.add_load("crowd", CROWD * declared)

    until(story.resource.source_of_speed, lambda seen: seen == "Measured", what="a full replica is seen", seconds=180)

    story.end_load("crowd")
    loads = [story.loads[name] for name in ("base", "crowd")]
    served = served_when_full(loads, crowded_at + timedelta(seconds=FILLING_SECONDS), datetime.now(UTC))
    figures.note("capacity of a replica: declared", declared, "tokens/s")
    figures.note("capacity of a replica: learned", story.recording.capacity_of_a_replica(), "tokens/s")
    figures.note("a full replica served", statistics.fmean(served), "tokens/s", "as clients counted")


@pytest.mark.parametrize("replicas", [3, 6])
def test_replicas_follow_demand(story: Story, figures: Figures, replicas: int) -> None:
    """Demand divided by the capacity that was known before the step, and rounded up."""
    capacity = story.recording.capacity_of_a_replica()
    demand = (replicas - 1 + BEYOND[story.resource.name]) * capacity
    assert math.ceil(demand / capacity) == replicas

    stepped_at = story.add_load(f"up-to-{replicas}", demand - sum(story.offered.values()))
    story.resource.kubectl.apply(larger_than_the_demo(story.resource.name, mode="Auto"))

    until(
        lambda: story.view_at_rest(stepped_at, AT_REST_SECONDS),
        lambda view: (
            view and view.keeps(story.declared["spec"]["slo"]) and story.resource.wanted_replicas() == replicas
        ),
        what=f"for {AT_REST_SECONDS} s there are {replicas} replicas, and clients get what is promised",
        seconds=480,
    )
    note_reaction(story, figures, stepped_at, replicas, capacity)


def note_reaction(story: Story, figures: Figures, stepped_at: datetime, replicas: int, capacity: float) -> None:
    def after_step(moment: datetime) -> float:
        return (moment - stepped_at).total_seconds()

    step = f"step to {replicas}: "
    decided_at, ready_at = story.history.first_up(stepped_at)
    figures.note(f"{step}predicted capacity of a replica", capacity, "tokens/s", "as reported before the step")
    figures.note(f"{step}load to first decision", after_step(decided_at), "s")
    figures.note(f"{step}load to first new pod ready", after_step(ready_at), "s")
    figures.note(f"{step}load to SLO regained", after_step(story.regained_at(stepped_at)), "s")
    figures.note(f"{step}replicas at rest", story.resource.wanted_replicas(), "", f"{replicas} by the capacity before")
    figures.note(f"{step}most replicas before that", max(story.history.wanted_since(stepped_at)), "")


def test_replicas_go_when_load_falls_after_the_window_and_without_swinging(story: Story, figures: Figures) -> None:
    """Half of them: by chance, the load before the fall may already have let one of them go."""
    window = timedelta(seconds=story.declared["spec"]["scaling"]["scaleDown"]["stabilizationWindowSeconds"])
    story.end_load("up-to-6")
    fell_at = story.end_load("up-to-3")

    story.resource.until_replicas(1, seconds=420)

    assert changes_of_direction(story.history.wanted_since(fell_at)) <= 1
    half = story.history.wanted_since(fell_at)[0] // 2
    half_gone_at = story.history.first_at_most(half, fell_at)
    assert half_gone_at - fell_at >= window
    figures.note("load falls to half the replicas", (half_gone_at - fell_at).total_seconds(), "s")
    figures.note("load falls to the last one", seconds_since(fell_at), "s")
