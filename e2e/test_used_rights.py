"""Promise: the operator may do what it does, and no more: its roles beside the calls of all other scenarios."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import pytest

from e2e.installation import PROMETHEUS_NAMESPACE, RELEASE
from e2e.kubectl import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(60), pytest.mark.usefixtures("operator")]

Right = tuple[str, str, str]
"""Verb, API group, resource."""

NOT_SEEN_HERE: Mapping[Right, str] = {
    ("get", "tokenpace.dev", "llmdeployments"): "`tokenpace explain` in the operator's pod: e2e/test_bring_your_own.py",
    ("get", "apps", "statefulsets/scale"): "asked as of Deployments: tests/apiserver/test_scale_target.py",
    ("patch", "apps", "statefulsets/scale"): "asked as of Deployments: tests/apiserver/test_scale_target.py",
}
"""Rights that no call of these scenarios uses, and who does."""


REFUSED_AT_THE_END: Right = ("get", "coordination.k8s.io", "leases")
"""An operator whose release is removed or upgraded gives its Lease back when the role for that may be gone already."""


@pytest.fixture(scope="module")
def calls(cluster: Kubectl) -> set[tuple[Right, int]]:
    """What every operator of these scenarios asked of the API server, with the status of the answer.

    kopf's own calls are not counted. It lives within the same roles, of which nothing is left over for it.
    """
    asked = "group by (verb, group, resource, code) (last_over_time(tokenpace_kubernetes_requests_total[6h]))"
    service = f"/api/v1/namespaces/{PROMETHEUS_NAMESPACE}/services/prometheus:9090/proxy/api/v1/query"
    answer = json.loads(cluster("get", "--raw", f"{service}?{urlencode({'query': asked})}"))
    series = [one["metric"] for one in answer["data"]["result"]]
    return {((one["verb"], one.get("group", ""), one["resource"]), int(one["code"])) for one in series}


@pytest.fixture(scope="module")
def rights(cluster: Kubectl) -> set[Right]:
    """What the roles hold that are bound to the operator."""
    selector = f"app.kubernetes.io/instance={RELEASE}"
    bound = {
        (one["roleRef"]["kind"], one["roleRef"]["name"])
        for one in cluster.list("clusterrolebindings", selector) + everywhere(cluster, "rolebindings", selector)
    }
    roles = [*cluster.list("clusterroles", selector), *everywhere(cluster, "roles", selector)]
    return {
        right
        for role in roles
        if (role["kind"], role["metadata"]["name"]) in bound
        for right in rights_of(role["rules"])
    }


def everywhere(cluster: Kubectl, kinds: str, selector: str) -> Any:
    return json.loads(cluster("get", kinds, "--all-namespaces", "--output=json", f"--selector={selector}"))["items"]


def rights_of(rules: list[dict[str, list[str]]]) -> Iterator[Right]:
    for rule in rules:
        for verb in rule["verbs"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    yield verb, group, resource


@pytest.fixture(scope="module")
def used(calls: set[tuple[Right, int]]) -> set[Right]:
    """The rights that those calls took. To apply what is not there yet takes the right to create it, too."""
    created = {("create", group, resource) for (verb, group, resource), code in calls if (verb, code) == ("patch", 201)}
    return {call for call, _ in calls} | created


def test_no_call_was_refused_for_want_of_a_right(calls: set[tuple[Right, int]]) -> None:
    assert {call for call, code in calls if code == HTTPStatus.FORBIDDEN} <= {REFUSED_AT_THE_END}


def test_every_call_is_one_that_the_roles_allow(used: set[Right], rights: set[Right]) -> None:
    assert used <= rights


def test_every_right_is_used(used: set[Right], rights: set[Right]) -> None:
    assert rights - used == NOT_SEEN_HERE.keys()
