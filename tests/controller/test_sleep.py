"""Scale to zero and back, tick by tick: what runs, what is written down and told, and restarts at bad moments."""

import copy
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from tests.conftest import FakeApiServer
from tests.controller.operator_in_memory import Operator
from tests.controller.simulated_cluster import SLEEP, SimulatedCluster, declared
from tests.controller.test_switch import TICK_SECONDS

from tokenpace.api.conditions import ConditionType
from tokenpace.api.names import PAUSED_ANNOTATION
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, EVENTS, LLM_DEPLOYMENTS
from tokenpace.controller.canaries import Canaries
from tokenpace.controller.events import sleeping
from tokenpace.controller.explanation import explanation
from tokenpace.controller.overview import line
from tokenpace.controller.readable import readable_status
from tokenpace.prometheus.wake import WakeAnswer


class Scene:
    """One LLMDeployment that may sleep, and an operator."""

    def __init__(self) -> None:
        self.fake = FakeApiServer()
        self.cluster = SimulatedCluster(self.fake)
        self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"] = declared()
        self.spec["scaling"] = self.spec["scaling"] | SLEEP
        self.restart()

    def restart(self) -> None:
        self.operator, cluster = Operator(self.fake), self.cluster
        loop = self.operator.loop
        loop.mirrors = cluster  # type: ignore[assignment]
        loop._prometheus = cluster  # type: ignore[assignment]
        loop._wall_clock = lambda: cluster.now
        loop._canaries = Canaries(
            on_result=loop._on_canary, try_generation=cluster.generate, monotonic=lambda: cluster.now
        )

    @property
    def resource(self) -> dict[str, Any]:
        found: dict[str, Any] = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
        return found

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.resource["spec"]
        return spec

    @property
    def replicas(self) -> int:
        objects = self.fake.objects.items()
        return sum(body["spec"]["replicas"] for key, body in objects if key[0] == DEPLOYMENTS)

    async def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            await self.operator.ticks()
            self.cluster.advance()

    async def fall_asleep(self) -> None:
        self.cluster.tokens_per_second = 0.0
        await self.wait(12)
        assert self.replicas == 0

    def told(self, reason: str) -> list[str]:
        events = [body for key, body in self.fake.objects.items() if key[0] == EVENTS]
        return [event["message"] for event in events if event["reason"] == reason]


@pytest.fixture
async def scene() -> Scene:
    """A model that serves."""
    found = Scene()
    await found.wait(12)
    assert found.replicas == 1
    return found


async def test_a_model_that_nobody_asks_for_sleeps_and_is_ready_all_the_same(scene: Scene) -> None:
    await scene.fall_asleep()
    ready = scene.operator.condition(ConditionType.READY)
    assert (ready["status"], ready["reason"]) == ("True", "Asleep")
    assert scene.operator.condition(ConditionType.SLO_MET)["reason"] == "NoDemand"
    assert scene.operator.condition(ConditionType.PROGRESSING)["reason"] == "Settled"
    assert scene.resource["status"]["lastDecision"]["reason"] == "Asleep"
    assert len(scene.told("FellAsleep")) == 1


async def test_at_the_next_tick_after_somebody_asks_a_replica_is_ordered(scene: Scene) -> None:
    await scene.fall_asleep()
    scene.cluster.tokens_per_second = 10.0
    await scene.operator.ticks()
    assert scene.replicas == 1
    assert "asleepSince" not in scene.resource["status"]
    (message,) = scene.told("Woken")
    assert message.startswith("Woken, because `gateway_requests_total` says that somebody asks. ")
    await scene.wait(6)
    assert scene.operator.condition(ConditionType.READY)["reason"] == "Serving"


async def test_without_an_answer_of_prometheus_nobody_falls_asleep_and_nobody_wakes(scene: Scene) -> None:
    async def silence(_: object) -> WakeAnswer:
        return WakeAnswer({}, "Prometheus is away")

    answers, scene.cluster.wakes = scene.cluster.wakes, silence  # type: ignore[method-assign]
    scene.cluster.tokens_per_second = 0.0
    await scene.wait(30)
    assert scene.replicas == 1
    scene.cluster.wakes = answers  # type: ignore[method-assign]
    await scene.fall_asleep()
    scene.cluster.wakes = silence  # type: ignore[method-assign]
    await scene.wait(30)
    assert scene.replicas == 0
    assert scene.operator.condition(ConditionType.METRICS_AVAILABLE)["reason"] == "WakeSeriesMissing"


async def test_a_restarted_operator_lets_it_sleep_and_wakes_it(scene: Scene) -> None:
    await scene.fall_asleep()
    scene.restart()
    await scene.wait(12)
    assert scene.replicas == 0
    scene.cluster.tokens_per_second = 10.0
    await scene.operator.ticks()
    assert scene.replicas == 1


async def test_a_restarted_operator_sees_a_whole_idle_time_itself(scene: Scene) -> None:
    scene.cluster.tokens_per_second = 0.0
    await scene.wait(5)
    scene.restart()
    await scene.wait(int(SLEEP["scaleToZeroAfterSeconds"] / TICK_SECONDS))
    assert scene.replicas == 1
    await scene.wait(1)
    assert scene.replicas == 0


async def test_an_operator_that_dies_before_it_has_written_down_a_sleep_leaves_it_awake(scene: Scene) -> None:
    before = copy.deepcopy(scene.resource["status"])
    await scene.fall_asleep()
    scene.resource["status"] = before
    scene.restart()
    await scene.operator.ticks()
    assert scene.replicas == 1


async def test_an_operator_that_dies_before_it_has_written_down_a_wake_leaves_it_awake(scene: Scene) -> None:
    await scene.fall_asleep()
    before = copy.deepcopy(scene.resource["status"])
    scene.cluster.tokens_per_second = 10.0
    await scene.operator.ticks()
    scene.resource["status"] = before
    scene.cluster.tokens_per_second = 0.0
    scene.cluster.advance()
    scene.restart()
    await scene.operator.ticks()
    assert scene.replicas == 1


async def test_a_wake_that_could_not_be_carried_out_is_not_forgotten(scene: Scene) -> None:
    await scene.fall_asleep()
    scene.cluster.tokens_per_second = 10.0
    refused = scene.fake.before

    async def refuse(call: str) -> None:
        if "scale" in call.lower():
            raise ApiError(503, "away", "")

    scene.fake.before = refuse
    await scene.operator.ticks()
    assert scene.replicas == 0
    scene.fake.before = refused
    scene.cluster.tokens_per_second = 0.0
    scene.cluster.advance()
    await scene.operator.ticks()
    assert scene.replicas == 1


@pytest.mark.parametrize("mode", ["Advisory", "paused"])
async def test_where_nothing_may_be_touched_it_is_only_said_that_it_would_sleep(scene: Scene, mode: str) -> None:
    if mode == "paused":
        scene.resource["metadata"]["annotations"] = {PAUSED_ANNOTATION: "true"}
    else:
        scene.spec["scaling"]["mode"] = mode
    scene.resource["metadata"]["generation"] += 1
    scene.cluster.tokens_per_second = 0.0
    await scene.wait(12)
    assert scene.replicas == 1
    assert scene.operator.condition(ConditionType.READY)["reason"] == "Serving"
    assert scene.resource["status"]["lastDecision"]["action"] == "would scale q8 from 1 to 0"
    assert "asleepSince" not in scene.resource["status"]


async def test_without_any_model_that_may_sleep_nobody_is_asked_what_wakes(scene: Scene) -> None:
    async def unexpected(_: object) -> WakeAnswer:
        raise AssertionError

    scene.cluster.wakes = unexpected  # type: ignore[method-assign]
    scene.spec["scaling"].pop("scaleToZeroAfterSeconds")
    await scene.wait(2)
    assert scene.replicas == 1


async def test_a_sleep_is_shown_in_status_explain_and_metrics(scene: Scene) -> None:
    assert scene.operator.metrics.registry.get_sample_value("tokenpace_asleep", WHERE) == 0
    await scene.fall_asleep()
    assert scene.operator.metrics.registry.get_sample_value("tokenpace_asleep", WHERE) == 1
    assert (line(scene.resource).state, line(scene.resource).alarming) == ("Asleep", False)
    assert "Asleep since" in text_of(explanation(scene.resource, datetime.fromtimestamp(scene.cluster.now, UTC)))


def test_a_status_that_says_the_same_of_sleep_is_no_event() -> None:
    status = readable_status({"status": {"asleepSince": "2026-11-23T08:00:00Z"}})
    assert sleeping(status, status) == ()


WHERE = {"namespace": "shop", "name": "chat"}


def text_of(shown: Any) -> str:
    written = io.StringIO()
    Console(file=written, width=200, force_terminal=False).print(shown)
    return written.getvalue()
