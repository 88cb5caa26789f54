"""Benchmarks of a fake server in the loop's own time: a token each five milliseconds, and no network between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from tokenpace.bench import measure, open_loop
from tokenpace.bench.arrivals import Poisson
from tokenpace.bench.errors import NotAnsweringError
from tokenpace.bench.measure import ATTEMPTS, Bench, Load, first_rate
from tokenpace.bench.stream import End, Request, Stream, completions
from tokenpace.bench.sweep import sweep

pytestmark = pytest.mark.looptime  # seconds of the loop, not of the wall

TOKEN_SECONDS = 0.005
LOAD = Load(
    endpoint=completions("chat"),
    schedule=Poisson(prompt_tokens=8, generated_tokens=20, spread=0.5),
    seed=1,
    completions=60,
    lone_requests=3,
    timeout_seconds=300,
)


@dataclass
class FakeServer:
    """Has so many seats, is slow to begin with, and fails the requests of given numbers, from 0 on."""

    seats: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(100))
    first_seconds: float = 0.0
    failing: range = range(0)
    asked: int = 0

    async def generate(self, _: aiohttp.ClientSession, request: Request, stream: Stream) -> None:
        loop, number = asyncio.get_running_loop(), self.asked
        self.asked += 1
        stream.sent_at = loop.time()
        if number in self.failing:
            stream.end = End.REFUSED
            return
        async with self.seats:
            await asyncio.sleep(0 if number else self.first_seconds)
            for _ in range(request.max_tokens):
                await asyncio.sleep(TOKEN_SECONDS)
                stream.saw(" word", loop.time())
        stream.prompt_tokens, stream.end = 12, End.COMPLETE


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as unused:
        yield unused


@pytest.fixture(autouse=True)
def _as_many_lone_requests_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LEAST_LONE_SECONDS", 0.0)


def bench_of(server: FakeServer, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for module in (measure, open_loop):
        monkeypatch.setattr(module, "generate", server.generate)
    return Bench(session, LOAD, lambda _: None)


async def test_a_sweep_of_a_server_with_two_seats_finds_that_it_is_full(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(FakeServer(seats=asyncio.Semaphore(2)), session, monkeypatch)
    await bench.lone()
    points = await sweep(bench.point, first_rate(bench.lone_seconds), bisections=0)
    assert [one.saturated for one in points] == [False, False, False, True]
    assert points[-1].generation_tokens_per_second == pytest.approx(2 / TOKEN_SECONDS, rel=0.02)


async def test_what_one_request_costs_only_the_first_time_is_not_measured(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone = await bench_of(FakeServer(first_seconds=1.0), session, monkeypatch).lone()
    assert lone.first_token_seconds.p99 == pytest.approx(TOKEN_SECONDS)
    assert lone.generated_tokens == 20


@pytest.mark.parametrize(("least_seconds", "requests"), [(0.0, 3), (10.0, 100)])
async def test_requests_on_their_own_go_on_for_as_many_and_as_long_as_they_shall(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, least_seconds: float, requests: int
) -> None:
    monkeypatch.setattr(measure, "LEAST_LONE_SECONDS", least_seconds)
    assert (await bench_of(FakeServer(), session, monkeypatch).lone()).requests == pytest.approx(requests, abs=1)


async def test_a_server_that_fails_for_a_while_is_waited_for(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer(failing=range(4, 4 + ATTEMPTS - 1))
    bench = bench_of(server, session, monkeypatch)
    await bench.lone()
    assert (await bench.point(5.0)).failed == 0


async def test_a_server_that_goes_on_failing_is_given_up(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(FakeServer(failing=range(4, 10**6)), session, monkeypatch)
    await bench.lone()
    with pytest.raises(NotAnsweringError, match="a request on its own failed: refused"):
        await bench.point(5.0)
