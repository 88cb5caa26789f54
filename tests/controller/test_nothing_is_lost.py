"""Chance kills operators at any await, runs two at once, shows them old pictures, takes stock away, changes the spec.

A served model keeps a replica that serves, no bound is passed, and what is left alone comes to rest. The one exception
is a model that may sleep, and of which every look within the declared time has seen that nobody asks.
"""

import asyncio
import copy
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.conftest import FakeApiServer
from tests.controller.operator_in_memory import FakeMirrors, Operator
from tests.controller.test_switch import PASSED, TICK_SECONDS, reading, variant_of

from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS
from tokenpace.controller.canaries import Canaries
from tokenpace.controller.mirrors import Holdings
from tokenpace.planning.observation import Idle, Live, Wake
from tokenpace.probing.outcome import Outcome
from tokenpace.probing.question import Question
from tokenpace.prometheus.samples import MetricsAnswer
from tokenpace.prometheus.wake import WakeAnswer

START_SECONDS = 20.0
MOST = 4
SURGE = 1
POD_TOKENS_PER_SECOND = 30
SLOTS, QUEUE = 4.0, 20.0
"""Requests that a pod works on and has waiting while more is asked of it than it can do."""
EXPLORES = os.environ.get("HYPOTHESIS_PROFILE") == "explore"


BOUNDS = {
    "maxReplicas": MOST,
    "maxSurge": SURGE,
    "variantDwellSeconds": 60,
    "scaleDown": {"stabilizationWindowSeconds": 60},
}
SLEEPS_AFTER_SECONDS = 60
SLEEP = {"scaleToZeroAfterSeconds": SLEEPS_AFTER_SECONDS, "wake": {"metricName": "gateway_requests_total"}}


class Killed(BaseException):
    """The end of a process."""


class SimulatedCluster(FakeMirrors):
    """What Kubernetes, Prometheus and clients add to the API server."""

    def __init__(self, fake: FakeApiServer) -> None:
        super().__init__(fake)
        self.fake = fake
        self.now = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()
        self.pods: dict[str, dict[str, Any]] = {}
        self.made = Counter[str]()
        self.no_stock: set[str] = set()
        self.tokens_per_second = 10.0
        self.loaded_at = self.asked_at = self.now
        """When there was load, and when an operator was last told so."""
        self.lag = 0
        """How many ticks old the Deployments are that operators see."""
        self.pictures: list[tuple[dict[str, Any], ...]] = []

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
        held = [copy.deepcopy(body) for key, body in self.fake.objects.items() if key[0] == DEPLOYMENTS]
        self.pictures = [*self.pictures[-2:], tuple(held)]

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
        deployments = self.pictures[-self.lag] if self.lag and len(self.pictures) >= self.lag else held.deployments
        return Holdings(deployments, held.others, tuple(copy.deepcopy(list(self.pods.values()))))

    def serving(self) -> int:
        return sum(map(is_ready, self.pods.values()))

    async def generate(self, _: Question) -> Outcome:
        return PASSED

    def is_asked(self) -> bool:
        """Tell, and note that it was told, whether there is load, or was at this very moment."""
        asked = self.tokens_per_second > 0 or self.loaded_at == self.now
        self.asked_at = self.now if asked else self.asked_at
        return asked

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


class Operators(RuleBasedStateMachine):
    """One LLMDeployment of two variants, and two operators of which nobody knows which one holds the Lease."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.fake = FakeApiServer()
        self.cluster = SimulatedCluster(self.fake)
        self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"] = declared()
        self.operators = [self.started(), self.started()]
        self.was_served = self.rested = self.may_sleep = False
        self.wait(ticks=8)
        assert self.was_served

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()

    def started(self) -> Operator:
        """Return an operator that knows what stands in the status."""
        operator, cluster = Operator(self.fake.connection()), self.cluster
        loop = operator.loop
        loop.mirrors = cluster  # type: ignore[assignment]
        loop._prometheus = cluster  # type: ignore[assignment]
        loop._wall_clock = lambda: cluster.now
        loop._canaries = Canaries(
            on_result=loop._on_canary, try_generation=cluster.generate, monotonic=lambda: cluster.now
        )
        return operator

    def tick(self, which: int) -> None:
        scaling = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["scaling"]
        self.may_sleep = self.may_sleep or (SLEEP.items() <= scaling.items() and scaling.get("mode") != "Manual")

        async def once() -> None:
            await self.operators[which].ticks()
            for _ in range(5):
                await asyncio.sleep(0)

        self.runner.run(once())

    @rule(ticks=st.sampled_from([1, 3, 12]), which=st.sampled_from([0, 1]))
    def wait(self, ticks: int, which: int = 0) -> None:
        standing_by = self.operators[1 - which].loop
        standing_by._memories.clear()  # as the loop does while it may not write
        standing_by._disputes.clear()
        for _ in range(ticks):
            self.tick(which)
            self.pass_time()

    @rule(ticks=st.sampled_from([1, 5]))
    def both_write(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick(0)
            self.tick(1)
            self.pass_time()

    @rule(which=st.sampled_from([0, 1]), calls=st.integers(0, 8), after=st.booleans())
    def kill(self, which: int, calls: int, after: bool) -> None:
        """End an operator before or after one of its next calls has had its effect; another one starts."""
        left = [calls]

        async def count(_: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        connection = self.operators[which].fake
        setattr(connection, "after" if after else "before", count)
        with suppress(Killed):
            self.tick(which)
        self.operators[which] = self.started()
        self.pass_time()

    @rule(which=st.sampled_from([0, 1]))
    def be_woken_for_nothing(self, which: int) -> None:
        """A phantom or a duplicate event: a tick, and no time has passed."""
        self.tick(which)

    @rule(lag=st.integers(0, 2))
    def lose_updates(self, lag: int) -> None:
        self.cluster.lag = lag

    @rule(variant=st.sampled_from(["q8", "q4"]))
    def run_out_of_stock(self, variant: str) -> None:
        self.cluster.no_stock ^= {variant}

    @rule(tokens_per_second=st.sampled_from([0.0, 10.0, 60.0, 200.0]))
    def change_load(self, tokens_per_second: float) -> None:
        if self.cluster.tokens_per_second:
            self.cluster.loaded_at = self.cluster.now
        self.cluster.tokens_per_second = tokens_per_second

    @rule(
        scaling=st.sampled_from(["Auto", "q8", "q4"]),
        replicas=st.integers(1, MOST),
        sleep=st.sampled_from([{}, SLEEP]),
    )
    def change_mode(self, scaling: str, replicas: int, sleep: dict[str, Any]) -> None:
        resource = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
        mode = {"mode": "Auto"} if scaling == "Auto" else {"mode": "Manual", "variant": scaling}
        resource["spec"] |= {"scaling": BOUNDS | mode | sleep, "replicas": replicas}
        resource["metadata"]["generation"] += 1

    @rule(which=st.sampled_from([0, 1]))
    def leave_it_idle(self, which: int) -> None:
        """Nobody asks for as long as it takes to fall asleep, where it may."""
        self.change_load(0.0)
        self.change_mode("Auto", 1, SLEEP)
        self.wait(ticks=10, which=which)

    @precondition(lambda self: not self.cluster.no_stock and not self.rested)
    @rule(which=st.sampled_from([0, 1]))
    def be_left_alone(self, which: int) -> None:
        """One operator, a true picture, stock and the same load: the fleet stands still in the end."""
        self.rested = True  # once in a run is enough: it takes longer than all the rest
        self.cluster.lag = 0
        self.wait(ticks=60, which=which)
        before = self.sizes()
        for _ in range(15):
            self.wait(ticks=1, which=which)
            assert self.sizes() == before

    def sizes(self) -> dict[str, int]:
        objects = self.fake.objects.items()
        return {key[2]: body["spec"]["replicas"] for key, body in objects if key[0] == DEPLOYMENTS}

    def pass_time(self) -> None:
        """Let a tick's time pass, at the end of which nothing may be lost."""
        if self.may_sleep and self.cluster.now - self.cluster.asked_at >= SLEEPS_AFTER_SECONDS:
            self.was_served = False
        self.may_sleep = False
        self.cluster.advance()
        self.was_served = self.was_served or self.cluster.serving() > 0
        assert self.cluster.serving() > 0 or not self.was_served, "the last replica that served is gone"
        assert sum(self.sizes().values()) <= MOST + SURGE, "a bound is passed"


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


Operators.TestCase.settings = settings(max_examples=200 if EXPLORES else 12, stateful_step_count=20)
test_whatever_happens_nothing_is_lost = Operators.TestCase
