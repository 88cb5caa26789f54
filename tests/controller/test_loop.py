"""One tick: what it does to the cluster, and that nothing that fails for one resource touches another."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.api.names import PAUSED_ANNOTATION
from tokenpace.api.variant import EngineType
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, EVENTS, LLM_DEPLOYMENTS, SERVICES


async def test_a_new_resource_gets_its_objects_and_one_replica(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    await operator.ticks()
    kinds = {key[0] for key in operator.fake.objects}
    assert (kinds >= {DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS}, operator.replicas()) == (True, 1)


@pytest.mark.parametrize(("hour", "replicas"), [(12, 3), (20, 1)])
async def test_a_schedule_holds_at_its_hours(operator: Operator, resource: Any, hour: int, replicas: int) -> None:
    office = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 3}
    declare(operator.fake, resource)["spec"]["scaling"] = {"schedules": [office]}
    operator.loop._wall_clock = datetime(2026, 11, 23, hour, tzinfo=UTC).timestamp
    await operator.ticks()
    assert operator.replicas() == replicas


async def test_a_schedule_that_names_no_time_is_told(operator: Operator, resource: Any) -> None:
    office = {"name": "office", "start": "0 25 * * *", "end": "0 18 * * *", "minReplicas": 3}
    declare(operator.fake, resource)["spec"]["scaling"] = {"schedules": [office]}
    await operator.ticks()
    ready = operator.condition("Ready")
    assert (ready["reason"], "schedules[office].start" in ready["message"]) == ("InvalidSpec", True)


async def test_a_second_tick_changes_nothing_more(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    await operator.ticks(2)
    before = list(operator.fake.calls)
    await operator.ticks()
    assert operator.fake.calls == before


async def test_a_resource_that_is_being_deleted_is_left_alone(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource, deletionTimestamp="2026-11-23T08:00:00Z")
    await operator.ticks()
    assert operator.fake.calls == []


async def test_a_paused_resource_is_reported_and_not_changed(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource, annotations={PAUSED_ANNOTATION: "true"})
    await operator.ticks()
    kinds = {key[0] for key in operator.fake.objects}
    assert (kinds, operator.condition("Progressing")["reason"]) == ({LLM_DEPLOYMENTS}, "Paused")


async def test_a_spec_that_cannot_be_read_is_told_and_its_neighbour_served(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource, "bad")["spec"]["slo"] = {"generationTokensPerSecond": "fast"}
    declare(operator.fake, resource, "good")
    await operator.ticks()
    ready = operator.condition("Ready", "bad")
    assert ("slo.generationTokensPerSecond" in ready["message"], operator.replicas("good")) == (True, 1)


async def test_a_resource_that_nobody_foresaw_does_not_stop_its_neighbour(operator: Operator, resource: Any) -> None:
    del declare(operator.fake, resource, "odd")["metadata"]["generation"]
    declare(operator.fake, resource, "good")
    await operator.ticks()
    assert operator.replicas("good") == 1


async def test_a_failure_that_nobody_foresaw_is_told_on_the_resource(
    operator: Operator, resource: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(operator.fake, resource)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tokenpace.controller.loop.plan", fail)
    await operator.ticks()
    ready = operator.condition("Ready")
    assert (ready["status"], ready["reason"], "ZeroDivisionError" in ready["message"]) == (
        "False",
        "InternalError",
        True,
    )


async def test_an_operator_that_may_not_write_writes_nothing(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    operator.lease.granted = False
    await operator.ticks()
    assert operator.fake.calls == []


async def test_an_operator_that_loses_its_lease_in_the_middle_of_a_tick_writes_no_more(
    operator: Operator, resource: Any
) -> None:
    for name in ("one", "two"):
        declare(operator.fake, resource, name)

    async def lose(call: str) -> None:
        operator.lease.granted = operator.lease.granted and call.startswith("get")

    operator.fake.after = lose
    await operator.ticks()
    assert [call for call in operator.fake.calls if not call.startswith("get")] == ["apply deployments"]


async def test_a_tick_that_takes_long_is_a_sign_of_life_with_every_resource(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    moments: list[float] = []

    async def slow(_: str) -> None:
        moments.append(operator.loop.last_pass_monotonic_seconds)

    operator.fake.after = slow
    await operator.ticks()
    assert operator.loop.last_pass_monotonic_seconds > moments[0]


async def test_work_that_outlasts_a_tick_leaves_its_metrics_as_they_were_and_is_shown_when_it_ends(
    operator: Operator, resource: Any
) -> None:
    def desired() -> float | None:
        labels = {"namespace": "shop", "name": "chat", "variant": "q8"}
        return operator.metrics.registry.get_sample_value("tokenpace_desired_replicas", labels)

    answered = asyncio.Event()

    async def hang(_: str) -> None:
        await answered.wait()

    declare(operator.fake, resource)
    await operator.ticks(2)
    operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["scaling"] = {"minReplicas": 3}
    operator.loop._settings = operator.loop._settings.model_copy(update={"tick_seconds": 0.01})
    operator.fake.before = hang
    await operator.ticks(2)
    assert (desired(), operator.replicas()) == (1, 1)
    answered.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "work on uid-of-chat"))
    await operator.ticks()
    assert desired() == 3


async def test_a_resource_that_is_gone_or_cannot_be_served_has_no_metrics(operator: Operator, resource: Any) -> None:
    def names() -> set[str]:
        families = operator.metrics.registry.collect()
        return {sample.labels["name"] for family in families for sample in family.samples if "name" in sample.labels}

    for name in ("stays", "goes", "breaks"):
        declare(operator.fake, resource, name)
    await operator.ticks()
    assert names() == {"stays", "goes", "breaks"}
    del operator.fake.objects[LLM_DEPLOYMENTS, "shop", "goes"]
    operator.fake.objects[LLM_DEPLOYMENTS, "shop", "breaks"]["spec"]["slo"] = {}
    operator.fake.objects[LLM_DEPLOYMENTS, "shop", "breaks"]["spec"]["variants"] = []
    await operator.ticks()
    assert names() == {"stays"}


async def test_writes_that_are_refused_do_not_make_the_loop_tick_faster(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)

    async def refuse(call: str) -> None:
        if call.startswith(("create", "apply", "get")):
            raise ApiError(403, "Forbidden", "no")

    operator.fake.before = refuse
    await operator.ticks()
    operator.loop._on_change()
    assert not operator.loop._wanted.is_set()


async def test_a_write_that_was_done_makes_the_loop_look_again_at_once(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    await operator.ticks()
    operator.loop._on_change()
    assert operator.loop._wanted.is_set()


async def test_a_decision_that_is_not_carried_out_is_no_event(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource, annotations={PAUSED_ANNOTATION: "true"})
    await operator.ticks()
    assert [body["reason"] for key, body in operator.fake.objects.items() if key[0] == EVENTS] == []


async def test_a_change_of_replicas_is_an_event_and_counted(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    await operator.ticks()
    reasons = [body["reason"] for key, body in operator.fake.objects.items() if key[0] == EVENTS]
    counted = operator.metrics.registry.get_sample_value("tokenpace_decisions_total", {"reason": "Starting"})
    assert (reasons, counted) == (["Scaled"], 1)


async def test_what_was_remembered_of_a_spec_is_forgotten_when_it_cannot_be_read(
    operator: Operator, resource: Any
) -> None:
    body = declare(operator.fake, resource)
    await operator.ticks()
    body["spec"]["slo"] = {"generationTokensPerSecond": "fast"}
    operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["slo"] = body["spec"]["slo"]
    await operator.ticks()
    assert operator.loop._memories == {}


async def test_a_strangers_service_is_told_and_left_alone(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    stranger = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat", "namespace": "shop"},
        "spec": {"selector": {"app": "theirs"}},
    }
    await operator.fake.create(stranger)
    await operator.ticks()
    kept = operator.fake.objects[SERVICES, "shop", "chat"]["spec"]
    assert (operator.condition("Ready")["reason"], kept) == ("NameConflict", stranger["spec"])


async def test_an_operator_that_is_killed_at_any_write_is_followed_by_one_that_finishes(
    operator: Operator, resource: Any
) -> None:
    """The first operator is cut off after each of its writes in turn; the second one starts with nothing but status."""

    class Killed(BaseException):
        pass

    async def write_is_the_last(_: str) -> None:
        raise Killed

    declare(operator.fake, resource)
    for _ in range(20):
        operator.fake.after = write_is_the_last
        with pytest.raises(Killed):
            await Operator(operator.fake).ticks()
        operator.fake.after = _nothing
        if (
            "status" in operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
            and (operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"])
        ):
            break
    await Operator(operator.fake).ticks(2)
    names = sorted(f"{key[0].kind}/{key[2]}" for key in operator.fake.objects if key[0] != EVENTS)
    expected = ["Deployment/chat-q8", "LLMDeployment/chat", "PodDisruptionBudget/chat", "Service/chat"]
    assert (names, operator.replicas()) == (expected, 1)


async def _nothing(_: str) -> None:
    pass


async def test_an_api_server_that_refuses_a_write_is_asked_again_at_the_next_tick(
    operator: Operator, resource: Any
) -> None:
    declare(operator.fake, resource)

    async def refuse(call: str) -> None:
        if call.startswith("create"):
            raise ApiError(503, "ServiceUnavailable", "later")

    operator.fake.before = refuse
    await operator.ticks()
    operator.fake.before = _nothing
    await operator.ticks()
    assert operator.replicas() == 1


async def test_prometheus_is_asked_once_for_all_resources(operator: Operator, resource: Any) -> None:
    for name in ("one", "two", "three"):
        declare(operator.fake, resource, name)
    await operator.ticks()
    assert operator.prometheus.asked == [frozenset({EngineType.LLAMA_CPP})]


async def test_a_resource_that_is_gone_has_no_series_at_the_next_tick(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    await operator.ticks()
    del operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
    await operator.ticks()
    labels = {"namespace": "shop", "name": "chat", "variant": "q8"}
    assert operator.metrics.registry.get_sample_value("tokenpace_desired_replicas", labels) is None
