"""Requests in the words of roles."""

import pytest

from tokenpace.cluster.calls import Call, call_of
from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS, PODS, Kind


@pytest.mark.parametrize(
    ("method", "path", "query", "call"),
    [
        ("GET", PODS.path(), {}, Call("list", "", "pods")),
        ("GET", PODS.path("shop"), {"watch": "true"}, Call("watch", "", "pods")),
        ("GET", PODS.path("shop", "a"), {}, Call("get", "", "pods")),
        ("GET", LLM_DEPLOYMENTS.path(), {"limit": 5}, Call("list", "tokenpace.dev", "llmdeployments")),
        ("POST", DEPLOYMENTS.path("shop"), {}, Call("create", "apps", "deployments")),
        ("DELETE", DEPLOYMENTS.path("shop", "a"), {}, Call("delete", "apps", "deployments")),
        ("PATCH", DEPLOYMENTS.path("shop", "a", "scale"), {}, Call("patch", "apps", "deployments/scale")),
        ("PATCH", DEPLOYMENTS.path("namespaces", "namespaces"), {}, Call("patch", "apps", "deployments")),
    ],
)
def test_a_request_is_the_verb_and_the_resource_that_a_role_must_hold(
    method: str, path: str, query: dict[str, object], call: Call
) -> None:
    assert call_of(method, path, query) == call


@pytest.mark.parametrize("api_version", ["v1", "apps/v1"])
def test_what_a_group_serves_may_be_asked_by_everybody(api_version: str) -> None:
    assert call_of("GET", Kind(api_version, "", "").path(), {}) is None
