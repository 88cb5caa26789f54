"""One benchmark: the requests on their own first, then one rate after the other."""

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from tokenpace.bench.arrivals import Schedule
from tokenpace.bench.errors import BenchError, NotAnsweringError
from tokenpace.bench.fit import Row, crowd_rows, lone_rows
from tokenpace.bench.open_loop import OpenLoop
from tokenpace.bench.point import SERVED, Window, distribution, point
from tokenpace.bench.prompts import prompt
from tokenpace.bench.result import Lone, Point
from tokenpace.bench.stream import Endpoint, Request, Stream, generate

WARM_UP_SHARE: Final = 0.25
"""Of each point's time, before it: arrivals that fill the server to the level of the point and are left out."""
WARM_UP_REQUESTS: Final = 2.0
"""The least, in times of a request on its own: the first streams would else meet an empty server."""
LEAST_SECONDS: Final = 5.0
"""Of a point. Chunks come in bursts of up to a tenth of a second from a server whose CPU is limited."""
LEAST_LONE_SECONDS: Final = 10.0
"""Of the requests on their own, with 10 requests at least by default: both are LLM-Perf's."""
ATTEMPTS: Final = 4
PAUSE_SECONDS: Final = 5.0
"""Between two attempts. Together they are more than the ten seconds that a container takes which is begun again."""
FIRST_STREAMS: Final = 0.5
"""Mean streams of the sweep's first point, were each as fast as on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent."""

    endpoint: Endpoint
    schedule: Schedule
    seed: int
    completions: int
    """Of each point, at the rate that it is offered."""
    lone_requests: int
    timeout_seconds: float

    def request(self, prompt_tokens: int, generated_tokens: int, randomness: random.Random) -> Request:
        """Return a request with a prompt that no cache has seen."""
        return Request(self.endpoint, prompt(prompt_tokens, randomness), generated_tokens, self.timeout_seconds)


class Bench:
    """Measures one server; `rows` are what the costs are fitted to, in the order of their times."""

    def __init__(self, session: aiohttp.ClientSession, load: Load, say: Callable[[str], None]) -> None:
        self.rows: list[Row] = []
        self.characters_per_token = 0.0
        self.lone_seconds = 0.0
        self._lone_first_token_seconds = 0.0
        self._session = session
        self._load = load
        self._say = say
        # Prompts differ in every run, whatever the seed: a server that served the last one may still know its prompts.
        self._prompts = random.Random()

    async def lone(self) -> Lone:
        """Send one request after the other, the first of them unmeasured: it pays for what servers do but once.

        Raises:
            BenchError: one failed, or the server counts no tokens.
        """
        await self._alone()
        now, streams = asyncio.get_running_loop().time, list[Stream]()
        enough_at = now() + LEAST_LONE_SECONDS
        while len(streams) < self._load.lone_requests or now() < enough_at:
            streams.append(await self._alone())
        self.rows += lone_rows(streams)
        tokens = sum(stream.tokens for stream in streams)
        self.characters_per_token = sum(stream.characters for stream in streams) / tokens
        first, per_token = (
            distribution(stream.first_token_seconds for stream in streams),
            distribution(stream.seconds_per_token for stream in streams),
        )
        prompt_tokens = sum(stream.prompt_tokens or 0 for stream in streams) / len(streams)
        if first is None or per_token is None:
            raise BenchError("--generated-tokens: the answers have no second token: ask for 2 or more")
        self._lone_first_token_seconds = first.p50
        self.lone_seconds = first.p50 + per_token.p50 * (tokens / len(streams) - 1)
        self._say(f"alone: first token {first.p50:.3g} s, {1 / per_token.p50:.3g} tokens/s")
        return Lone(
            requests=len(streams),
            prompt_tokens=prompt_tokens,
            generated_tokens=tokens / len(streams),
            first_token_seconds=first,
            seconds_per_token=per_token,
            prefill_tokens_per_second=prompt_tokens / first.p50,
            decode_tokens_per_second=1 / per_token.p50,
        )

    async def point(self, rate: float) -> Point:
        """Offer a rate until its time is over and, unless it was too much, those that were due in it have ended.

        Arrivals go on as long as any of them is in flight, so that the last ones do not have the server to themselves.
        Streams that are left then are cut.

        Raises:
            NotAnsweringError: the server is not up to another point.
        """
        await self._rested()
        load = self._load
        seconds = max(load.completions / rate, LEAST_SECONDS)
        warm_up = max(WARM_UP_SHARE * seconds, WARM_UP_REQUESTS * self.lone_seconds)
        loop = OpenLoop(self._session)
        begin = asyncio.get_running_loop().time()
        window = Window(begin + warm_up, begin + warm_up + seconds)
        async with asyncio.TaskGroup() as running:
            running.create_task(loop.run(self._due(rate), seconds=math.inf, drain=False))
            await asyncio.sleep(warm_up + seconds)
            await _ended(loop, window, patience_seconds=seconds)
            loop.stop()
        streams = [*loop.ended, *loop.in_flight]
        measured = point(
            streams,
            window,
            warm_up_seconds=warm_up,
            offered_requests_per_second=rate,
            lone_first_token_seconds=self._lone_first_token_seconds,
        )
        if measured.refused is None:
            self.rows += crowd_rows(streams)
        self._say(_line(measured))
        return measured

    async def _rested(self) -> None:
        """Wait until the server answers a request on its own: what the last point left on it is then worked off.

        Raises:
            NotAnsweringError: it failed `ATTEMPTS` times.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._alone()
            except BenchError as error:
                self._say(f"after a point, {error}")
                if attempt == ATTEMPTS:
                    raise NotAnsweringError(str(error)) from error
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    def _due(self, rate: float) -> Iterator[tuple[float, Request]]:
        """Yield what is due; the seed and the rate fix the arrivals."""
        randomness = random.Random(f"{self._load.seed} {rate}")
        for arrival in self._load.schedule.arrivals(rate, randomness):
            yield (
                arrival.at_seconds,
                self._load.request(arrival.prompt_tokens, arrival.generated_tokens, self._prompts),
            )

    async def _alone(self) -> Stream:
        load = self._load
        stream = Stream(scheduled_at=asyncio.get_running_loop().time())
        await generate(
            self._session,
            load.request(load.schedule.prompt_tokens, load.schedule.generated_tokens, self._prompts),
            stream,
        )
        if stream.end not in SERVED or not stream.tokens:
            raise BenchError(f"a request on its own failed: {stream.end}: {stream.detail or 'no token came'}")
        if stream.prompt_tokens is None:
            raise BenchError("the server does not count prompt tokens (`usage` of the last chunk): try another --api")
        return stream


async def _ended(loop: OpenLoop, window: Window, *, patience_seconds: float) -> None:
    """Wait until every stream that was due in the window has ended; what takes longer than the window is saturation."""

    async def all_ended() -> None:
        while any(stream.scheduled_at in window for stream in loop.in_flight):  # noqa: ASYNC110 (ends are not events)
            await asyncio.sleep(0.02)

    try:
        async with asyncio.timeout(patience_seconds):
            await all_ended()
    except TimeoutError:
        return


def _line(one: Point) -> str:
    rate = f"{one.offered_requests_per_second:.3g} requests/s"
    if one.refused is not None:
        return f"{rate}: refused: {one.refused}"
    full = ", saturated" if one.saturated else ""
    return f"{rate}: {one.generation_tokens_per_second:.3g} tokens/s of {one.streams:.3g} streams{full}"


def first_rate(lone_seconds: float) -> float:
    """Return the rate of the sweep's first point, in requests a second."""
    return FIRST_STREAMS / lone_seconds


def characters_per_token(points: Sequence[Point], alone: float) -> float:
    """Return characters by generated token, of the point with most tokens; that of the lone requests without one."""
    known = [
        (one.generation_tokens_per_second, one.characters_per_second)
        for one in points
        if one.generation_tokens_per_second and one.characters_per_second
    ]
    tokens, characters = max(known, default=(1.0, alone))
    return characters / tokens
