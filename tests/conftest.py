import asyncio
import copy
import itertools
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any, Self

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tokenpace.api import names
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import Kind, kind_of

# The same examples in every run, on however slow a machine: a gate that draws anew fails people for others' code.
# `HYPOTHESIS_PROFILE=explore` looks for new ones; `make soak` does.
hypothesis_settings.register_profile(
    "gate", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
hypothesis_settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

Fault = Callable[[str], Awaitable[None]]


async def _no_fault(_: str) -> None:
    pass


class FakeApiServer:
    """An API server in memory, for faults: names, resource versions, and calls that fail, hang or are the last one.

    It has the methods of `ApiClient`. Every call awaits ``before`` and ``after`` it has its effect, with its name.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.served = {"apps/v1": {"deployments": "Deployment", "deployments/scale": "Scale"}}
        """By group and version, the kind behind each plural and subresource."""
        self.before: Fault = _no_fault
        self.after: Fault = _no_fault
        self._versions = itertools.count(1)

    def connection(self) -> Self:
        """Return another way to the same server, with faults of its own."""
        other = type(self)()
        other.objects, other._versions = self.objects, self._versions
        return other

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> dict[str, Any]:
        async def found() -> dict[str, Any]:
            live = self._found((kind, namespace, name))
            return _scale_of(live) if subresource == "scale" else live

        return await self._call(f"get {kind.plural} {subresource}".strip(), found)

    async def resources(self, api_version: str) -> list[dict[str, Any]]:
        async def served() -> dict[str, Any]:
            if api_version not in self.served:
                raise ApiError(404, "NotFound", "the server could not find the requested resource")
            return {"resources": [{"kind": kind, "name": name} for name, kind in self.served[api_version].items()]}

        return list((await self._call(f"get {api_version}", served))["resources"])

    async def list_cached(self, kind: Kind, *, namespace: str, label_selector: str) -> list[dict[str, Any]]:
        """Return what has the labels of a selector of equalities."""
        wanted = dict(term.split("=") for term in label_selector.split(","))

        async def listed() -> dict[str, Any]:
            bodies = (body for key, body in self.objects.items() if key[:2] == (kind, namespace))
            return {"items": [one for one in bodies if one["metadata"].get("labels", {}).items() >= wanted.items()]}

        return list((await self._call(f"list {kind.plural}", listed))["items"])

    async def list_pages(
        self, kind: Kind, *, namespace: str | None = None, label_selector: str = ""
    ) -> AsyncGenerator[dict[str, Any]]:
        """Give every object a page of its own."""
        wanted = dict(term.split("=") for term in label_selector.split(",") if term)
        for key, body in [*self.objects.items()]:
            labels = body["metadata"].get("labels", {})
            if key[0] == kind and namespace in (None, key[1]) and labels.items() >= wanted.items():

                async def listed(body: dict[str, Any] = body) -> dict[str, Any]:
                    return {"items": [body]}

                yield await self._call(f"list {kind.plural}", listed)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        async def created() -> dict[str, Any]:
            key = _key(body)
            if key in self.objects:
                raise ApiError(409, "AlreadyExists", f"{body['metadata']['name']} already exists")
            return self._store(key, copy.deepcopy(body))

        return await self._call(f"create {kind_of(body).plural}", created)

    async def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """Replace all but unnamed replicas, as tests/apiserver measures it: what is not there is created, with one."""

        async def applied() -> dict[str, Any]:
            key, metadata = _key(body), body["metadata"]
            live = self.objects.get(key)
            if live is not None:
                self._check_version(live, metadata)
            elif "uid" in metadata:
                raise ApiError(409, "Conflict", "uid mismatch: no existing object was found")
            else:
                live = {"metadata": {}, "spec": {"replicas": 1} if "template" in body["spec"] else {}}
            kept = {"replicas": live["spec"]["replicas"]} if "replicas" in live["spec"] else {}
            changed = {**live, **copy.deepcopy(body)}
            changed["metadata"] = {**live["metadata"], **metadata}
            changed["spec"] = {**kept, **changed["spec"]}
            return self._store(key, changed)

        return await self._call(f"apply {kind_of(body).plural}", applied)

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: dict[str, Any], *, subresource: str = ""
    ) -> dict[str, Any]:
        async def patched() -> dict[str, Any]:
            live = self._found((kind, namespace, name))
            self._check_version(live, patch["metadata"])
            changed = _merged(live, patch)
            if subresource == "scale":
                _record_size(changed, names.FIELD_MANAGER)
            return self._store((kind, namespace, name), changed)

        return await self._call(f"patch {kind.plural} {subresource}".strip(), patched)

    def set_size(self, kind: Kind, namespace: str, name: str, replicas: int, manager: str) -> None:
        """Scale a workload as somebody else does."""
        changed = copy.deepcopy(self._found((kind, namespace, name)))
        changed["spec"]["replicas"] = replicas
        _record_size(changed, manager)
        self._store((kind, namespace, name), changed)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        async def deleted() -> dict[str, Any]:
            live = self._found((kind, namespace, name))
            self._check_version(live, {"resourceVersion": resource_version})
            assert live["metadata"]["uid"] == uid
            return self.objects.pop((kind, namespace, name))

        await self._call(f"delete {kind.plural}", deleted)

    async def _call(self, name: str, effect: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        self.calls.append(name)
        await self.before(name)
        answer = copy.deepcopy(await effect())
        await self.after(name)
        return answer

    def _found(self, key: tuple[Kind, str, str]) -> dict[str, Any]:
        if key not in self.objects:
            raise ApiError(404, "NotFound", f"{key[2]} not found")
        return self.objects[key]

    def _check_version(self, live: dict[str, Any], metadata: dict[str, Any]) -> None:
        if metadata.get("resourceVersion") != live["metadata"].get("resourceVersion"):
            raise ApiError(409, "Conflict", "the object has been modified")

    def _store(self, key: tuple[Kind, str, str], body: dict[str, Any]) -> dict[str, Any]:
        version = next(self._versions)
        uid = body["metadata"].get("uid", f"uid-{version}")
        metadata = {**body["metadata"], "uid": uid, "resourceVersion": str(version)}
        self.objects[key] = {**body, "metadata": metadata}
        return self.objects[key]


def _scale_of(live: dict[str, Any]) -> dict[str, Any]:
    """The scale subresource as a Deployment's: a size of none is left out."""
    replicas = live["spec"]["replicas"]
    labels = live["spec"]["selector"]["matchLabels"]
    return {
        "metadata": {key: live["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"replicas": replicas, "selector": ",".join(f"{key}={value}" for key, value in labels.items())},
    }


def _record_size(body: dict[str, Any], manager: str) -> None:
    """Note who set the replicas, as `managedFields` do: whoever had them before has them no more."""
    entry = {"manager": manager, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    body["metadata"]["managedFields"] = [entry]


def _merged(live: Any, patch: Any) -> Any:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = {**live} if isinstance(live, dict) else {}
    merged.update({key: _merged(merged.get(key), value) for key, value in patch.items()})
    return {key: value for key, value in merged.items() if value is not None}


def _key(body: dict[str, Any]) -> tuple[Kind, str, str]:
    return kind_of(body), body["metadata"]["namespace"], body["metadata"]["name"]


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    """An event loop for pytest-asyncio to find before an async test and to put back after it.

    Where there is none it makes one that nobody closes, and the warning about it fails whichever test is running then.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture
def fake() -> FakeApiServer:
    return FakeApiServer()


@pytest.fixture
def resource() -> dict[str, Any]:
    """An LLMDeployment of two variants, as the API server stores it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "chat", "namespace": "shop", "uid": "uid-of-chat", "resourceVersion": "7"},
        "spec": {
            "model": {
                "servedName": "chat",
                "contextTokens": 2048,
                "source": {"volume": {"claimName": "weights", "path": "/", "file": "q8.gguf"}},
            },
            "slo": {"generationTokensPerSecond": 60},
            "variants": [
                {
                    "name": "q8",
                    "quantization": "q8_0",
                    "engine": {"type": "LlamaCpp", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                    "resources": {"limits": {"cpu": "0.5", "memory": "1.5Gi"}},
                },
                {
                    "name": "q4",
                    "quality": "97.5",
                    "quantization": "q4_0",
                    "engine": {"type": "LlamaCpp"},
                    "source": {"volume": {"claimName": "weights", "path": "/", "file": "q4.gguf"}},
                },
            ],
        },
    }
