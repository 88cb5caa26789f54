"""Promises about workloads that exist already: they are scaled and never changed otherwise, or only advised on."""

import shlex
from typing import Any

import pytest

from e2e.kubectl import RESTRICTED_CONTAINER, RESTRICTED_POD, Kubectl, Manifest
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.usefixtures("operator")]

TARGET = "theirs"
"""Prometheus of the test cluster is told to scrape pods with the label `app` of this value."""
REPLICAS = 2
COMMAND = "--model /models/q8_0.gguf --host 0.0.0.0 --port 8080 --metrics -c 512 -np 2 --cache-ram 0 --threads 1"
ADVICE = f"would scale today from 1 to {REPLICAS}"


@pytest.fixture(scope="module")
def existing(namespace: Kubectl) -> Kubectl:
    """A Deployment that somebody runs already, with labels and settings of their own."""
    labels = {"app": TARGET}
    server = {
        "name": "server",
        "image": "localhost/tokenpace/llama-cpp-smollm2:test",
        "args": shlex.split(COMMAND),
        "ports": [{"containerPort": 8080}],
        "resources": {"limits": {"cpu": "120m", "memory": "512Mi"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
        "securityContext": RESTRICTED_CONTAINER,
    }
    deployment: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": TARGET},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"securityContext": RESTRICTED_POD, "containers": [server]},
            },
        },
    }
    namespace.apply(deployment)
    return namespace


def bring(mode: str) -> Manifest:
    """Return a manifest whose one variant is that Deployment, with two replicas wanted at least."""
    brought = manifest("chat", scaling={"mode": mode, "minReplicas": REPLICAS})
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": TARGET}
    brought["spec"]["variants"] = [{"name": "today", "scaleTargetRef": reference, "metrics": "LlamaCpp"}]
    return brought


def deployment(kubectl: Kubectl) -> Any:
    found = kubectl.get("deployment", TARGET)
    assert found is not None
    return found


def test_advice_is_given_and_nothing_is_touched(existing: Kubectl) -> None:
    before = deployment(existing)["spec"]

    existing.apply(bring("Advisory"))

    resource = LLMDeployment(existing, "chat")
    resource.until_condition("Progressing", "False", reason="Advisory", seconds=60)
    resource.until_condition("MetricsAvailable", "True", seconds=START_SECONDS)
    assert resource.status()["lastDecision"]["action"] == ADVICE
    throughout(lambda: deployment(existing)["spec"], lambda now: now == before, what="their Deployment", seconds=8)


def test_advice_is_told_to_people_and_to_other_autoscalers(existing: Kubectl, operator: RunningOperator) -> None:
    pod = f"pod/{operator.pod()['metadata']['name']}"
    explained = operator.kubectl("exec", pod, "--", "tokenpace", "explain", "chat", "-n", existing.namespace)
    labels = {"namespace": existing.namespace, "name": "chat", "variant": "today"}
    exported = operator.metrics()["tokenpace_desired_replicas", frozenset(labels.items())]
    assert (ADVICE in explained, exported) == (True, REPLICAS)


def test_an_existing_deployment_is_scaled_and_not_changed_otherwise(existing: Kubectl) -> None:
    before = deployment(existing)

    existing.apply(bring("Auto"))

    resource = LLMDeployment(existing, "chat")
    until(lambda: deployment(existing)["spec"]["replicas"], lambda seen: seen == REPLICAS, what="scaled", seconds=60)
    resource.until_condition("Ready", "True", seconds=START_SECONDS)
    after = deployment(existing)
    assert after["spec"] == {**before["spec"], "replicas": REPLICAS}
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    assert after["metadata"].get("ownerReferences") is None
    assert not existing.list("deployments,services,poddisruptionbudgets", resource.selector)


def test_it_outlives_the_resource_that_scaled_it(existing: Kubectl) -> None:
    existing("delete", "llmdep", "chat", "--timeout=10s")

    throughout(
        lambda: deployment(existing)["spec"]["replicas"], lambda seen: seen == REPLICAS, what="replicas", seconds=8
    )
