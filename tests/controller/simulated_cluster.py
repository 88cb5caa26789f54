"""A cluster with one LLMDeployment of two variants, in which a test lets time pass: pods, Prometheus and clients."""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import FakeApiServer
from tests.controller.operator_in_memory import FakeMirrors, PodsInMemory
from tests.controller.test_switch import PASSED, TICK_SECONDS, reading, variant_of

from tokenpace.cluster.kinds import DEPLOYMENTS
from tokenpace.controller.mirrors import Holdings
from tokenpace.planning.observation import Idle, Live, Wake
from tokenpace.probing.outcome import Outcome, Unknown
from tokenpace.probing.question import Question
from tokenpace.prometheus.samples import MetricsAnswer
from tokenpace.prometheus.wake import WakeAnswer

START_SECONDS = 20.0
MOST = 4
SURGE = 1
POD_TOKENS_PER_SECOND = 30
SLOTS, QUEUE = 4.0, 20.0
"""Requests that a pod works on and has waiting while more is asked of it than it can do."""

BOUNDS = {
    "maxReplicas": MOST,
    "maxSurge": SURGE,
    "variantDwellSeconds": 60,
    "scaleDown": {"stabilizationWindowSeconds": 60},
}
SLEEPS_AFTER_SECONDS = 60
SLEEP = {"scaleToZeroAfterSeconds": SLEEPS_AFTER_SECONDS, "wake": {"metricName": "gateway_requests_total"}}


class SimulatedCluster(FakeMirrors):
    """What Kubernetes, Prometheus and clients add to the API server."""

    def __init__(self, fake: FakeApiServer) -> None:
        super().__init__(fake)
        self.fake = fake
        self.now = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()
        self.pods = PodsInMemory(fake)
        self.made = Counter[str]()
        self.no_stock: set[str] = set()
        self.tokens_per_second = 10.0
        self.loaded_at = self.now
        """When there was load."""

    @property
    def time(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).isoformat()

    def advance(self) -> None:
        """Let a tick's time pass: pods come, serve and go."""
        self._pass_tick()
        for pod in self.pods.values():
            age = self.now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
            if not is_ready(pod) and age >= START_SECONDS:
                pod["status"]["conditions"] = [self._condition(variant_of(pod) not in self.no_stock)]

    def _pass_tick(self) -> None:
        self.now += TICK_SECONDS
        for (kind, _, name), deployment in list(self.fake.objects.items()):
            if kind == DEPLOYMENTS:
                self._replace(name, deployment)

    def _replace(self, name: str, deployment: dict[str, Any]) -> None:
        """Make and remove pods as a ReplicaSet does: those that do not serve go first, then the youngest."""
        own = [pod for pod in self.pods if pod.startswith(f"{name}-")]
        own.sort(key=lambda pod: not is_ready(self.pods[pod]))
        for surplus in own[deployment["spec"]["replicas"] :]:
            del self.pods[surplus]
        for _ in range(deployment["spec"]["replicas"] - len(own)):
            self._make(name, deployment)

    def _make(self, name: str, deployment: dict[str, Any]) -> None:
        self.made[name] += 1
        pod = f"{name}-{self.made[name]}"
        metadata = {
            **copy.deepcopy(deployment["spec"]["template"]["metadata"]),
            "name": pod,
            "namespace": "shop",
            "uid": f"uid-of-{pod}",
            "resourceVersion": "1",
            "creationTimestamp": self.time,
        }
        status = {"phase": "Running", "podIP": pod, "conditions": [], "containerStatuses": []}
        self.pods[pod] = {"metadata": metadata, "spec": {}, "status": status}

    def _condition(self, stocked: bool) -> dict[str, Any]:
        if stocked:
            return {"type": "Ready", "status": "True", "lastTransitionTime": self.time}
        return {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}

    def holdings(self, resource: Mapping[str, Any]) -> Holdings:
        held = super().holdings(resource)
        return Holdings(held.deployments, held.others, tuple(copy.deepcopy(list(self.pods.values()))))

    def serving(self) -> int:
        return sum(map(is_ready, self.pods.values()))

    async def generate(self, question: Question) -> Outcome:
        """Answer a canary as the pod of that address."""
        pod = self.pods.get(urlsplit(question.url).hostname or "")
        return PASSED if pod is not None and is_ready(pod) else Unknown("no route to host")

    def is_asked(self) -> bool:
        """Tell whether there is load, or was at this very moment."""
        return self.tokens_per_second > 0 or self.loaded_at == self.now

    async def wakes(self, signals: Mapping[tuple[str, str], object]) -> WakeAnswer:
        """Answer as Prometheus of what a gateway has counted."""
        return WakeAnswer(dict.fromkeys(signals, Wake.ASKED if self.is_asked() else Wake.SILENT))

    async def sample(self, _: object) -> MetricsAnswer:
        """Answer as Prometheus: clients spread evenly over the pods that serve."""
        ready = [name for name, pod in self.pods.items() if is_ready(pod)]
        asked = self.tokens_per_second / max(1, len(ready))
        seen = reading(min(asked, POD_TOKENS_PER_SECOND))
        if asked > POD_TOKENS_PER_SECOND:
            seen = replace(seen, running_streams=SLOTS, waiting_requests=QUEUE)
        sample = Live(seen) if self.is_asked() else Idle(seen)
        return MetricsAnswer(samples={("shop", name): sample for name in ready}, problems={})


def is_ready(pod: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])


def declared() -> dict[str, Any]:
    source = {"volume": {"claimName": "weights", "path": "/", "file": "a.gguf"}}
    expected = {"streamTokensPerSecond": 10, "generationTokensPerSecond": POD_TOKENS_PER_SECOND, "atStreams": 4}
    engine = {"type": "LlamaCpp"}
    variants = [
        {"name": name, "quality": quality, "quantization": f"{name}_0", "engine": engine, "expected": expected}
        for name, quality in (("q8", "100"), ("q4", "95"))
    ]
    return {
        "apiVersion": "tokenpace.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {
            "name": "chat",
            "namespace": "shop",
            "uid": "uid-of-chat",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-11-23T07:00:00Z",
        },
        "spec": {
            "model": {"servedName": "chat", "contextTokens": 2048, "source": source},
            "slo": {"generationTokensPerSecond": 100},
            "variants": variants,
            "scaling": BOUNDS,
        },
        "status": {},
    }
