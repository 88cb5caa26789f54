"""A fake of everything around an operator: API server, controllers, nodes, engines, and Prometheus' query API.

The API server is that of tests/controller over real HTTP. Pods run llama.cpp in numbers only: their counters follow
the engine-second balance of `tokenpace.planning.balance`, and the fake Prometheus answers the operator's own queries
with every scrape of the window. It knows no other PromQL. Time passes when it is told to.
"""

import asyncio
import math
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web
from tests.conftest import FakeApiServer
from tests.controller.http_api_server import HttpApiServer

from tokenpace.api import names
from tokenpace.cluster.kinds import DEPLOYMENTS, EVENTS, LLM_DEPLOYMENTS, PODS, Kind, Object
from tokenpace.cluster.mirror import controller_uid
from tokenpace.controller.status_writer import is_urgent
from tokenpace.engines.llama_cpp import LlamaCpp

START_SECONDS: Final = 30.0
"""From a pod's creation to its first token."""
GRACE_SECONDS: Final = 10.0
SCRAPE_SECONDS: Final = 15.0
WINDOW_SECONDS: Final = 60.0
EVENT_SECONDS: Final = 3600.0

STEP_SECONDS: Final = 0.02
TOKEN_SECONDS: Final = 0.0005
PROMPT_TOKEN_SECONDS: Final = 0.0002
PROMPT_RATIO: Final = 2.0
SLOTS: Final = 16
POD_TOKENS_PER_SECOND: Final = SLOTS / (STEP_SECONDS + (TOKEN_SECONDS + PROMPT_TOKEN_SECONDS * PROMPT_RATIO) * SLOTS)
"""What a pod generates with every slot taken: 465."""

SPEC: Final[dict[str, Any]] = {
    "model": {
        "servedName": "chat",
        "contextTokens": 8192,
        "source": {"volume": {"claimName": "models", "path": "/chat", "file": "chat-q8_0.gguf"}},
    },
    "slo": {"generationTokensPerSecond": 3000, "stream": {"tokensPerSecond": 25}},
    "traffic": {"promptTokens": 256, "generatedTokens": 128},
    "variants": [
        {
            "name": "q8",
            "quantization": "q8_0",
            "engine": {"type": "LlamaCpp", "args": ["--parallel", str(SLOTS)]},
            "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "24Gi"}},
            "podTemplate": {"spec": {"nodeSelector": {"gpu": "l4"}, "tolerations": [{"key": "gpu"}]}},
            "expected": {
                "streamTokensPerSecond": 45,
                "generationTokensPerSecond": 460,
                "atStreams": SLOTS,
                "prefillTokensPerSecond": 5000,
                "startupSeconds": 30,
            },
        }
    ],
    "scaling": {"minReplicas": 1, "maxReplicas": 12},
}


@dataclass(slots=True)
class Engine:
    """llama.cpp in one pod: what it has counted, and the scrapes of the window."""

    address: str
    tokens: float = 0.0
    decodes: float = 0.0
    seconds: float = 0.0
    running: float = 0.0
    waiting: float = 0.0
    scrapes: deque[tuple[float, dict[str, float]]] = field(
        default_factory=lambda: deque(maxlen=int(WINDOW_SECONDS / SCRAPE_SECONDS))
    )

    def generate(self, asked_tokens_per_second: float, seconds: float) -> None:
        """Serve what is asked for a while; what is too much waits."""
        speed = min(asked_tokens_per_second, POD_TOKENS_PER_SECOND)
        busy_share = speed * (TOKEN_SECONDS + PROMPT_RATIO * PROMPT_TOKEN_SECONDS)
        self.running = min(float(SLOTS), (STEP_SECONDS + TOKEN_SECONDS) * speed / (1.0 - busy_share))
        self.waiting = 0.0 if speed == asked_tokens_per_second else 20.0
        self.tokens += speed * seconds
        self.decodes += speed * seconds / max(1.0, self.running)
        self.seconds += self.running * seconds

    def scrape(self, at_seconds: float) -> None:
        """Export what was counted, under the names of the operator's signals."""
        prompt_tokens = PROMPT_RATIO * self.tokens
        values = {
            "decodes": self.decodes,
            "busy_slots_per_decode": self.tokens / self.decodes if self.decodes else 0.0,
            "prompt_tokens": prompt_tokens,
            "prompt_seconds": PROMPT_TOKEN_SECONDS * prompt_tokens,
            "ended_tokens": self.tokens,
            "ended_seconds": self.seconds,
            "running": self.running,
            "waiting": self.waiting,
        }
        self.scrapes.append((at_seconds, values))


@dataclass(slots=True)
class Counted:
    """What was asked of the cluster."""

    queries: int = 0
    requests: int = 0
    status_writes: int = 0
    number_writes: int = 0
    """Status writes that changed numbers and sentences alone."""
    shortest_number_gap_seconds: float = math.inf
    """Least time between two status writes of one LLMDeployment of which the later changed numbers alone."""


class SharingApiServer(FakeApiServer):
    """One that gives away its objects themselves: they are only read, and copying thousands takes longest of all."""

    async def _call(self, _: str, effect: Callable[[], Awaitable[Object]]) -> Object:
        return await effect()


class SimulatedCluster(HttpApiServer):
    """The API server, and what reads and writes it besides the operator."""

    def __init__(self, now: float, *, seed: int = 0, kept_changes: int = 20_000) -> None:
        """Begin empty.

        Args:
            now: Unix seconds.
            seed: of all chance.
            kept_changes: how many a watch may begin at, as etcd keeps those of some minutes.
        """
        super().__init__(SharingApiServer())
        self.now = now
        self.chance = random.Random(seed)
        self._kept_changes = kept_changes
        self.demand: dict[tuple[str, str], float] = {}
        """Tokens/s that clients want, by namespace and name of the LLMDeployment."""
        self.engines: dict[tuple[str, str], Engine] = {}
        self.prometheus_answers = True
        self.counted = Counted()
        self._written_at: dict[str, float] = {}
        self._pods_made = 0
        self._next_scrape = now

    # --- what users and time do --------------------------------------------------------------------------------------

    def declare_model(self, name: str, namespace: str, spec: Mapping[str, Any] = SPEC) -> None:
        """Create an LLMDeployment, or change its spec."""
        live = self.fake.objects.get((LLM_DEPLOYMENTS, namespace, name), {"metadata": {}})
        metadata = {
            "name": name,
            "namespace": namespace,
            "creationTimestamp": self._timestamp(),
            **live["metadata"],
            "generation": live["metadata"].get("generation", 0) + 1,
        }
        self.declare(
            {**live, "apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": dict(spec)}
        )

    def delete_model(self, name: str, namespace: str) -> None:
        """Delete an LLMDeployment; what it owns goes when the garbage collector comes to it."""
        owner = self.fake.objects[LLM_DEPLOYMENTS, namespace, name]["metadata"]["uid"]
        self.remove(LLM_DEPLOYMENTS, namespace, name)
        self.demand.pop((namespace, name), None)
        self._written_at.pop(owner, None)

    def kill_pod(self, namespace: str, name: str) -> None:
        """Take a pod away without a word."""
        self.remove(PODS, namespace, name)
        self.engines.pop((namespace, name), None)

    def pass_time(self, seconds: float) -> None:
        """Let controllers, engines and scrapes do what they do in this time."""
        self._collect_garbage()
        self._start_and_stop_pods()
        for fleet, engines in self._serving().items():
            each = self.demand.get(fleet, 0.0) / len(engines)
            for engine in engines:
                engine.generate(each * self.chance.uniform(0.9, 1.1), seconds)
        self.now += seconds
        while self._next_scrape <= self.now:
            for engine in self.engines.values():
                engine.scrape(self._next_scrape)
            self._next_scrape += SCRAPE_SECONDS
        self._expire_events()
        self.forget_all_but(self._kept_changes)

    # --- controllers and nodes ---------------------------------------------------------------------------------------

    def _collect_garbage(self) -> None:
        """Remove what belongs to an LLMDeployment that is gone, also what was made for it a moment later."""
        objects = list(self.fake.objects.items())
        present = {body["metadata"]["uid"] for (kind, _, _), body in objects if kind == LLM_DEPLOYMENTS}
        for key, body in objects:
            owner = controller_uid(body)
            if owner is not None and owner not in present:
                self.remove(*key)

    def _start_and_stop_pods(self) -> None:
        by_owner: dict[str, list[Object]] = {}
        for (kind, _, _), body in list(self.fake.objects.items()):
            if kind == PODS:
                self._age(body, by_owner)
        owners = set()
        for (kind, _, _), body in list(self.fake.objects.items()):
            if kind == DEPLOYMENTS:
                owners.add(body["metadata"]["uid"])
                self._resize(body, by_owner.get(body["metadata"]["uid"], []))
        for owner in by_owner.keys() - owners:
            for pod in by_owner[owner]:
                self.kill_pod(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _age(self, pod: Object, by_owner: dict[str, list[Object]]) -> None:
        metadata = pod["metadata"]
        key = metadata["namespace"], metadata["name"]
        if "deletionTimestamp" in metadata:
            if self.now - _seconds(metadata["deletionTimestamp"]) >= GRACE_SECONDS:
                self.kill_pod(*key)
            return
        by_owner.setdefault(metadata["annotations"]["owner"], []).append(pod)
        if not pod["status"]["conditions"] and self.now - _seconds(metadata["creationTimestamp"]) >= START_SECONDS:
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": self._timestamp()}
            self.declare({**pod, "status": {**pod["status"], "conditions": [ready]}})
            self.engines[key] = Engine(pod["status"]["podIP"])

    def _resize(self, deployment: Object, pods: list[Object]) -> None:
        wanted = deployment["spec"]["replicas"]
        for _ in range(wanted - len(pods)):
            self._make_pod(deployment)
        for pod in pods[wanted:]:
            self.declare({**pod, "metadata": {**pod["metadata"], "deletionTimestamp": self._timestamp()}})

    def _make_pod(self, deployment: Object) -> None:
        metadata, template = deployment["metadata"], deployment["spec"]["template"]
        self._pods_made += 1
        number = self._pods_made
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.declare(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    **template["metadata"],
                    "annotations": {**template["metadata"]["annotations"], "owner": metadata["uid"]},
                    "name": f"{metadata['name']}-{number:x}",
                    "namespace": metadata["namespace"],
                    "creationTimestamp": self._timestamp(),
                },
                "spec": template["spec"],
                "status": {"phase": "Running", "podIP": address, "conditions": [], "containerStatuses": []},
            }
        )

    def _serving(self) -> dict[tuple[str, str], list[Engine]]:
        """Return the engines that clients reach, by LLMDeployment."""
        fleets: dict[tuple[str, str], list[Engine]] = {}
        for (namespace, name), engine in self.engines.items():
            metadata = self.fake.objects[PODS, namespace, name]["metadata"]
            if "deletionTimestamp" not in metadata:
                fleets.setdefault((namespace, metadata["labels"][names.DEPLOYMENT_LABEL]), []).append(engine)
        return fleets

    def _expire_events(self) -> None:
        for (kind, _, _), body in list(self.fake.objects.items()):
            if kind == EVENTS and self.now - _seconds(body["lastTimestamp"]) >= EVENT_SECONDS:
                self.fake.objects.pop((kind, body["metadata"]["namespace"], body["metadata"]["name"]))

    def _timestamp(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _tell(self, change: str, kind: Kind, body: Object) -> None:
        self.history.append({"kind": kind, "event": {"type": change, "object": body}})
        self._news.set()
        self._news = asyncio.Event()

    # --- what the operator asks --------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1/query":
            return self._query(request.query["query"])
        self.counted.requests += 1
        return await super()._serve(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.clear()
        before = None
        if request.method == "PATCH" and request.path.endswith("/status"):
            namespace, name = request.path.split("/")[-4], request.path.split("/")[-2]
            before = self.fake.objects.get((LLM_DEPLOYMENTS, namespace, name))
        response = await super()._answer(request)
        if before is not None:
            self._note(before, self.fake.objects[LLM_DEPLOYMENTS, namespace, name])
        return response

    def _note(self, before: Object, after: Object) -> None:
        uid = after["metadata"]["uid"]
        self.counted.status_writes += 1
        if not is_urgent(before.get("status", {}), after["status"]):
            self.counted.number_writes += 1
            gap = self.now - self._written_at.get(uid, -math.inf)
            self.counted.shortest_number_gap_seconds = min(self.counted.shortest_number_gap_seconds, gap)
        self._written_at[uid] = self.now

    def _query(self, query: str) -> web.Response:
        self.counted.queries += 1
        if not self.prometheus_answers:
            return web.Response(status=503, text="gone")
        if query == "time()":
            return _prometheus_text("scalar", f'[{self.now},"{self.now}"]')
        signal = _SIGNALS.get(re.split(r"[{(]", query, maxsplit=1)[0])
        series = "" if signal is None else ",".join(self._series(*signal))
        return _prometheus_text("matrix" if signal else "vector", f"[{series}]")

    def _series(self, signal: str, metric: str) -> Iterator[str]:
        begin = self.now - WINDOW_SECONDS
        for (namespace, pod), engine in self.engines.items():
            values = ",".join(f'[{at},"{values[signal]:.9g}"]' for at, values in engine.scrapes if at > begin)
            if values:
                yield (
                    f'{{"metric":{{"__name__":"{metric}","container":"engine","instance":"{engine.address}:8080",'
                    f'"job":"tokenpace/engines","namespace":"{namespace}","pod":"{pod}"}},"values":[{values}]}}'
                )


_SIGNALS: Final = {signal.metric: (name, signal.metric) for name, signal in LlamaCpp.signals.items()}


def _prometheus_text(kind: str, result: str) -> web.Response:
    text = f'{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}'
    return web.Response(text=text, content_type="application/json")


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
