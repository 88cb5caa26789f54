"""Resources wait for their turn: others of the event loop run between them, and each is served as it is by then."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.api.names import PAUSED_ANNOTATION
from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS
from tokenpace.planning.plan import plan

Body = dict[str, Any]


async def test_other_tasks_run_between_resources_that_write_nothing(
    operator: Operator, resource: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Lease is renewed by one of them."""
    for number in range(64):
        declare(operator.fake, resource, f"chat-{number}")
    await operator.ticks(2)
    turns, planned_in = 0, Counter[int]()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def noted(*arguments: Any) -> Any:
        planned_in[turns] += 1
        return plan(*arguments)

    monkeypatch.setattr("tokenpace.controller.loop.plan", noted)
    other = asyncio.create_task(take_turns())
    await operator.ticks()
    other.cancel()
    assert (planned_in.total(), max(planned_in.values()) <= operator.loop._settings.concurrent_resources) == (64, True)


async def meanwhile(operator: Operator, resource: Any, happens: Callable[[], None]) -> None:
    """Tick while ``second`` waits for ``first``, in whose first write something happens."""
    operator.loop._gate = asyncio.Semaphore(1)
    for name in ("first", "second"):
        declare(operator.fake, resource, name)

    async def before(_: str) -> None:
        operator.fake.before = at_rest
        happens()

    operator.fake.before = before
    await operator.ticks()


async def at_rest(_: str) -> None:
    pass


def is_served(operator: Operator) -> bool:
    return (DEPLOYMENTS, "shop", "second-q8") in operator.fake.objects


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {PAUSED_ANNOTATION: "true"}},
        {"deletionTimestamp": "2026-11-23T08:00:00Z"},
        {"uid": "uid-of-a-namesake"},
    ],
)
async def test_what_was_paused_deleted_or_replaced_before_its_turn_is_left_alone(
    operator: Operator, resource: Any, metadata: Body
) -> None:
    def change() -> None:
        operator.fake.objects[LLM_DEPLOYMENTS, "shop", "second"]["metadata"] |= metadata

    await meanwhile(operator, resource, change)
    assert not is_served(operator)


async def test_what_is_gone_before_its_turn_is_left_alone(operator: Operator, resource: Any) -> None:
    await meanwhile(operator, resource, lambda: operator.fake.objects.pop((LLM_DEPLOYMENTS, "shop", "second")) and None)
    assert not is_served(operator)


async def test_what_another_operator_serves_by_now_is_left_to_it(
    operator: Operator, resource: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take() -> None:
        monkeypatch.setattr(operator.loop.mirrors, "served_by_another", lambda _: True)

    await meanwhile(operator, resource, take)
    assert not is_served(operator)


async def test_a_resource_is_served_by_the_spec_that_it_has_when_its_turn_comes(
    operator: Operator, resource: Any
) -> None:
    def raise_the_least() -> None:
        operator.fake.objects[LLM_DEPLOYMENTS, "shop", "second"]["spec"]["scaling"] = {"minReplicas": 3}

    await meanwhile(operator, resource, raise_the_least)
    assert operator.replicas("second") == 3
