"""How long and how much memory it takes to mirror a large cluster, from a fake API server in a process of its own.

Five mirrors, as the operator runs them: 2,000 LLMDeployments, each with a Deployment, a Service, a
PodDisruptionBudget and four pods. The objects are rendered by the operator's own code and carry the defaults, status
and record of managed fields that a real API server adds, so that they have the size of real ones.

    python benchmarks/mirror.py

Exits with 1 if a limit is broken: 15 seconds, 300 MB.
"""

import asyncio
import json
import multiprocessing
import resource as process_resources
import sys
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from aiohttp import web
from kubernetes.aio.client import Configuration

from tokenpace.api import names
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.client import PAGE_LIMIT, ApiClient
from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, LLM_DEPLOYMENTS, PODS, SERVICES, Kind, Object
from tokenpace.cluster.mirror import Mirror
from tokenpace.cluster.objects import desired_objects
from tokenpace.cluster.observed import keep_pod, pod_owner, without_managed_fields

RESOURCES = 2_000
PODS_EACH = 4
LIMIT_SECONDS = 15.0
LIMIT_MEGABYTES = 300.0
MEGABYTE = 1_000_000

SPEC: dict[str, Any] = {
    "model": {
        "servedName": "chat",
        "contextTokens": 8192,
        "source": {"volume": {"claimName": "models", "path": "/chat", "file": "chat-q8_0.gguf"}},
    },
    "slo": {"generationTokensPerSecond": 1200, "stream": {"tokensPerSecond": 25}},
    "variants": [
        {
            "name": "q8",
            "quantization": "q8_0",
            "engine": {"type": "LlamaCpp"},
            "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "24Gi"}},
            "podTemplate": {"spec": {"nodeSelector": {"gpu": "l4"}, "tolerations": [{"key": "gpu"}]}},
        }
    ],
}


# --- the fake API server ---------------------------------------------------------------------------------------------


def managed(stored: Object, *managers: str) -> Object:
    """Return an object with the record of managed fields of these managers, each of whom set everything."""
    record = [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": stored["apiVersion"],
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": fields_of({"metadata": {"labels": stored["metadata"]["labels"]}, "spec": stored["spec"]}),
        }
        for manager in managers
    ]
    return {**stored, "metadata": {**stored["metadata"], "managedFields": record}}


def fields_of(value: Any) -> Any:
    """Return the names of all fields in a value, nested as `managedFields` nests them."""
    if isinstance(value, Mapping):
        return {f"f:{key}": fields_of(part) for key, part in value.items()}
    if isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        return {f'k:{{"name":"{number}"}}': fields_of(part) for number, part in enumerate(value)}
    return {}


def stored(body: Object, number: int) -> Object:
    """Return an object with what the API server adds to its metadata."""
    added = {
        "uid": str(uuid5(NAMESPACE_OID, f"{body['kind']}/{number}")),
        "resourceVersion": str(1_000_000 + number),
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**body, "metadata": {**body["metadata"], **added}}


def pod_of(deployment: Object, number: int) -> Object:
    """Return a ready pod of a Deployment."""
    template = deployment["spec"]["template"]
    times = {"lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:01:00Z"}
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    name = f"{deployment['metadata']['name']}-5d9c7b8f6d-{number:05x}"
    engine = template["spec"]["containers"][0]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": name, "namespace": deployment["metadata"]["namespace"]},
        "spec": template["spec"],
        "status": {
            "phase": "Running",
            "conditions": [{"type": one, "status": "True", **times} for one in conditions],
            "hostIP": "10.0.0.1",
            "podIP": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "qosClass": "Guaranteed",
            "containerStatuses": [
                {
                    "name": "engine",
                    "image": engine["image"],
                    "imageID": engine["image"],
                    "containerID": "containerd://" + "0" * 64,
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}},
                    "volumeMounts": engine["volumeMounts"],
                }
            ],
        },
    }


def objects_of(number: int) -> Iterator[tuple[Kind, Object]]:
    """Yield one LLMDeployment and everything that belongs to it."""
    metadata = {"name": f"chat-{number}", "namespace": f"team-{number % 50}", "labels": {"team": str(number % 50)}}
    declared = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": SPEC}
    llm_deployment = stored(declared, number)
    yield LLM_DEPLOYMENTS, managed(llm_deployment, "kubectl")
    desired = desired_objects(llm_deployment, LLMDeploymentSpec.model_validate(SPEC))
    deployment = desired[0]
    for kind, body in zip((DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS), desired, strict=True):
        yield kind, managed(stored(body, number), "tokenpace", "kube-controller-manager")
    for one in range(PODS_EACH):
        pod_number = PODS_EACH * number + one
        pod = stored(pod_of(deployment, pod_number), pod_number)
        yield PODS, managed(pod, "kube-controller-manager", "kubelet")


def page_texts(items: list[Object]) -> list[bytes]:
    """Return the pages of a list, whose `continue` token is the number of the next page."""
    starts = range(0, len(items), PAGE_LIMIT)
    return [
        json.dumps(
            {
                "metadata": {
                    "resourceVersion": "2000000",
                    "continue": str(number + 1) if start + PAGE_LIMIT < len(items) else "",
                },
                "items": items[start : start + PAGE_LIMIT],
            }
        ).encode()
        for number, start in enumerate(starts)
    ]


def serve(ready: Connection) -> None:
    """Answer lists from memory and hold watches open. Sends its port and the bytes of all lists once it listens."""
    items: dict[str, list[Object]] = {}
    for number in range(RESOURCES):
        for kind, one in objects_of(number):
            items.setdefault(kind.path(), []).append(one)
    pages = {path: page_texts(found) for path, found in items.items()}

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.sleep(float(request.query["timeoutSeconds"]))
            return response
        page = pages[request.path][int(request.query.get("continue") or 0)]
        return web.Response(body=page, content_type="application/json")

    async def listen() -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.send((runner.addresses[0][1], sum(len(page) for listed in pages.values() for page in listed)))
        await asyncio.Event().wait()

    asyncio.run(listen())


# --- the measurement -------------------------------------------------------------------------------------------------


def resident_megabytes() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * process_resources.getpagesize() / MEGABYTE


async def mirror_everything(port: int) -> tuple[float, float, float, int]:
    """Return (seconds until every mirror is synced, MB before, MB after, objects held)."""

    async def no_login(_: Configuration) -> None:
        pass

    client = ApiClient(Configuration(host=f"http://127.0.0.1:{port}"), no_login)
    mirrors = [
        Mirror(client, LLM_DEPLOYMENTS, keep=without_managed_fields),
        *(
            Mirror(client, kind, keep=without_managed_fields, label_selector=names.DEPLOYMENT_LABEL)
            for kind in (DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS)
        ),
        Mirror(client, PODS, keep=keep_pod, owner=pod_owner, label_selector=names.DEPLOYMENT_LABEL),
    ]
    before_megabytes = resident_megabytes()
    started_seconds = time.perf_counter()
    tasks = [asyncio.create_task(mirror.run()) for mirror in mirrors]
    for mirror in mirrors:
        await mirror.wait_synced()
    seconds = time.perf_counter() - started_seconds
    after_megabytes = resident_megabytes()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await client.close()
    return seconds, before_megabytes, after_megabytes, sum(len(mirror.objects) for mirror in mirrors)


def main() -> int:
    """Print the figures; return the exit code."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port, total_bytes = ours.recv()
    try:
        seconds, before, after, held = asyncio.run(mirror_everything(port))
    finally:
        server.terminate()
    peak = process_resources.getrusage(process_resources.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    sys.stdout.write(
        f"{held} objects ({RESOURCES} LLMDeployments, {PODS_EACH * RESOURCES} pods), "
        f"{total_bytes / MEGABYTE:.0f} MB of JSON\n"
        f"mirrored in {seconds:.1f} s (limit {LIMIT_SECONDS:.0f} s)\n"
        f"resident memory {before:.0f} MB before, {after:.0f} MB after, {peak:.0f} MB at most "
        f"(limit {LIMIT_MEGABYTES:.0f} MB)\n"
    )
    return int(seconds > LIMIT_SECONDS or peak > LIMIT_MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
