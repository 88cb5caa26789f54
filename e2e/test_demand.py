"""Promises about load, as one story: one LLMDeployment lives through every test of this module, in their order."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from e2e.clients_view import ClientsView
from e2e.failures import BROKEN_AT
from e2e.figures import Figures
from e2e.installation import PROMETHEUS_NAMESPACE
from e2e.kubectl import Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.replica_history import changes_of_direction
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

BASE = 0.6
"""Replicas' worth of load that lasts through the whole story."""
HOLD_SECONDS = 30
OUTAGE_SECONDS = 180


@pytest.fixture(autouse=True)
def _so_far(request: pytest.FixtureRequest) -> None:
    """Do not go on with a story that has broken off: what follows would fail for a reason that is not its own."""
    if (broken_at := request.node.parent.stash.get(BROKEN_AT, None)) is not None:
        pytest.skip(f"the story broke off at {broken_at}")


@pytest.fixture(scope="module")
def story(operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    with told(LLMDeployment(namespace, "chat"), manifest("chat"), operator) as begun:
        yield begun


def test_a_model_that_is_declared_serves_and_meets_its_slo(story: Story, figures: Figures) -> None:
    applied_at = datetime.now(UTC)
    story.resource.until_condition("Ready", "True", seconds=START_SECONDS)
    figures.note("applied to Ready", seconds_since(applied_at), "s")

    story.add_load("base", BASE * story.recording.capacity_of_a_replica())

    story.resource.until_condition("SLOMet", "True", seconds=60)
    assert story.resource.wanted_replicas() == 1


@pytest.mark.parametrize(("worth", "replicas"), [(2.5, 3), (5.5, 6)])
def test_replicas_follow_demand(story: Story, figures: Figures, worth: float, replicas: int) -> None:
    capacity = story.recording.capacity_of_a_replica()
    demand = worth * capacity
    assert math.ceil(demand / capacity) == replicas

    stepped_at = story.add_load(f"up-to-{replicas}", demand - sum(story.offered.values()))

    story.resource.until_replicas(replicas, seconds=90)
    until(
        story.recording.next_sample,
        lambda sample: sample.ready_replicas == replicas,
        what="they are ready",
        seconds=START_SECONDS,
    )
    story.resource.until_condition("SLOMet", "True", seconds=60)
    note_reaction(story, figures, stepped_at, replicas)

    held_from = datetime.now(UTC)
    throughout(story.resource.wanted_replicas, lambda seen: seen == replicas, what="the fleet", seconds=HOLD_SECONDS)
    view = story.clients_view(held_from, datetime.now(UTC))
    assert_promised(view, story)


def assert_promised(view: ClientsView, story: Story) -> None:
    slo = story.declared["spec"]["slo"]
    assert not view.failed
    assert view.served_tokens_per_second >= 0.95 * view.offered_tokens_per_second
    assert view.stream_percent_in_time >= slo["stream"]["percentile"]
    assert view.first_token_percent_in_time >= slo["timeToFirstToken"]["percentile"]


def note_reaction(story: Story, figures: Figures, stepped_at: datetime, replicas: int) -> None:
    decided_at = story.history.first(stepped_at, wanted=replicas)
    ready_at = story.history.first(stepped_at, ready=replicas)
    step = f"step to {replicas} replicas: "
    figures.note(f"{step}load to decision", (decided_at - stepped_at).total_seconds(), "s")
    figures.note(f"{step}load to ready", (ready_at - stepped_at).total_seconds(), "s")
    figures.note(f"{step}load to SLO regained", seconds_since(stepped_at), "s")


def test_nothing_scales_down_without_prometheus_while_load_drops_and_rises(story: Story, cluster: Kubectl) -> None:
    prometheus = cluster.within(PROMETHEUS_NAMESPACE)
    before, capacity = story.resource.wanted_replicas(), story.recording.capacity_of_a_replica()
    gone_at = datetime.now(UTC)
    prometheus("scale", "deployment/prometheus", "--replicas=0")
    story.resource.until_condition("MetricsAvailable", "False", seconds=60)

    story.end_load("up-to-6")
    story.end_load("up-to-3")
    nothing_goes(story, before, seconds=OUTAGE_SECONDS / 2 - seconds_since(gone_at))
    story.add_load("back", 4 * capacity)
    nothing_goes(story, before, seconds=OUTAGE_SECONDS - seconds_since(gone_at))

    assert min(story.history.wanted_since(gone_at)) >= before
    prometheus("scale", "deployment/prometheus", "--replicas=1")
    story.resource.until_condition("MetricsAvailable", "True", seconds=90)


def nothing_goes(story: Story, before: int, *, seconds: float) -> None:
    throughout(story.resource.wanted_replicas, lambda seen: seen >= before, what="the fleet", seconds=seconds)


def test_replicas_go_when_load_falls_after_the_window_and_without_swinging(story: Story, figures: Figures) -> None:
    window = timedelta(seconds=story.declared["spec"]["scaling"]["scaleDown"]["stabilizationWindowSeconds"])
    fell_at = story.end_load("back")

    story.resource.until_replicas(1, seconds=240)

    assert changes_of_direction(story.history.wanted_since(fell_at)) <= 1
    first_down_at = story.history.first_down(fell_at)
    assert first_down_at - fell_at >= window
    figures.note("load falls to first replica less", (first_down_at - fell_at).total_seconds(), "s")
    figures.note("load falls to the last one", seconds_since(fell_at), "s")


def seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
