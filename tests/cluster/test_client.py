import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, incluster_config, kube_config

from tokenpace.cluster import client as client_module
from tokenpace.cluster.calls import Call
from tokenpace.cluster.client import ApiClient, ApiError, log_in_from_environment, namespace_from_environment
from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS, PODS

_PODS = "/api/v1/namespaces/shop/pods"


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


def _lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_paths_are_those_of_the_api_server() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("shop", "a") == "/api/v1/namespaces/shop/pods/a"
    assert DEPLOYMENTS.path("shop", "a", "scale") == "/apis/apps/v1/namespaces/shop/deployments/a/scale"
    assert LLM_DEPLOYMENTS.path("shop") == "/apis/tokenpace.dev/v1alpha1/namespaces/shop/llmdeployments"


async def test_an_object_is_read_as_it_is(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}/a"] << {"metadata": {"name": "a"}, "unknown": {"to": "any model"}}
    assert await client.get(PODS, "shop", "a") == {"metadata": {"name": "a"}, "unknown": {"to": "any model"}}


async def test_a_subresource_is_read_by_its_own_path(client: Any, kmock: Any) -> None:
    kmock["get /apis/apps/v1/namespaces/shop/deployments/a/scale"] << {"spec": {"replicas": 3}}
    assert await client.get(DEPLOYMENTS, "shop", "a", subresource="scale") == {"spec": {"replicas": 3}}


@pytest.mark.parametrize(("api_version", "path"), [("v1", "/api/v1"), ("apps/v1", "/apis/apps/v1")])
async def test_a_group_tells_what_it_serves(client: Any, kmock: Any, api_version: str, path: str) -> None:
    kmock[f"get {path}"] << {"resources": [{"name": "things", "kind": "Thing"}]}
    assert await client.resources(api_version) == [{"name": "things", "kind": "Thing"}]


async def test_every_answer_is_counted_also_one_that_refuses(kmock: Any) -> None:
    answers: list[tuple[Call, int]] = []

    async def log_in(_: Configuration) -> None:
        pass

    ours = ApiClient(Configuration(host=str(kmock.url).rstrip("/")), log_in, on_answer=lambda *one: answers.append(one))
    kmock[f"get {_PODS}/a"] << 403 << _status(403, "Forbidden", "no access")
    kmock[f"get {_PODS}"] << {"metadata": {}, "items": []}
    with pytest.raises(ApiError):
        await ours.get(PODS, "shop", "a")
    await ours.list_cached(PODS, namespace="shop", label_selector="")
    await ours.close()
    assert answers == [(Call("get", "", "pods"), 403), (Call("list", "", "pods"), 200)]


async def test_a_list_that_may_be_moments_old_is_asked_of_the_cache(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}"] << {"items": [1, 2]}
    assert await client.list_cached(PODS, namespace="shop", label_selector="app=a") == [1, 2]
    assert dict(kmock[0].params) == {"labelSelector": "app=a", "resourceVersion": "0"}


async def test_a_list_comes_in_pages(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}", {"continue": "next"}] << {"metadata": {"resourceVersion": "9"}, "items": [2]}
    kmock[f"get {_PODS}"] << {"metadata": {"resourceVersion": "9", "continue": "next"}, "items": [1]}
    pages = [page async for page in client.list_pages(PODS, namespace="shop", label_selector="app=a")]
    assert [page["items"] for page in pages] == [[1], [2]]
    assert [request.params.get("labelSelector") for request in kmock] == ["app=a", "app=a"]


async def test_a_watch_yields_events_until_the_api_server_ends_it(client: Any, kmock: Any) -> None:
    events = [{"type": "ADDED", "object": {"n": 1}}, {"type": "BOOKMARK", "object": {"n": 2}}]
    kmock[f"get {_PODS}"] << (_lines(*events),)
    seen = [event async for event in client.watch(PODS, namespace="shop", resource_version="5", for_seconds=60)]
    assert seen == events
    assert dict(kmock[0].params) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "labelSelector": "",
        "resourceVersion": "5",
        "timeoutSeconds": "60",
    }


async def test_an_error_within_a_watch_is_an_error(client: Any, kmock: Any) -> None:
    gone = {"type": "ERROR", "object": _status(410, "Expired", "too old resource version")}
    kmock[f"get {_PODS}"] << (_lines(gone),)
    with pytest.raises(ApiError, match="410 Expired: too old resource version"):
        await anext(client.watch(PODS, namespace="shop", resource_version="5", for_seconds=60))


@pytest.mark.looptime
async def test_a_watch_that_stays_open_past_its_end_has_stalled(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}"] << (_lines({"type": "BOOKMARK", "object": {}}), lambda: asyncio.sleep(3600))
    events = client.watch(PODS, namespace="shop", resource_version="5", for_seconds=60)
    await anext(events)
    with pytest.raises(ApiError, match="no answer Unreachable"):
        await anext(events)
    assert 60 <= asyncio.get_running_loop().time() < 70


@pytest.mark.parametrize(
    "line", [pytest.param(b'{"type": "ADDED", "obj', id="cut"), pytest.param(b"[" * 100_000, id="nested too deeply")]
)
async def test_an_event_that_cannot_be_read_is_an_error(client: Any, kmock: Any, line: bytes) -> None:
    kmock[f"get {_PODS}"] << (line,)
    with pytest.raises(ApiError, match="NotJSON"):
        await anext(client.watch(PODS, namespace="shop", resource_version="5", for_seconds=60))


@pytest.mark.looptime
async def test_a_call_that_hangs_ends_in_time(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}/a"] << (lambda: asyncio.sleep(3600))
    with pytest.raises(ApiError, match="Unreachable: GET /api/v1/namespaces/shop/pods/a: "):
        await client.get(PODS, "shop", "a")
    assert asyncio.get_running_loop().time() < 6


async def test_a_refusal_carries_the_api_servers_reason_and_words(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}/a"] << 403 << _status(403, "Forbidden", "pods is forbidden: no access")
    with pytest.raises(ApiError) as refusal:
        await client.get(PODS, "shop", "a")
    assert (refusal.value.status, refusal.value.reason, refusal.value.message) == (
        403,
        "Forbidden",
        "pods is forbidden: no access",
    )


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None), ("soon", None)]
)
async def test_a_server_that_is_busy_says_when_to_come_back(
    client: Any, kmock: Any, header: str, seconds: float | None
) -> None:
    kmock[f"get {_PODS}/a"] << 429 << {"Retry-After": header} << _status(429, "TooManyRequests", "busy")
    with pytest.raises(ApiError) as refusal:
        await client.get(PODS, "shop", "a")
    assert refusal.value.retry_after_seconds == seconds


@pytest.mark.parametrize("status", [200, 502])
async def test_an_answer_in_html_is_an_error_that_shows_it(client: Any, kmock: Any, status: int) -> None:
    kmock[f"get {_PODS}/a"] << status << b"<html>a proxy speaks</html>"
    with pytest.raises(ApiError, match="<html>a proxy speaks</html>"):
        await client.get(PODS, "shop", "a")


async def test_a_server_that_is_not_there_is_an_error(client: Any) -> None:
    client._configuration.host = "http://127.0.0.1:1"
    with pytest.raises(ApiError, match="no answer Unreachable"):
        await client.get(PODS, "shop", "a")


async def test_a_refused_token_is_renewed_and_the_call_repeated_once(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}/a", {"Authorization": "Bearer renewed"}] << {"metadata": {"name": "a"}}
    kmock[f"get {_PODS}/a"] << 401 << _status(401, "Unauthorized", "token expired")
    assert await client.get(PODS, "shop", "a") == {"metadata": {"name": "a"}}
    assert [request.headers["Authorization"] for request in kmock] == ["Bearer first", "Bearer renewed"]


async def test_calls_refused_together_renew_the_token_once(client: Any, kmock: Any) -> None:
    logins = 0
    log_in = client._login

    async def counted(configuration: Any) -> None:
        nonlocal logins
        logins += 1
        await log_in(configuration)

    client._login = counted
    kmock[f"get {_PODS}/a", {"Authorization": "Bearer renewed"}] << {"metadata": {}}
    kmock[f"get {_PODS}/a"] << 401
    await asyncio.gather(*(client.get(PODS, "shop", "a") for _ in range(20)))
    assert logins == 1


async def test_a_token_refused_twice_is_an_error(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}/a"] << 401 << _status(401, "Unauthorized", "who are you")
    with pytest.raises(ApiError, match="401 Unauthorized: who are you"):
        await client.get(PODS, "shop", "a")
    assert len(kmock) == 2


async def test_a_cancelled_call_ends_at_once(client: Any, kmock: Any) -> None:
    arrived = asyncio.Event()
    kmock[f"get {_PODS}/a"] >> arrived
    kmock[f"get {_PODS}/a"] << (lambda: asyncio.sleep(3600))
    call = asyncio.create_task(client.get(PODS, "shop", "a"))
    await arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_in_a_pod_the_token_is_read_from_its_file_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    authority.write_text("a certificate")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    configuration = Configuration()
    for content in ("first", "rotated"):
        token.write_text(content)
        await log_in_from_environment(configuration)
        assert await configuration.get_api_key_with_prefix("BearerToken") == f"bearer {content}"


def test_in_a_pod_its_own_namespace_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("shop")
    monkeypatch.setattr(client_module, "_POD_NAMESPACE_FILE", tmp_path / "namespace")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert namespace_from_environment() == "shop"


@pytest.mark.parametrize(("context", "namespace"), [({"namespace": "shop"}, "shop"), ({}, "default")])
def test_elsewhere_that_of_the_current_context_is_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, context: dict[str, str], namespace: str
) -> None:
    entry = {"name": "here", "context": {"cluster": "c", "user": "u", **context}}
    file = tmp_path / "config"
    others = {"clusters": [{"name": "c", "cluster": {}}], "users": [{"name": "u", "user": {}}]}
    file.write_text(json.dumps({"current-context": "here", "contexts": [entry], **others}))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert namespace_from_environment() == namespace


def test_without_a_kubeconfig_no_namespace_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigException):
        namespace_from_environment()
