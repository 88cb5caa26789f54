"""A whole switch between variants, tick by tick: the planner, canaries, writes, Events and what a restart remembers.

Pods come and go as Kubernetes would have it, and are ready 20 s after they were made.
"""

import asyncio
import copy
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.controller.operator_in_memory import FakeMirrors, Operator, PodsInMemory

from tokenpace.api import names
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, EVENTS, LLM_DEPLOYMENTS
from tokenpace.controller.canaries import Canaries
from tokenpace.controller.mirrors import Holdings
from tokenpace.planning.observation import Idle, Live, Reading
from tokenpace.probing.outcome import Failed, Outcome, Passed, Unknown
from tokenpace.probing.question import Question
from tokenpace.prometheus.samples import MetricsAnswer

START_SECONDS = 20.0
TICK_SECONDS = 10.0
PASSED = Passed(seconds_to_first_token=0.1, tokens=8, tokens_per_second=10.0)


class Cluster(FakeMirrors):
    """What Kubernetes and Prometheus add to the API server: pods for Deployments, and a little traffic on them."""

    def __init__(self, fake: Any) -> None:
        super().__init__(fake)
        self.fake = fake
        self.now = datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp()
        self.pods = PodsInMemory(fake)
        self.made = Counter[str]()
        self.addresses: list[str] = []
        self.outcomes: Mapping[str, Outcome] = {}
        """What a canary of a variant's pods shows; it passes where nothing is said."""
        self.passed_over = ""
        """The variant whose pods get no requests."""

    def advance(self) -> None:
        """Let a tick's time pass."""
        self.now += TICK_SECONDS
        for (kind, _, name), deployment in list(self.fake.objects.items()):
            if kind == DEPLOYMENTS:
                self._reconcile(name, deployment)
        for pod in self.pods.values():
            age = self.now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
            if age >= START_SECONDS and not pod["status"]["conditions"]:
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": self._time()}
                pod["status"]["conditions"] = [ready]

    def _reconcile(self, name: str, deployment: dict[str, Any]) -> None:
        own = [pod for pod in self.pods if pod.startswith(f"{name}-")]
        for surplus in own[deployment["spec"]["replicas"] :]:
            del self.pods[surplus]
        for _ in range(deployment["spec"]["replicas"] - len(own)):
            self.made[name] += 1
            pod = f"{name}-{self.made[name]}"
            template = deployment["spec"]["template"]["metadata"]
            self.pods[pod] = {
                "metadata": {
                    **copy.deepcopy(template),
                    "name": pod,
                    "namespace": "shop",
                    "uid": f"uid-of-{pod}",
                    "creationTimestamp": self._time(),
                },
                "status": {"phase": "Running", "podIP": pod, "conditions": [], "containerStatuses": []},
            }

    def _time(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).isoformat()

    def holdings(self, resource: Mapping[str, Any]) -> Holdings:
        held = super().holdings(resource)
        return Holdings(held.deployments, held.others, tuple(copy.deepcopy(list(self.pods.values()))))

    def serving(self) -> Counter[str]:
        """Return the pods that are ready, by variant."""
        return Counter(variant_of(pod) for pod in self.pods.values() if pod["status"]["conditions"])

    async def generate(self, question: Question) -> Outcome:
        """Answer a canary."""
        self.addresses.append(question.url)
        variant = question.url.split("-")[1]
        return self.outcomes.get(variant, PASSED)

    async def sample(self, _: object) -> MetricsAnswer:
        """Answer as Prometheus: every pod that is ready and gets requests generates one token a second."""
        samples = {
            ("shop", name): Idle(reading(0.0)) if variant_of(pod) == self.passed_over else Live(reading(1.0))
            for name, pod in self.pods.items()
            if pod["status"]["conditions"]
        }
        return MetricsAnswer(samples=samples, problems={})


def reading(tokens_per_second: float) -> Reading:
    return Reading(
        window_seconds=60.0,
        generated_tokens_per_second=tokens_per_second,
        prompt_tokens_per_second=tokens_per_second,
        running_streams=tokens_per_second / 10,
        waiting_requests=0.0,
    )


def variant_of(pod: dict[str, Any]) -> str:
    variant: str = pod["metadata"]["labels"][names.VARIANT_LABEL]
    return variant


class Switch:
    """An operator and its cluster, with what was seen at every tick."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.cluster = Cluster(fake)
        self.seen: list[Counter[str]] = []
        self.restart()

    def restart(self) -> None:
        """Replace the operator by one that knows what stands in the status."""
        self.operator = Operator(self.fake)
        loop = self.operator.loop
        loop.mirrors = self.cluster  # type: ignore[assignment]
        loop._prometheus = self.cluster  # type: ignore[assignment]
        loop._wall_clock = lambda: self.cluster.now
        loop._canaries = Canaries(
            on_result=loop._on_canary, try_generation=self.cluster.generate, monotonic=lambda: self.cluster.now
        )

    async def ticks(self, count: int, *, restarting: bool = False) -> None:
        for _ in range(count):
            if restarting:
                self.restart()
            await self.operator.ticks()
            for _ in range(10):
                await asyncio.sleep(0)
            self.cluster.advance()
            self.seen.append(self.cluster.serving())

    def told(self) -> list[str]:
        """Return the Events about switches, oldest first."""
        events = [body for key, body in self.fake.objects.items() if key[0] == EVENTS]
        return [body["reason"] for body in events if body["reason"].startswith("Switch")]

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]
        return status

    def counted(self, result: str) -> float | None:
        registry = self.operator.metrics.registry
        return registry.get_sample_value("tokenpace_switches_total", {"result": result})


@pytest.fixture
async def switch(fake: Any, resource: dict[str, Any]) -> Switch:
    """Two replicas of q8 that serve, in Manual mode."""
    resource["metadata"] |= {"generation": 1, "creationTimestamp": "2026-11-23T07:00:00Z"}
    resource["spec"] |= {"scaling": {"mode": "Manual", "variant": "q8"}, "replicas": 2}
    for variant in resource["spec"]["variants"]:
        variant["expected"] = {"streamTokensPerSecond": 10, "generationTokensPerSecond": 30, "atStreams": 4}
    resource["status"] = {}
    fake.objects[LLM_DEPLOYMENTS, "shop", "chat"] = resource
    one = Switch(fake)
    await one.ticks(5)
    assert one.seen[-1] == {"q8": 2}
    one.seen.clear()
    return one


def go_to_q4(one: Switch) -> None:
    one.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["scaling"]["variant"] = "q4"


async def test_the_new_variant_takes_over_and_one_always_serves(switch: Switch) -> None:
    go_to_q4(switch)
    await switch.ticks(12)
    assert switch.seen[-1] == {"q4": 2}
    assert all(serving.total() >= 2 for serving in switch.seen)


async def test_it_is_told_and_counted_once_that_it_begins_and_that_it_is_done(switch: Switch) -> None:
    go_to_q4(switch)
    await switch.ticks(12)
    assert switch.told() == ["SwitchBegun", "SwitchDone"]
    assert (switch.counted("SwitchBegun"), switch.counted("SwitchDone")) == (1, 1)


async def test_a_switch_is_counted_once_though_its_status_cannot_be_written(switch: Switch) -> None:
    async def refuse(call: str) -> None:
        if call == "patch llmdeployments status":
            raise ApiError(503, "ServiceUnavailable", "later")

    go_to_q4(switch)
    switch.fake.before = refuse
    await switch.ticks(3)
    assert switch.counted("SwitchBegun") == 1


async def test_more_of_the_new_variant_come_only_when_the_first_has_shown_that_it_generates(switch: Switch) -> None:
    switch.cluster.outcomes, switch.cluster.passed_over = {"q4": Unknown("no route to host")}, "q4"
    go_to_q4(switch)
    await switch.ticks(12)
    assert (switch.cluster.made["chat-q4"], switch.seen[-1]) == (1, {"q8": 2, "q4": 1})
    switch.cluster.outcomes = {}
    await switch.ticks(12)
    assert switch.seen[-1] == {"q4": 2}


async def test_only_the_first_pod_of_the_new_variant_is_asked_and_once(switch: Switch) -> None:
    switch.cluster.passed_over = "q4"
    go_to_q4(switch)
    await switch.ticks(12)
    assert switch.cluster.addresses == ["http://chat-q4-1:8080"]


async def test_while_it_is_paused_nothing_is_asked(switch: Switch) -> None:
    switch.cluster.passed_over = "q4"
    go_to_q4(switch)
    await switch.ticks(2)
    switch.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["metadata"]["annotations"] = {names.PAUSED_ANNOTATION: "true"}
    await switch.ticks(6)
    assert switch.seen[-1] == {"q8": 2, "q4": 1}
    assert switch.cluster.addresses == []


async def test_an_operator_that_starts_anew_at_every_tick_finishes_the_switch(switch: Switch) -> None:
    go_to_q4(switch)
    await switch.ticks(12, restarting=True)
    assert switch.seen[-1] == {"q4": 2}
    assert all(serving.total() >= 2 for serving in switch.seen)
    assert switch.told() == ["SwitchBegun", "SwitchDone"]


@pytest.fixture
async def better(switch: Switch) -> Switch:
    """Replicas of q4 that serve, in Auto mode, and as of now a better variant that is offered beside it."""
    spec = switch.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]
    best, spec["variants"] = spec["variants"][0], spec["variants"][1:]
    spec["scaling"] = {"variantDwellSeconds": 0, "scaleDown": {"stabilizationWindowSeconds": 30}}
    spec["replicas"] = 1
    await switch.ticks(12)
    assert switch.seen[-1] == {"q4": 1}
    spec["variants"].append(best)
    switch.seen.clear()
    switch.cluster.addresses.clear()
    return switch


async def test_a_better_variant_that_generates_takes_over(better: Switch) -> None:
    await better.ticks(20)
    assert better.seen[-1] == {"q8": 1}


async def test_a_variant_that_cannot_generate_is_rolled_back_and_the_old_serves_all_along(better: Switch) -> None:
    better.cluster.outcomes, better.cluster.passed_over = {"q8": Failed("no kernel image")}, "q8"
    await better.ticks(10)
    assert better.seen[-1] == {"q4": 1}
    assert all(serving["q4"] == 1 for serving in better.seen)
    assert better.told()[-1] == "SwitchRolledBack"


async def test_after_a_restart_a_variant_that_failed_is_not_tried_before_its_time(better: Switch) -> None:
    better.cluster.outcomes, better.cluster.passed_over = {"q8": Failed("no kernel image")}, "q8"
    while "SwitchRolledBack" not in better.told():
        await better.ticks(1)
    made = better.cluster.made["chat-q8"]
    (setback,) = [one["setback"] for one in better.status()["variants"] if "setback" in one]
    assert "no kernel image" in setback["message"]
    until = datetime.fromisoformat(setback["until"]).timestamp()
    while better.cluster.now < until - TICK_SECONDS:
        await better.ticks(1, restarting=True)
    assert better.cluster.made["chat-q8"] == made
