"""LLMDeployments, read for a person."""

from typing import Any

import pytest
from kubernetes.aio.config import ConfigException

from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS
from tokenpace.controller import lookup
from tokenpace.controller.lookup import LookupFailedError, look_up, look_up_all


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, fake: Any, resource: Any) -> Any:
    """The API server in memory as the cluster that is configured, with one LLMDeployment in namespace shop."""

    class Configured:
        @staticmethod
        async def from_environment() -> Any:
            return fake

    async def close() -> None:
        fake.calls.append("close")

    fake.close = close
    fake.objects[LLM_DEPLOYMENTS, "shop", "chat"] = resource
    monkeypatch.setattr(lookup, "ApiClient", Configured)
    monkeypatch.setattr(lookup, "namespace_from_environment", lambda: "shop")
    return fake


@pytest.mark.parametrize("namespace", [None, "shop"])
async def test_it_is_read_from_the_namespace_that_is_named_or_meant(
    cluster: Any, resource: Any, namespace: str | None
) -> None:
    assert await look_up("chat", namespace) == resource
    assert cluster.calls[-1] == "close"


async def test_one_that_is_not_there_is_told_with_where_to_look(cluster: Any) -> None:
    with pytest.raises(LookupFailedError, match=r"no LLMDeployment lost in namespace elsewhere; .* -n"):
        await look_up("lost", "elsewhere")
    assert cluster.calls[-1] == "close"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ApiError(403, "Forbidden", "you may not"), "you may not"),
        (ApiError(404, "Not Found", "404 page not found"), "404 page not found"),
        (ApiError(None, "Unreachable", "time-out"), "time-out"),
    ],
)
async def test_a_refusal_is_told_in_the_api_servers_words(cluster: Any, error: ApiError, words: str) -> None:
    async def refuse(_: str) -> None:
        raise error

    cluster.before = refuse
    with pytest.raises(LookupFailedError, match=words):
        await look_up("chat", "shop")


async def test_without_a_cluster_it_is_said_how_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise ConfigException("no configuration found")

    monkeypatch.setattr(lookup, "namespace_from_environment", none)
    with pytest.raises(LookupFailedError, match="KUBECONFIG"):
        await look_up("chat", None)


async def test_nothing_that_a_terminal_obeys_is_shown_to_a_person(cluster: Any, resource: Any) -> None:
    """A condition's message quotes a pod, and a pod may say anything."""
    message = "Failed:\x1b[2J\x1b]0;owned\x07\nall is well \u2603"
    cluster.objects[LLM_DEPLOYMENTS, "shop", "chat"] = {**resource, "status": {"conditions": [{"message": message}]}}
    for found in (await look_up("chat", None), *await look_up_all(None, everywhere=True)):
        (shown,) = (one["message"] for one in found["status"]["conditions"])
        assert shown == "Failed:\ufffd[2J\ufffd]0;owned\ufffd\nall is well \u2603"


@pytest.fixture
def two(cluster: Any, resource: Any) -> Any:
    """The cluster with a second LLMDeployment, in namespace lab."""
    cluster.objects[LLM_DEPLOYMENTS, "lab", "draft"] = {**resource, "metadata": {"namespace": "lab", "name": "draft"}}
    return cluster


async def test_all_are_those_of_the_namespace_that_is_meant(two: Any) -> None:
    assert [one["metadata"]["name"] for one in await look_up_all(None, everywhere=False)] == ["chat"]
    assert two.calls[-1] == "close"


async def test_everywhere_is_every_namespace(two: Any) -> None:
    assert {one["metadata"]["name"] for one in await look_up_all(None, everywhere=True)} == {"chat", "draft"}
    assert two.calls[-1] == "close"


async def test_a_cluster_without_the_definition_is_told_with_the_cure(cluster: Any) -> None:
    async def refuse(_: str) -> None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")

    cluster.before = refuse
    with pytest.raises(LookupFailedError, match="knows no LLMDeployments; install the chart"):
        await look_up_all(None, everywhere=True)
