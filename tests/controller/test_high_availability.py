"""Two operators: one that writes, and one that takes over; and two that both write for a while, which does no harm."""

import asyncio
import copy
import random
from typing import Any

import pytest
from aiohttp import web
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, EVENTS, LLM_DEPLOYMENTS, SERVICES

pytestmark = pytest.mark.looptime

TAKEOVER_SECONDS = 15.0


def declare(server: HttpApiServer, resource: dict[str, Any], name: str = "chat", replicas: int = 1) -> None:
    body = copy.deepcopy(server.fake.objects.get((LLM_DEPLOYMENTS, "shop", name), resource))
    generation = body["metadata"].get("generation", 0) + 1
    body["metadata"] |= {"name": name, "uid": f"uid-of-{name}", "generation": generation}
    body["metadata"]["creationTimestamp"] = "2026-11-23T08:00:00Z"
    body["spec"] |= {"scaling": {"mode": "Manual"}, "replicas": replicas, "variants": body["spec"]["variants"][:1]}
    server.declare(body)


def replicas(server: HttpApiServer, name: str = "chat") -> int | None:
    body = server.fake.objects.get((DEPLOYMENTS, "shop", f"{name}-q8"))
    return None if body is None else body["spec"]["replicas"]


async def test_after_a_sigkill_the_other_carries_out_what_is_declared_within_fifteen_seconds(
    server: HttpApiServer, resource: Any
) -> None:
    """Counted to the write, not to the Lease: killed at ten moments of the renewal's two seconds."""
    for moment in range(10):
        server.fake.objects.clear()
        declare(server, resource)
        async with running(server, "a") as first:
            await seconds_until(lambda: replicas(server) == 1)
            async with running(server, "b"):
                await asyncio.sleep(5 + 0.2 * moment)
                await first.kill()
                declare(server, resource, replicas=3)
                assert await seconds_until(lambda: replicas(server) == 3) < TAKEOVER_SECONDS


async def test_an_operator_cut_off_from_the_api_server_is_replaced_within_fifteen_seconds(
    server: HttpApiServer, resource: Any
) -> None:
    """It hears nothing any more, not even that its connections are gone, and writes nothing when it comes back."""
    declare(server, resource)
    async with running(server, "a") as first:
        await seconds_until(lambda: replicas(server) == 1)
        async with running(server, "b", port=server.other_port) as second:
            await asyncio.sleep(5)
            server.cut_off.add(server.port)
            declare(server, resource, replicas=3)
            assert await seconds_until(lambda: replicas(server) == 3) < TAKEOVER_SECONDS
            assert not first.lease.may_write()
            server.cut_off.clear()
            for _ in range(60):
                await asyncio.sleep(1)
                assert (first.lease.may_write(), second.lease.may_write()) == (False, True)


async def test_a_lease_that_is_given_back_is_taken_within_three_seconds(server: HttpApiServer, resource: Any) -> None:
    declare(server, resource)
    async with running(server, "a") as first:
        await seconds_until(lambda: replicas(server) == 1)
        async with running(server, "b") as second:
            await asyncio.sleep(5)
            await first.end()
            assert await seconds_until(second.lease.may_write) < 3


@pytest.mark.parametrize("seed", range(5))
async def test_two_operators_that_both_write_come_to_what_is_declared_and_no_bound_is_passed(
    server: HttpApiServer, resource: Any, seed: int
) -> None:
    """The Lease is not asked, so that both write at every tick; each call takes its own, random time."""
    chance = random.Random(seed)
    seen: list[int] = []

    async def slow(_: web.Request) -> None:
        seen.extend(count for name in "xyz" if (count := replicas(server, name)) is not None)
        await asyncio.sleep(chance.uniform(0, 2))

    server.fault = slow
    async with running(server, "a", leased=False), running(server, "b", leased=False):
        for wanted in (2, 5, 1, 3):
            for name in "xyz":
                declare(server, resource, name, replicas=wanted)
            await seconds_until(lambda: all(replicas(server, name) == wanted for name in "xyz"))  # noqa: B023
            await asyncio.sleep(30)
            assert [replicas(server, name) for name in "xyz"] == [wanted] * 3
    assert max(seen) <= 5
    made = [key for key in server.fake.objects if key[0] in {DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS}]
    assert len(made) == 9


async def test_two_operators_that_both_write_do_no_change_twice(server: HttpApiServer, resource: Any) -> None:
    """Each size is set once: of two that read the same version, only one is taken."""
    sizes: list[int] = []
    store = server.fake._store

    def counted(key: Any, body: Any) -> Any:
        if key[0] == DEPLOYMENTS and sizes[-1:] != [body["spec"]["replicas"]]:
            sizes.append(body["spec"]["replicas"])
        return store(key, body)

    server.fake._store = counted
    async with running(server, "a", leased=False), running(server, "b", leased=False):
        for wanted in (1, 4, 2):
            declare(server, resource, replicas=wanted)
            await asyncio.sleep(60)
    assert sizes == [0, 1, 4, 2]
    told = [body["message"] for key, body in server.fake.objects.items() if key[0] == EVENTS]
    assert len([one for one in told if "replicas." in one]) == 3


async def test_an_operator_of_the_whole_cluster_leaves_a_namespace_to_its_own_operator(
    server: HttpApiServer, resource: Any
) -> None:
    """It takes it back when that operator is gone: at once where it gave its Lease back, else a minute later."""
    declare(server, resource)
    async with running(server, "of-all") as everywhere:
        await seconds_until(lambda: replicas(server) == 1)
        async with running(server, "of-shop", namespaces=("shop",)) as own:
            await seconds_until(own.lease.may_write)
            await asyncio.sleep(15)
            await own.end()
            declare(server, resource, replicas=2)
            assert await seconds_until(lambda: replicas(server) == 2) < TAKEOVER_SECONDS
        async with running(server, "of-shop", namespaces=("shop",)) as own:
            await seconds_until(own.lease.may_write)
            await asyncio.sleep(15)
            await own.kill()
            declare(server, resource, replicas=3)
            assert 45 < await seconds_until(lambda: replicas(server) == 3) < 75
        assert everywhere.lease.may_write()


async def test_beside_the_operator_of_a_namespace_that_of_the_whole_cluster_serves_the_others(
    server: HttpApiServer, resource: Any
) -> None:
    declare(server, resource)
    async with running(server, "of-lab", namespaces=("lab",)) as own:
        await seconds_until(own.lease.may_write)
        async with running(server, "of-all"):
            assert await seconds_until(lambda: replicas(server) == 1) < TAKEOVER_SECONDS
