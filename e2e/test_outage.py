"""Promises about a fleet whose Prometheus is gone, as one story: no metrics is not no load."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from e2e.installation import PROMETHEUS_NAMESPACE
from e2e.kubectl import Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import seconds_since, throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.disruptive, pytest.mark.timeout(480), pytest.mark.usefixtures("unbroken")]

LITTLE, MUCH = 0.6, 1.8
"""Replicas' worth of load: what lasts through the story, and what comes and goes on top of it."""
FLEET = 3
OUTAGE_SECONDS = 180


@pytest.fixture(scope="module")
def prometheus(cluster: Kubectl) -> Iterator[Kubectl]:
    """Return kubectl in Prometheus' namespace; in the end it runs again, for whoever comes next."""
    kubectl = cluster.within(PROMETHEUS_NAMESPACE)
    yield kubectl
    kubectl("scale", "deployment/prometheus", "--replicas=1")


@pytest.fixture(scope="module")
def story(operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    declared = manifest("chat", slo={"generationTokensPerSecond": 50}, scaling={"maxReplicas": 6})
    with told(LLMDeployment(namespace, "chat"), declared, operator) as begun:
        begun.resource.until_condition("Ready", "True", seconds=START_SECONDS)
        yield begun


def test_nothing_scales_down_without_prometheus_while_load_drops_and_rises(story: Story, prometheus: Kubectl) -> None:
    capacity = story.recording.capacity_of_a_replica()
    story.add_load("little", LITTLE * capacity)
    story.add_load("much", MUCH * capacity)
    until(story.resource.wanted_replicas, lambda seen: seen >= FLEET, what="a fleet is there", seconds=180)
    prometheus("scale", "deployment/prometheus", "--replicas=0")
    story.resource.until_condition("MetricsAvailable", "False", seconds=60)
    before, gone_at = story.resource.wanted_replicas(), datetime.now(UTC)

    story.end_load("much")
    nothing_goes(story, before, seconds=OUTAGE_SECONDS / 2 - seconds_since(gone_at))
    story.add_load("more", MUCH * capacity)
    nothing_goes(story, before, seconds=OUTAGE_SECONDS - seconds_since(gone_at))

    assert min(story.history.wanted_since(gone_at)) >= before


def nothing_goes(story: Story, before: int, *, seconds: float) -> None:
    throughout(story.resource.wanted_replicas, lambda seen: seen >= before, what="the fleet", seconds=seconds)


def test_control_resumes_when_prometheus_is_back(story: Story, prometheus: Kubectl) -> None:
    before = story.resource.wanted_replicas()
    prometheus("scale", "deployment/prometheus", "--replicas=1")
    story.resource.until_condition("MetricsAvailable", "True", seconds=90)

    story.end_load("more")

    until(story.resource.wanted_replicas, lambda seen: seen < before, what="replicas go with the load", seconds=180)
