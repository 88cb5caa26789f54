"""Promises: what belongs to an LLMDeployment goes with it, and what belongs to others is left alone."""

from typing import Any

import pytest

from e2e.kubectl import Kubectl, Manifest
from e2e.llmdeployment import LLMDeployment, manifest
from e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.usefixtures("operator")]

OWNED = "deployments,replicasets,pods,services,poddisruptionbudgets"


def test_deleting_the_manifest_deletes_every_object_and_nothing_blocks(namespace: Kubectl) -> None:
    namespace.apply(manifest("gone"))
    resource = LLMDeployment(namespace, "gone")
    until(lambda: namespace.list("pods", resource.selector), bool, what="a pod is made", seconds=30)
    created = namespace.get("llmdeployment", "gone")
    assert created is not None
    assert "finalizers" not in created["metadata"]

    namespace("delete", "llmdep", "gone", "--timeout=10s")

    until(
        lambda: names(namespace.list(OWNED, resource.selector)), lambda left: not left, what="all is gone", seconds=60
    )


def names(objects: Any) -> list[str]:
    return [f"{one['kind']}/{one['metadata']['name']}" for one in objects]


def strangers() -> list[Manifest]:
    """Objects under the names that the operator would give its own."""
    labels = {"app": "stranger"}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "it", "image": "registry.k8s.io/pause:3.10"}]},
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "taken-q8"},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "taken"},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        },
    ]


def test_a_strangers_objects_of_our_name_are_left_alone(namespace: Kubectl) -> None:
    namespace.apply(*strangers())
    before = versions(namespace)

    namespace.apply(manifest("taken"))
    resource = LLMDeployment(namespace, "taken")
    conflict = resource.until_condition("Ready", "False", reason="NameConflict", seconds=30)

    assert "taken" in conflict["message"]
    throughout(
        lambda: versions(namespace),
        lambda now: now == before,
        what="the stranger's objects are as they were",
        seconds=8,
    )


def versions(kubectl: Kubectl) -> dict[str, Any]:
    """Return what changes with every write to the two objects that are the stranger's: spec, labels and owners."""
    found = [kubectl.get("deployment", "taken-q8"), kubectl.get("service", "taken")]
    return {
        one["kind"]: (one["spec"], one["metadata"].get("labels"), one["metadata"].get("ownerReferences"))
        for one in found
        if one
    }
