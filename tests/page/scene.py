"""A cluster to look at: LLMDeployments as an operator reports them, hour by hour."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tokenpace.controller.page.frame import Standing
from tokenpace.controller.page.history import POINT_SECONDS, POINTS
from tokenpace.controller.status_page import StatusPage

NOW = datetime(2026, 11, 23, 14, 5, 30, tzinfo=UTC).timestamp()
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\" ' &amp; \u202e"
"""What somebody may put wherever text goes."""


def stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def condition(kind: str, status: str, reason: str, message: str = "So it is.") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "observedGeneration": 1,
        "lastTransitionTime": stamp(NOW - 5400),
        "reason": reason,
        "message": message,
    }


def deployment(name: str = "chat", namespace: str = "shop", **status: Any) -> dict[str, Any]:
    """An LLMDeployment of three variants that has a status."""
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{namespace}-{name}", "generation": 1},
        "spec": {
            "model": {"servedName": name, "contextTokens": 8192, "source": {"huggingFace": {"repo": "org/model"}}},
            "slo": {
                "generationTokensPerSecond": 1200,
                "stream": {"tokensPerSecond": 25, "percentile": 50},
                "timeToFirstToken": {"milliseconds": 1500, "percentile": 95},
                "minQuality": "95",
            },
            "variants": [
                {"name": "bf16", "engine": {"type": "VLLM"}, "hourlyCost": "2.50", "maxReplicas": 3},
                {"name": "fp8", "engine": {"type": "VLLM"}, "quality": "99.1", "hourlyCost": "2.50"},
                {"name": "awq", "engine": {"type": "VLLM"}, "quality": "97.4", "hourlyCost": "1.25"},
            ],
            "scaling": {"degraded": {"maxTokensPercent": 20}},
        },
        "status": {"observedGeneration": 1} | status,
    }


def at_work(number: int, seconds: float) -> dict[str, Any]:
    """What the operator says of the LLMDeployment of this number at a moment; its demand rises and falls in hours."""
    phase = number * 0.7 + seconds / 5400
    demand = 480 + 330 * math.sin(phase) + 25 * math.sin(40 * phase)
    replicas = 1 + int(demand // 260)
    capacity = 260 * replicas
    bad = number % 9 == 0
    served = min(demand, 0.8 * capacity) if bad else demand
    message = f"Demand {demand:.0f} tokens/s needs {replicas} replicas of bf16 at 260 tokens/s each."
    return {
        "replicas": replicas,
        "readyReplicas": replicas,
        "variant": "bf16",
        "tokensPerSecond": {
            "demand": f"{demand:.0f}",
            "served": f"{served:.0f}",
            "capacity": f"{capacity}",
            "stream": f"{34 + 6 * math.cos(phase):.1f}",
        },
        "quality": "100",
        "variants": [
            {
                "name": "bf16",
                "replicas": replicas,
                "ready": replicas,
                "capacity": "260",
                "source": "Learned",
                "leadSeconds": 95,
            },
            {"name": "fp8", "replicas": 0, "ready": 0, "capacity": "410", "source": "Declared", "leadSeconds": 95},
            {"name": "awq", "replicas": 0, "ready": 0, "capacity": "490", "source": "Declared", "leadSeconds": 80},
        ],
        "outlook": [f"Demand above {capacity} tokens/s takes another replica of bf16."],
        "lastDecision": {
            "time": stamp(seconds),
            "action": f"bf16: {replicas}",
            "reason": "DemandAboveCapacity" if math.cos(phase) > 0 else "DemandBelowCapacity",
            "message": message,
        },
        "conditions": [
            condition("Ready", "True", "Serving", f"Serving replicas: {replicas}; at least 1 must serve."),
            condition("MetricsAvailable", "True", "EveryPodMeasured", "Every pod that serves is measured."),
            condition("SLOMet", *(("False", "DemandNotServed") if bad else ("True", "Met")), "Demand is served."),
            condition("ScalingLimited", *(("True", "BoundsReached") if bad else ("False", "NotLimited"))),
            condition("Progressing", "False", "Settled", f"The fleet is as decided (bf16: {replicas})."),
        ],
    }


def working_at(seconds: float, **changes: Any) -> dict[str, Any]:
    """An LLMDeployment that is at work, but for some changes of its status."""
    return deployment(**(at_work(1, seconds) | changes))


class Cluster:
    """LLMDeployments as a mirror holds them, and a status page that has watched them for six hours."""

    def __init__(self, *resources: dict[str, Any], standing: Standing = Standing.WORKS) -> None:
        self.objects = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in resources}
        self.standing = standing
        self.now_seconds = NOW - POINTS * POINT_SECONDS
        self.page = StatusPage(
            resources=self.resources, standing=lambda: self.standing, wall_clock=lambda: self.now_seconds
        )

    def resources(self) -> Mapping[tuple[str, str], dict[str, Any]]:
        return self.objects

    def look(self, seconds: float) -> None:
        self.now_seconds = seconds
        self.page._history.note(self.objects.values(), seconds)


def cluster_at_work(count: int) -> Cluster:
    """That many LLMDeployments in a few namespaces, after six hours; every ninth misses its SLO."""
    cluster = Cluster(*(deployment(f"chat-{number:03}", f"team-{number % 7}") for number in range(count)))
    decided: dict[int, dict[str, Any]] = {}
    for minute in range(POINTS + 1):
        seconds = NOW - (POINTS - minute) * POINT_SECONDS
        for number, resource in enumerate(cluster.objects.values()):
            status = at_work(number, seconds)
            before = decided.get(number, {})
            if before.get("action") == status["lastDecision"]["action"]:
                status["lastDecision"] = before
            decided[number] = status["lastDecision"]
            resource["status"] |= status
        cluster.look(seconds)
    return cluster
