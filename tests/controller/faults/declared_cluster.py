"""LLMDeployments declared to the API server behind HTTP, what a person sees of them, and refusals of their writes."""

import copy
from typing import Any

from aiohttp import web
from tests.controller.http_api_server import HttpApiServer, refusal

from tokenpace.api import names
from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS


class Cluster:
    """What a person declares to a cluster, and sees of it."""

    def __init__(self, server: HttpApiServer, resource: dict[str, Any]) -> None:
        self.server = server
        self.resource = resource

    def declare(self, name: str, **spec: Any) -> None:
        stored = self.server.fake.objects.get((LLM_DEPLOYMENTS, "shop", name))
        body = copy.deepcopy(stored or self.resource)
        generation = body["metadata"].get("generation", 0) + 1
        body["metadata"] |= {"name": name, "uid": f"uid-of-{name}", "generation": generation}
        body["metadata"]["creationTimestamp"] = "2026-11-23T08:00:00Z"
        body["spec"] |= {"variants": self.resource["spec"]["variants"][:1]} | spec
        self.server.declare(body)

    def replicas(self, name: str) -> int | None:
        body = self.server.fake.objects.get((DEPLOYMENTS, "shop", f"{name}-q8"))
        return None if body is None else body["spec"]["replicas"]

    def is_served(self, name: str, replicas: int = 1) -> bool:
        return self.replicas(name) == replicas and self.condition(name, "Ready") is not None

    def condition(self, name: str, kind: str) -> dict[str, Any] | None:
        body = self.server.fake.objects.get((LLM_DEPLOYMENTS, "shop", name), {})
        conditions = body.get("status", {}).get("conditions", ())
        return next((one for one in conditions if one["type"] == kind), None)

    def reason(self, name: str, kind: str = "Ready") -> str | None:
        found = self.condition(name, kind)
        return found and found["reason"]


def grown(replicas: int) -> dict[str, Any]:
    return {"scaling": {"minReplicas": replicas}}


def writes_about(name: str, *, code: int, reason: str, **headers: str) -> Any:
    """Return the fault in which writes of the objects of one LLMDeployment are refused."""

    async def fault(request: web.Request) -> web.Response | None:
        parts = request.path.split("/")
        ours = any(part == name or part.startswith(f"{name}-") for part in parts)
        about_status = names.PLURAL in parts
        refused = request.method != "GET" and ours and not about_status
        return refusal(code, reason, **headers) if refused else None

    return fault
