"""Promises: whether an operator is killed at any moment or replaced by a new version, the next one goes on rightly."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from e2e.images import OPERATOR_PACKAGES, changed_operator
from e2e.installation import install_operator
from e2e.kubectl import Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.disruptive, pytest.mark.timeout(300)]

KILLS = 10
REPLICAS = 2
KINDS = ("services", "poddisruptionbudgets", "deployments")
VARIANT = "q8"
LOAD = 0.5
"""Replicas' worth: one is enough throughout."""


@pytest.mark.parametrize("attempt", range(1, KILLS + 1))
def test_an_operator_killed_at_its_first_write_leaves_no_job_half_done(
    operator: RunningOperator, namespace: Kubectl, attempt: int
) -> None:
    resource = LLMDeployment(namespace, f"chat-{attempt}")
    with operator.armed() as trigger, at_first_write(resource, trigger.pull):
        namespace.apply(manifest(resource.name, scaling={"minReplicas": REPLICAS}))
        until(operator.restarts, lambda seen: seen > trigger.restarts, what="the operator was killed", seconds=30)

    resource.until_replicas(REPLICAS, seconds=60)
    made = until(
        lambda: [one["kind"] for one in namespace.list(",".join(KINDS), resource.selector)],
        lambda kinds: len(kinds) >= len(KINDS),
        what="everything is there",
        seconds=30,
    )
    assert sorted(made) == ["Deployment", "PodDisruptionBudget", "Service"]
    assert len(namespace.list("replicasets", resource.selector)) == 1
    namespace("delete", "llmdep", resource.name, "--wait=false")


@contextmanager
def at_first_write(resource: LLMDeployment, act: Callable[[], None]) -> Iterator[None]:
    """Act once, the moment that a watch sees the first object of a resource."""
    not_yet = threading.Lock()

    def seen(_: str) -> None:
        if not_yet.acquire(blocking=False):
            act()

    with ExitStack() as watches:
        for kind in KINDS:
            command = ("get", kind, f"--selector={resource.selector}", "--watch", "--output=name")
            watches.enter_context(resource.kubectl.follow(*command, on_line=seen))
        yield


@pytest.fixture(scope="module")
def story(operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    with told(LLMDeployment(namespace, "chat"), manifest("chat"), operator) as begun:
        begun.resource.until_condition("Ready", "True", seconds=START_SECONDS)
        begun.add_load("load", LOAD * begun.recording.capacity_of_a_replica())
        yield begun


def test_a_new_version_of_the_operator_that_renders_otherwise_restarts_no_pod(
    story: Story, cluster: Kubectl, other_renderer: str
) -> None:
    before = story.resource.pods()

    install_operator(cluster, image=other_renderer)

    outdated = story.resource.until_condition("Progressing", "False", reason="TemplateOutdated", seconds=60)
    assert VARIANT in outdated["message"]
    assert story.resource.pods() == before
    assert story.broken_streams() == []


@pytest.fixture
def other_renderer(cluster: Kubectl) -> Iterator[str]:
    """Return an operator image whose pods of llama.cpp have another grace period; in the end the real one is back."""
    edit = "sed -i 's/^DRAIN_SECONDS.*/DRAIN_SECONDS = 299/' llama_cpp.py && rm __pycache__/llama_cpp.*"
    yield changed_operator("other-renderer", f"RUN cd {OPERATOR_PACKAGES}/tokenpace/engines && {edit}")
    install_operator(cluster)
