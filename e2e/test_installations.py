"""Promises about installations: an upgrade restarts no model, and of two only one works."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.images import OPERATOR_PACKAGES, changed_operator
from e2e.installation import NAMESPACE, install_operator, throwaway_namespace, uninstall_operator
from e2e.kubectl import ROOT, Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(300)]

PREVIOUS = Path(__file__).parent / "previous-version"
(PREVIOUS_CHART,) = PREVIOUS.glob("*.tgz")
"""As it was released: `helm package` of its commit."""
(PREVIOUS_OPERATOR,) = PREVIOUS.glob("*.tar.xz")
"""The package `tokenpace` of the same commit, without the replay, which no image holds."""
DEFINITION = "llmdeployments.tokenpace.dev"


@pytest.fixture
def previous_version(cluster: Kubectl) -> Iterator[None]:
    """The previous chart with the previous operator instead of this one; in the end this one again."""
    image = changed_operator(
        "previous-version",
        f"ADD {PREVIOUS_OPERATOR.name} /tmp/previous",
        f"RUN rm -r {OPERATOR_PACKAGES}/tokenpace && mv /tmp/previous/tokenpace {OPERATOR_PACKAGES}/",
        context=PREVIOUS,
    )
    uninstall_operator()
    try:
        install_operator(cluster, image=image, chart=str(PREVIOUS_CHART))
        yield
    finally:
        install_operator(cluster)


@pytest.mark.usefixtures("previous_version")
def test_an_upgrade_from_the_previous_version_restarts_no_model_and_goes_on(
    cluster: Kubectl, namespace: Kubectl
) -> None:
    namespace.apply(manifest("chat"))
    resource = LLMDeployment(namespace, "chat")
    resource.until_condition("Ready", "True", seconds=START_SECONDS)
    pods, workloads = resource.pods(), generations(resource)

    operator = install_operator(cluster)

    until(lambda: served_by(operator, namespace), bool, what="the new operator works", seconds=60)
    assert resource.pods() == pods
    assert generations(resource) == workloads
    assert (
        definition(cluster) == yaml.safe_load((ROOT / "crds" / "tokenpace.dev_llmdeployments.yaml").read_text())["spec"]
    )
    namespace.apply(manifest("chat", scaling={"minReplicas": 2}))
    resource.until_replicas(2, seconds=60)
    assert set(pods) <= set(resource.pods())


def generations(resource: LLMDeployment) -> dict[str, int]:
    """Return, by name, what changes with every change of what a Deployment asks for."""
    return {
        one["metadata"]["name"]: one["metadata"]["generation"]
        for one in resource.kubectl.list("deployments", resource.selector)
    }


def definition(cluster: Kubectl) -> Any:
    """Return the spec of the definition, without what the API server adds."""
    found = cluster.get("customresourcedefinition", DEFINITION)
    assert found is not None
    return {key: value for key, value in found["spec"].items() if key != "conversion"}


def served_by(operator: RunningOperator, namespace: Kubectl) -> bool:
    """Tell whether an operator decides on what a namespace declares."""
    return any(
        name == "tokenpace_desired_replicas" and ("namespace", namespace.namespace) in labels
        for name, labels in operator.metrics()
    )


@contextmanager
def second_installation(cluster: Kubectl, **values: str) -> Iterator[RunningOperator]:
    """Install the chart again, under the same name in another namespace."""
    with throwaway_namespace(cluster, "second") as its:
        try:
            yield install_operator(cluster, namespace=its.namespace, **{"crds.enabled": "false", **values})
        finally:
            uninstall_operator(its.namespace)


def test_a_second_operator_of_the_whole_cluster_stands_by_and_says_for_whom(
    cluster: Kubectl, operator: RunningOperator
) -> None:
    working = f"{NAMESPACE}/{operator.pod()['metadata']['name']}"
    with second_installation(cluster) as second:
        until(
            lambda: [one.get("holder") for one in second.log() if one["event"].startswith("standing by")],
            lambda holders: holders[-1:] == [working],
            what="the second one stands by for the first",
            seconds=30,
        )
        throughout(lambda: holder(cluster), lambda seen: seen == working, what="the first one works", seconds=8)


def holder(cluster: Kubectl) -> Any:
    found = cluster.within("kube-system").get("lease", "tokenpace")
    return found and found["spec"].get("holderIdentity")


def test_an_operator_of_one_namespace_serves_it_and_is_left_it_by_that_of_the_whole_cluster(
    cluster: Kubectl, operator: RunningOperator, namespace: Kubectl
) -> None:
    namespace.apply(manifest("own", scaling={"mode": "Advisory"}))
    until(lambda: served_by(operator, namespace), bool, what="the cluster's operator serves it", seconds=60)
    with second_installation(cluster, watchNamespaces=f"{{{namespace.namespace}}}") as second:
        until(
            lambda: (served_by(second, namespace), served_by(operator, namespace)),
            lambda seen: seen == (True, False),
            what="its own operator alone serves it",
            seconds=60,
        )
    until(lambda: served_by(operator, namespace), bool, what="the cluster's operator serves it again", seconds=60)
