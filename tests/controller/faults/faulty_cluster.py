"""A cluster that goes wrong as real ones do, under an operator in memory: what pods and Deployments say then.

The shapes are those of Kubernetes 1.34: conditions, reasons and messages as its scheduler, kubelet, ReplicaSet and node
controllers write them.
"""

import asyncio
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.conftest import FakeApiServer
from tests.controller.operator_in_memory import Operator
from tests.controller.simulated_cluster import SimulatedCluster, declared, is_ready
from tests.controller.test_switch import TICK_SECONDS, reading, variant_of

from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS
from tokenpace.controller.canaries import Canaries
from tokenpace.planning.observation import Live
from tokenpace.prometheus.samples import MetricsAnswer

START_SECONDS = 20.0
POD_TOKENS_PER_SECOND = {"q8": 30, "q4": 60}
SLOTS, QUEUE = 4.0, 20.0
CLAIM = "models"
SPEC = {"nodeName": "gpu-1", "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": CLAIM}}]}
Status = dict[str, Any]


def condition(kind: str, *, holds: bool, at: str, reason: str = "", message: str = "") -> Status:
    said = {key: text for key, text in (("reason", reason), ("message", message)) if text}
    return {"type": kind, "status": str(holds), "lastTransitionTime": at, **said}


def on_a_node(at: str, *, prepared: bool = True, ready: bool = False, **container: Any) -> Status:
    """Return the status of a pod that has a node, with the state of its container."""
    why = "" if ready else "ContainersNotReady"
    return {
        "phase": "Running" if "running" in container.get("state", {}) else "Pending",
        "conditions": [
            condition("PodReadyToStartContainers", holds=prepared, at=at),
            condition("Initialized", holds=True, at=at),
            condition("Ready", holds=ready, at=at, reason=why),
            condition("ContainersReady", holds=ready, at=at, reason=why),
            condition("PodScheduled", holds=True, at=at),
        ],
        "containerStatuses": [{"name": "engine", "ready": ready, **container}],
    }


def waiting(why: str, words: str = "", **last: Any) -> dict[str, Any]:
    """Return a container that waits, and how it ended the last time."""
    ended = {"lastState": {"terminated": last}} if last else {}
    return {"state": {"waiting": {"reason": why, **({"message": words} if words else {})}}, **ended}


def unschedulable(at: str) -> Status:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available."
    scheduled = condition("PodScheduled", holds=False, at=at, reason="Unschedulable", message=message)
    return {"phase": "Pending", "conditions": [scheduled]}


class FaultyCluster(SimulatedCluster):
    """Runs the pods of two variants, until something is wrong with one of them, with a quota, or with a node."""

    def __init__(self, fake: FakeApiServer) -> None:
        super().__init__(fake)
        self.faults: dict[str, Any] = {}
        """By variant, what makes the status of its pods that do not serve yet, from when they began."""
        self.quota = 100
        """Pods that may be there."""
        self.nodes = 100
        """Pods that nodes have room for."""
        self.kept_by: str | None = None
        """The pod that all connections were kept to; None where requests spread."""
        self.lost: set[str] = set()
        """Pods on a node that is not heard of."""

    def advance(self) -> None:
        self._pass_tick()
        for name, pod in self.pods.items():
            pod["status"] = self._status(name, pod) | {"podIP": name}

    def lose_the_node_of(self, name: str) -> None:
        """Take Ready back, as the node controller does; the kubelet's word on the containers stays."""
        self.lost.add(name)
        self._set_ready(name, "False")

    def find_the_node_of(self, name: str) -> None:
        """Give Ready again, as a kubelet does that is back."""
        self.lost.remove(name)
        self._set_ready(name, "True")

    def _set_ready(self, name: str, status: str) -> None:
        for one in self.pods[name]["status"]["conditions"]:
            if one["type"] == "Ready":
                one |= {"status": status, "lastTransitionTime": self.time}

    def evict_from_the_lost_node(self, name: str) -> None:
        """Delete a pod, as the taint manager does after five minutes. Nobody is there to end it."""
        self.pods[name]["metadata"]["deletionTimestamp"] = self.time

    def _replace(self, name: str, deployment: dict[str, Any]) -> None:
        """Make and remove pods as a ReplicaSet does, as far as the quota goes."""
        own = [one for one in self.pods if one.startswith(f"{name}-") and not self._is_ending(one)]
        own.sort(key=lambda one: not is_ready(self.pods[one]))
        for surplus in own[deployment["spec"]["replicas"] :]:
            del self.pods[surplus]
        missing = deployment["spec"]["replicas"] - len(own)
        room = max(self.quota - len(self.pods), 0)
        for _ in range(min(missing, room)):
            self._make(name, deployment)
        deployment["status"] = {"conditions": [self._failure(name, deployment)] if missing > room else []}

    def _is_ending(self, name: str) -> bool:
        return "deletionTimestamp" in self.pods[name]["metadata"]

    def _failure(self, name: str, deployment: dict[str, Any]) -> Status:
        """Return what the ReplicaSet says, for as long as it does since when it first did."""
        message = (
            f'pods "{name}-5d9c7-abcde" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, '
            f"used: requests.nvidia.com/gpu={self.quota}, limited: requests.nvidia.com/gpu={self.quota}"
        )
        before: list[Status] = deployment.get("status", {}).get("conditions", [])
        fresh = condition("ReplicaFailure", holds=True, at=self.time, reason="FailedCreate", message=message)
        return before[0] if before else fresh

    def _status(self, name: str, pod: dict[str, Any]) -> Status:
        created = pod["metadata"]["creationTimestamp"]
        known: Status = pod["status"]
        if name in self.lost or is_ready(pod):
            return known
        if variant_of(pod) in self.faults:
            shown: Status = self.faults[variant_of(pod)](created)
            if shown["phase"] == "Pending" and "containerStatuses" not in shown:
                return shown
            pod["spec"], pod["begun"] = copy.deepcopy(SPEC), self.now
            return shown
        if "nodeName" not in pod["spec"]:
            if sum("nodeName" in one["spec"] for one in self.pods.values()) >= self.nodes:
                return unschedulable(created)
            pod["spec"] = copy.deepcopy(SPEC)
            pod["begun"] = self.now
        if self.now - pod["begun"] >= START_SECONDS:
            return on_a_node(self.time, ready=True, state={"running": {"startedAt": created}})
        return on_a_node(created, prepared=self.now > pod["begun"], **waiting("ContainerCreating"))

    async def sample(self, _: object) -> MetricsAnswer:
        """Answer as Prometheus: clients spread evenly over the pods that serve; a faster one works on fewer at once."""
        ready = [name for name, pod in self.pods.items() if is_ready(pod)]
        asked = {
            name: self.tokens_per_second * (1 / len(ready) if self.kept_by is None else name == self.kept_by)
            for name in ready
        }
        samples = {("shop", name): self._sample(each, name) for name, each in asked.items()}
        return MetricsAnswer(samples=samples, problems={})

    def _sample(self, asked: float, name: str) -> Live:
        most = POD_TOKENS_PER_SECOND[variant_of(self.pods[name])]
        seen = reading(min(asked, most))
        return Live(
            replace(seen, running_streams=SLOTS * min(asked / most, 1), waiting_requests=QUEUE * (asked > most))
        )


class Service:
    """A model in two variants, of which q4 is twice as fast, the operator that runs it, and the cluster under both."""

    def __init__(self, fake: FakeApiServer) -> None:
        self.fake, self.cluster = fake, FaultyCluster(fake)
        resource = declared()
        for variant in resource["spec"]["variants"]:
            speed = POD_TOKENS_PER_SECOND[variant["name"]]
            expected = {"streamTokensPerSecond": speed // 3, "generationTokensPerSecond": speed, "atStreams": 4}
            variant["expected"] = expected | {"startupSeconds": 20}
        resource["spec"]["slo"] = {"generationTokensPerSecond": 200}
        fake.objects[LLM_DEPLOYMENTS, "shop", "chat"] = resource
        self.spec: dict[str, Any] = resource["spec"]
        self.least_serving = 1
        self.start_operator()

    def start_operator(self) -> None:
        self.operator = Operator(self.fake)
        loop, cluster = self.operator.loop, self.cluster
        loop.mirrors = cluster  # type: ignore[assignment]
        loop._prometheus = cluster  # type: ignore[assignment]
        loop._wall_clock = lambda: cluster.now
        loop._canaries = Canaries(
            on_result=loop._on_canary, try_generation=cluster.generate, monotonic=lambda: cluster.now
        )

    async def minutes(self, count: float) -> None:
        """Let time pass, in which one replica serves all along once one has."""
        for _ in range(round(count * 60 / TICK_SECONDS)):
            await self.operator.ticks()
            for _ in range(10):
                await asyncio.sleep(0)
            self.cluster.advance()
            served = self.serving().total()
            assert served >= self.least_serving or not self.was_served, "nothing serves any more"
            self.was_served = self.was_served or served > 0

    was_served = False

    def serving(self) -> Counter[str]:
        pods = self.cluster.pods.values()
        return Counter(variant_of(pod) for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"])

    def asked_for(self) -> dict[str, int]:
        objects = self.fake.objects.items()
        sizes = {key[2]: body["spec"]["replicas"] for key, body in objects if key[0] == DEPLOYMENTS}
        return {name.removeprefix("chat-"): size for name, size in sizes.items() if size}

    def says(self, kind: str) -> tuple[str, str, str]:
        """Return status, reason and message of a condition."""
        found = self.operator.condition(kind)
        return found["status"], found["reason"], found["message"]

    def lead_seconds(self, variant: str) -> int:
        status = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]
        return next(one["leadSeconds"] for one in status["variants"] if one["name"] == variant)

    def pods_of(self, variant: str) -> Iterator[str]:
        return (name for name, pod in self.cluster.pods.items() if variant_of(pod) == variant)
