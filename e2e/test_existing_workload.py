"""Promise: of a workload that exists already the size is advised, then set, and nothing else of it is touched."""

import copy
from typing import Any

import pytest
import yaml

from e2e.kubectl import Kubectl, Manifest
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.waiting import throughout, until
from tokenpace.controller.render import render

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAME = "existing"
"""Prometheus of the test cluster is told to scrape pods with the label `app` of this value."""
LEAST = 2
ADVICE = f"would scale today from 1 to {LEAST}"


def workload() -> Manifest:
    """Return one replica of the demo's engine as somebody might have made it by hand: nothing says that it is ours."""
    rendered = next(one for one in render(yaml.safe_dump(manifest("model"))) if one["kind"] == "Deployment")
    labels = {"app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": {"team": "theirs"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": rendered["spec"]["template"]["spec"]},
        },
    }


def declared(mode: str) -> Manifest:
    """Return an LLMDeployment whose only variant is that workload."""
    base = manifest("chat", scaling={"mode": mode, "minReplicas": LEAST})
    base["spec"]["variants"] = [
        {
            "name": "today",
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "metrics": "LlamaCpp",
            "expected": base["spec"]["variants"][0]["expected"],
        }
    ]
    del base["spec"]["model"]["source"]
    return base


def but_for_its_size(kubectl: Kubectl) -> Any:
    """Return all that the workload is but for its size: every write of somebody else's would show."""
    live = copy.deepcopy(kubectl.get("deployment", NAME) or {})
    del live["spec"]["replicas"]
    metadata = live["metadata"]
    return live["spec"], metadata["labels"], metadata.get("annotations"), metadata.get("ownerReferences")


def size(kubectl: Kubectl) -> int:
    replicas: int = (kubectl.get("deployment", NAME) or {})["spec"]["replicas"]
    return replicas


@pytest.fixture(scope="module")
def advised(operator: RunningOperator, namespace: Kubectl) -> LLMDeployment:
    """An LLMDeployment that advises on a workload that serves already."""
    assert operator.pod()
    namespace.apply(workload())
    namespace("rollout", "status", f"deployment/{NAME}", f"--timeout={START_SECONDS}s")
    namespace.apply(declared("Advisory"))
    return LLMDeployment(namespace, "chat")


def test_it_is_measured_and_advice_is_given(
    operator: RunningOperator, namespace: Kubectl, advised: LLMDeployment
) -> None:
    before = but_for_its_size(namespace)
    advised.until_condition("MetricsAvailable", "True", seconds=60)
    until(
        lambda: advised.status().get("lastDecision", {}).get("action"),
        lambda action: action == ADVICE,
        what=f"it says that it {ADVICE}",
        seconds=60,
    )
    throughout(lambda: size(namespace), lambda seen: seen == 1, what="nothing is done", seconds=10)
    labels = {"namespace": namespace.namespace, "name": "chat", "variant": "today"}
    assert operator.metrics()["tokenpace_desired_replicas", frozenset(labels.items())] == LEAST
    assert but_for_its_size(namespace) == before


def test_explain_in_the_operators_pod_says_what_would_be_done(
    operator: RunningOperator, namespace: Kubectl, advised: LLMDeployment
) -> None:
    pod = f"pod/{operator.pod()['metadata']['name']}"
    text = operator.kubectl("exec", pod, "--", "tokenpace", "explain", advised.name, "-n", namespace.namespace)
    assert ADVICE in text


def test_once_it_may_act_it_sets_the_size_and_makes_nothing(namespace: Kubectl, advised: LLMDeployment) -> None:
    before = but_for_its_size(namespace)
    namespace.apply(declared("Auto"))
    until(lambda: size(namespace), lambda seen: seen == LEAST, what="it is scaled", seconds=60)
    advised.until_condition("Ready", "True", seconds=START_SECONDS)
    assert but_for_its_size(namespace) == before
    assert not namespace.list("deployments,services,poddisruptionbudgets", advised.selector)


def test_it_is_let_go_with_the_replicas_that_it_has(namespace: Kubectl, advised: LLMDeployment) -> None:
    namespace("delete", "llmdep", advised.name, "--timeout=10s")
    throughout(lambda: size(namespace), lambda seen: seen == LEAST, what="its replicas stay", seconds=10)
