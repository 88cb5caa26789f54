"""Promises about pods that are renewed or replaced while clients use them: nobody notices."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.kubectl import Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.usefixtures("unbroken")]

VARIANT = "q8"
REPLICAS = 2
LOAD = 0.8
"""Replicas' worth: one is busy with it, two are at ease."""
ARGUMENTS = ("--threads-batch", "1")
"""What the pods are renewed for."""


@pytest.fixture(scope="module")
def story(operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    with told(LLMDeployment(namespace, "chat"), with_arguments(), operator) as begun:
        begun.resource.until_ready({VARIANT: REPLICAS}, seconds=START_SECONDS)
        begun.add_load("load", LOAD * begun.recording.capacity_of_a_replica())
        yield begun


def with_arguments(*arguments: str) -> Any:
    changed = manifest("chat", scaling={"minReplicas": REPLICAS})
    changed["spec"]["variants"][0]["engine"]["args"] = list(arguments)
    return changed


def test_changed_arguments_renew_the_pods_one_by_one_and_no_request_fails(story: Story) -> None:
    before, changed_at = set(story.resource.pods()), datetime.now(UTC)

    story.resource.kubectl.apply(with_arguments(*ARGUMENTS))

    until(
        story.resource.pods,
        lambda now: len(now) == REPLICAS and before.isdisjoint(now),
        what="every pod is a new one",
        seconds=180,
    )
    story.resource.until_condition("Progressing", "False", seconds=60)
    assert min(story.history.ready_since(f"chat-{VARIANT}", changed_at)) >= REPLICAS
    assert story.broken_streams() == []


def test_a_better_variant_whose_model_does_not_load_is_rolled_back_and_the_old_one_serves_all_along(
    story: Story,
) -> None:
    offered = with_arguments(*ARGUMENTS)
    (served,) = offered["spec"]["variants"]
    missing = {"image": {"path": "/models", "file": "missing.gguf"}}
    offered["spec"]["variants"] = [{**served, "quality": "90"}, {**served, "name": "broken", "source": missing}]

    story.resource.kubectl.apply(offered)

    rolled_back = story.resource.until_condition("Progressing", "False", reason="RolledBack", seconds=420)
    assert "Failed to init server" in rolled_back["message"], "the engine's own last words"
    ready = story.history.ready_since(f"chat-{VARIANT}", story.loads["load"].begun_at)
    assert min(ready) >= 1
    assert story.broken_streams() == []
