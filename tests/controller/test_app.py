"""The process: it is alive while it ticks, ends with any of its parts, and wakes for what matters."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import kopf
import pytest
from pydantic import ValidationError

from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.lease import Serves
from tokenpace.controller.app import Process, leases_of, register
from tokenpace.controller.settings import LeaseSettings, Settings


def process_with_tick_age(seconds: float, monkeypatch: pytest.MonkeyPatch) -> Process:
    process = Process(Settings(tick_seconds=10, liveness_ticks=6))
    process._loop = SimpleNamespace(last_pass_monotonic_seconds=1000.0)  # type: ignore[assignment]
    monkeypatch.setattr("time.monotonic", lambda: 1000.0 + seconds)
    return process


def test_a_process_that_ticks_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    process_with_tick_age(59, monkeypatch).check_alive()


def test_a_process_whose_ticks_stopped_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(kopf.PermanentError, match="61 s ago"):
        process_with_tick_age(61, monkeypatch).check_alive()


def test_every_operator_of_the_whole_cluster_asks_for_one_lease() -> None:
    (lease,) = leases_of(Settings(), cast("ApiClient", None))
    assert (lease._namespace, lease._serves) == ("kube-system", Serves.CLUSTER)


def test_an_operator_of_some_namespaces_asks_for_one_lease_in_each_in_an_order_that_all_share() -> None:
    chain = leases_of(Settings(namespaces=("shop", "lab", "shop")), cast("ApiClient", None))
    assert [(one._namespace, one._serves) for one in chain] == [("lab", Serves.NAMESPACE), ("shop", Serves.NAMESPACE)]
    assert [one._after for one in chain] == [None, chain[0]]


def test_an_operator_of_namespaces_does_not_take_the_lease_of_the_whole_cluster() -> None:
    with pytest.raises(ValidationError, match=r"namespaces contains ops, which is lease\.namespace"):
        Settings(namespaces=("shop", "ops"), lease=LeaseSettings(namespace="ops"))
    with pytest.raises(ValidationError, match="namespaces contains kube-system"):
        Settings(namespaces=("kube-system",))


async def test_the_process_ends_when_one_of_its_tasks_fails() -> None:
    process = Process(Settings())

    async def fail() -> None:
        raise OSError("no more sockets")

    process._spawn("mirror", fail())
    await asyncio.wait_for(process.ended.wait(), 5)
    assert isinstance(process.failure, OSError)


async def test_the_process_ends_when_one_of_its_tasks_just_ends() -> None:
    process = Process(Settings())

    async def end() -> None:
        pass

    process._spawn("loop", end())
    await asyncio.wait_for(process.ended.wait(), 5)
    assert "loop" in str(process.failure)


async def test_stopping_is_no_failure() -> None:
    process = Process(Settings())
    process._spawn("loop", asyncio.sleep(3600))
    await process.stop()
    assert process.failure is None


class Wakes(Process):
    """Counts how often the loop was woken."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.count = 0

    def wake(self) -> None:
        self.count += 1


Seen = Callable[..., Awaitable[None]]


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture
def seen(wakes: Wakes) -> Seen:
    """What kopf calls for every event of an LLMDeployment."""
    registry = kopf.OperatorRegistry()
    register(registry, wakes)
    (handler,) = registry._watching.get_all_handlers()
    call: Any = handler.fn
    return call  # type: ignore[no-any-return]


async def test_a_new_resource_wakes_the_loop(wakes: Wakes, seen: Seen) -> None:
    await seen(type="ADDED", uid="u", meta={"generation": 1})
    assert wakes.count == 1


async def test_a_status_write_wakes_nobody(wakes: Wakes, seen: Seen) -> None:
    await seen(type="ADDED", uid="u", meta={"generation": 1})
    await seen(type="MODIFIED", uid="u", meta={"generation": 1, "resourceVersion": "8"})
    assert wakes.count == 1


async def test_a_changed_spec_wakes_the_loop(wakes: Wakes, seen: Seen) -> None:
    await seen(type="ADDED", uid="u", meta={"generation": 1})
    await seen(type="MODIFIED", uid="u", meta={"generation": 2})
    assert wakes.count == 2


async def test_a_deletion_wakes_the_loop(wakes: Wakes, seen: Seen) -> None:
    await seen(type="ADDED", uid="u", meta={"generation": 1})
    await seen(type="MODIFIED", uid="u", meta={"generation": 1, "deletionTimestamp": "2026-11-23T08:00:00Z"})
    assert wakes.count == 2


def test_nothing_that_kopf_does_leaves_a_finalizer() -> None:
    """Timers, daemons and change handlers would: only events are watched."""
    registry = kopf.OperatorRegistry()
    register(registry, Process(Settings()))
    assert [*registry._spawning.get_all_handlers(), *registry._changing.get_all_handlers()] == []
