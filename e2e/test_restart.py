"""Promise: an operator that is killed at any moment leaves nothing that the next one does not finish."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from e2e.kubectl import Kubectl
from e2e.llmdeployment import LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.disruptive,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("the operator is taken away"),
]

KILLS = 10
REPLICAS = 2
KINDS = ("services", "poddisruptionbudgets", "deployments")


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

    def watch(lines: Iterator[str]) -> None:
        if next(lines, None) and not_yet.acquire(blocking=False):
            act()

    with ExitStack() as watches:
        for kind in KINDS:
            command = ("get", kind, f"--selector={resource.selector}", "--watch", "--output=name")
            running = watches.enter_context(resource.kubectl.follow(*command))
            assert running.stdout is not None
            threading.Thread(target=watch, args=(running.stdout,), daemon=True).start()
        yield
