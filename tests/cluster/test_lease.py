import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import LEASES
from tokenpace.cluster.lease import LEASE_SECONDS, RENEW_SECONDS, WRITE_SECONDS, Lease

pytestmark = pytest.mark.looptime  # seconds of the loop, not of the wall

Fault = Callable[[str], Awaitable[None]]

_KEY = (LEASES, "ops", "tokenpace")


def _lease(fake: Any, identity: str) -> Lease:
    clock = asyncio.get_running_loop().time
    return Lease(fake, namespace="ops", identity=identity, clock=clock)


@asynccontextmanager
async def _running(lease: Lease) -> AsyncIterator[Lease]:
    task = asyncio.create_task(lease.run())
    try:
        yield lease
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _seconds_until(condition: Callable[[], bool], *, at_most: float) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began <= at_most, "the condition did not come true in time"
        await asyncio.sleep(0.1)
    return loop.time() - began


async def _hang(_: str) -> None:
    await asyncio.get_running_loop().create_future()


async def _no_fault(_: str) -> None:
    pass


async def _unavailable(_: str) -> None:
    raise ApiError(503, "ServiceUnavailable", "etcd has no leader")


async def test_nobody_may_write_before_the_first_renewal(fake: Any) -> None:
    assert not _lease(fake, "a").may_write()


async def test_the_first_operator_creates_the_lease_and_may_write(fake: Any) -> None:
    async with _running(_lease(fake, "a")) as lease:
        await _seconds_until(lease.may_write, at_most=1)
    assert fake.objects[_KEY]["spec"]["holderIdentity"] == "a"


async def test_the_second_operator_may_not_write_while_the_first_renews(fake: Any) -> None:
    async with _running(_lease(fake, "a")) as first:
        await _seconds_until(first.may_write, at_most=1)
        async with _running(_lease(fake, "b")) as second:
            for _ in range(100):
                await asyncio.sleep(1)
                assert (first.may_write(), second.may_write()) == (True, False)


@pytest.mark.parametrize("fault", [_hang, _unavailable])
async def test_an_operator_cut_off_stops_writing_after_seven_seconds(fake: Any, fault: Fault) -> None:
    async with _running(_lease(fake, "a")) as lease:
        await _seconds_until(lease.may_write, at_most=1)
        fake.before = fault
        stopped_after = await _seconds_until(lambda: not lease.may_write(), at_most=60)
    assert WRITE_SECONDS - RENEW_SECONDS <= stopped_after <= WRITE_SECONDS + 0.2


@pytest.mark.parametrize("fault", [_hang, _unavailable])
async def test_an_operator_cut_off_for_a_moment_goes_on_writing(fake: Any, fault: Fault) -> None:
    async with _running(_lease(fake, "a")) as lease:
        await _seconds_until(lease.may_write, at_most=1)
        fake.before = fault
        for _ in range(4):
            await asyncio.sleep(1)
            assert lease.may_write()
        fake.before = _no_fault
        for _ in range(20):
            await asyncio.sleep(1)
            assert lease.may_write()


async def test_the_lease_of_a_dead_operator_passes_on_only_after_it_had_to_stop_writing(fake: Any) -> None:
    first = _lease(fake, "a")
    async with _running(first):
        await _seconds_until(first.may_write, at_most=1)
    async with _running(_lease(fake, "b")) as second:
        taken_after = await _seconds_until(second.may_write, at_most=60)
    assert LEASE_SECONDS <= taken_after <= LEASE_SECONDS + RENEW_SECONDS + 0.2
    assert fake.objects[_KEY]["spec"]["leaseTransitions"] == 2


@pytest.mark.parametrize("seed", range(3))
async def test_at_no_moment_may_two_operators_write_whichever_is_cut_off(fake: Any, seed: int) -> None:
    chance = random.Random(seed)
    ways = [fake, fake.connection()]
    held = {"a": 0, "b": 0}
    async with _running(_lease(ways[0], "a")) as first, _running(_lease(ways[1], "b")) as second:
        for _ in range(100):
            for way in ways:
                way.before = chance.choice([_hang, _unavailable, _no_fault, _no_fault])
                way.after = chance.choice([_hang, _no_fault, _no_fault])
            for _ in range(chance.randint(1, 200)):
                await asyncio.sleep(0.1)
                assert not (first.may_write() and second.may_write())
            held["a"] += first.may_write()
            held["b"] += second.may_write()
    assert all(held.values()), "the faults must make the lease change hands"


async def test_a_restarted_operator_takes_its_own_lease_back_at_once(fake: Any) -> None:
    async with _running(_lease(fake, "pod-1")) as killed:
        await _seconds_until(killed.may_write, at_most=1)
    async with _running(_lease(fake, "pod-1")) as restarted:
        assert await _seconds_until(restarted.may_write, at_most=60) < 1


async def test_a_released_lease_is_taken_at_the_next_look(fake: Any) -> None:
    async with _running(_lease(fake, "a")) as first:
        await _seconds_until(first.may_write, at_most=1)
    await first.release()
    assert not first.may_write()
    async with _running(_lease(fake, "b")) as second:
        assert await _seconds_until(second.may_write, at_most=60) < 1


async def test_a_release_leaves_the_lease_of_another_operator_alone(fake: Any) -> None:
    async with _running(_lease(fake, "a")) as first:
        await _seconds_until(first.may_write, at_most=1)
    async with _running(_lease(fake, "b")) as second:
        await _seconds_until(second.may_write, at_most=60)
        await first.release()
        assert fake.objects[_KEY]["spec"]["holderIdentity"] == "b"


@pytest.mark.parametrize("fault", [_hang, _unavailable])
async def test_a_release_that_fails_ends_without_an_error(fake: Any, fault: Fault) -> None:
    async with _running(_lease(fake, "a")) as lease:
        await _seconds_until(lease.may_write, at_most=1)
    fake.before = fault
    await lease.release()
    assert not lease.may_write()


async def test_a_renewal_whose_answer_is_lost_does_not_count(fake: Any) -> None:
    """The record says that we hold the lease and we do not know it: that only makes the others wait longer."""

    async def loses_answers_of_writes(call: str) -> None:
        if call.startswith("patch"):
            await _unavailable(call)

    async with _running(_lease(fake, "a")) as lease:
        await _seconds_until(lease.may_write, at_most=1)
        fake.after = loses_answers_of_writes
        await _seconds_until(lambda: not lease.may_write(), at_most=60)


def _chain(fake: Any, identity: str, *namespaces: str) -> list[Lease]:
    clock = asyncio.get_running_loop().time
    chain: list[Lease] = []
    for namespace in namespaces:
        after = chain[-1] if chain else None
        chain.append(Lease(fake, namespace=namespace, identity=identity, after=after, clock=clock))
    return chain


@asynccontextmanager
async def _running_chain(chain: list[Lease]) -> AsyncIterator[Lease]:
    """Run all of a chain, and give the one that says whether its holder may write."""
    async with AsyncExitStack() as stack:
        for lease in chain:
            await stack.enter_async_context(_running(lease))
        yield chain[-1]


async def test_who_shares_one_namespace_of_several_stands_by_in_all_of_them(fake: Any) -> None:
    async with _running_chain(_chain(fake, "a", "lab", "shop")) as first:
        await _seconds_until(first.may_write, at_most=10)
        async with _running_chain(_chain(fake, "b", "shop", "web")) as second:
            for _ in range(60):
                await asyncio.sleep(1)
                assert (first.may_write(), second.may_write()) == (True, False)
    assert (LEASES, "web", "tokenpace") not in fake.objects, "what is not needed yet keeps nobody out"


async def test_two_chains_never_wait_for_one_another(fake: Any) -> None:
    chains = [_chain(fake, "a", "lab", "shop"), _chain(fake.connection(), "b", "lab", "shop")]
    async with _running_chain(chains[0]) as first, _running_chain(chains[1]) as second:
        await _seconds_until(lambda: first.may_write() or second.may_write(), at_most=10)


async def test_who_loses_the_first_of_a_chain_gives_up_the_rest(fake: Any) -> None:
    first = _chain(fake, "a", "lab", "shop")
    async with _running_chain(first) as right:
        await _seconds_until(right.may_write, at_most=10)
        await first[0].release()
        fake.objects[LEASES, "lab", "tokenpace"]["spec"]["holderIdentity"] = "stranger"
        await _seconds_until(lambda: not right.may_write(), at_most=3)
        async with _running(_lease_in(fake, "shop", "b")) as second:
            await _seconds_until(second.may_write, at_most=2 * LEASE_SECONDS)


def _lease_in(fake: Any, namespace: str, identity: str) -> Lease:
    return Lease(fake, namespace=namespace, identity=identity, clock=asyncio.get_running_loop().time)


async def test_who_stands_by_says_once_whom_it_waits_for(fake: Any) -> None:
    async with _running(_lease(fake, "blue/pod-1")) as first:
        await _seconds_until(first.may_write, at_most=1)
        with capture_logs() as logs:
            async with _running(_lease(fake, "green/pod-1")):
                await asyncio.sleep(60)
    told = [(one["event"], one["lease"], one["holder"]) for one in logs if "holder" in one]
    assert told == [("standing by while another operator works", "ops/tokenpace", "blue/pod-1")]
