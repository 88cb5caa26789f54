"""The open loop: send each stream when it is due, whatever became of the others, and report as it goes."""

import asyncio
import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from loadgen.profile import Profile
from loadgen.prompts import prompt
from loadgen.report import Stretch, figures, stream_figures, totals
from loadgen.stream import Request, Stream, generate

CLOSING_SECONDS = 0.05
"""Time for a server to close a connection after a stream, before the next stream may take it.

xllamacpp's server promises to keep a connection and closes it within 10 ms of a stream's end: a stream that took it
over at once would fail though nothing is wrong with the model.
"""

IDLE_SECONDS = 10
"""A kept connection that was idle for so long is closed by the client, sooner than by any server that says farewell:
a request that is sent while the other side closes fails, whatever either of them does."""

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """One run.

    `keep_alive_connections` of None opens a connection for each stream; a number keeps so many, and a stream for which
    none is free waits, its first-token time running. `seed` fixes the arrivals; prompts differ in every run.
    """

    url: str
    request: Request
    profile: Profile
    prompt_tokens: int
    keep_alive_connections: int | None
    seed: int
    report_seconds: float
    log_streams: bool


def print_line(record: dict[str, Any]) -> None:
    """One JSON line on standard output, with the time of day in front and numbers to a tenth of a millisecond."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stdout.write(json.dumps(_rounded({"at": at, **record})) + "\n")
    sys.stdout.flush()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


class OpenLoop:
    """One run of a profile; `in_flight` and `ended` hold all its streams."""

    def __init__(self, settings: Settings, emit: Emit = print_line) -> None:
        self.in_flight: set[Stream] = set()
        self.ended: list[Stream] = []
        self._settings = settings
        self._emit = emit
        self._stop = asyncio.Event()
        connections = settings.keep_alive_connections
        self._connection = nullcontext() if connections is None else asyncio.Semaphore(connections)

    def stop(self) -> None:
        """Let nothing more arrive; the streams in flight go on to their ends."""
        self._stop.set()

    async def run(self) -> None:
        """Offer the profile, wait for the streams that are still in flight, and sum up."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        async with self._session() as session, asyncio.TaskGroup() as reporting:
            reporter = reporting.create_task(self._report(begin))
            async with asyncio.TaskGroup() as streams:
                for offset in self._arrivals():
                    if await self._stopped_before(begin + offset):
                        break
                    streams.create_task(self._follow(session, Stream(scheduled_at=begin + offset)))
                await self._stopped_before(begin + self._settings.profile.seconds)
            reporter.cancel()
        whole = figures(
            self.ended, self.in_flight, Stretch(begin, clock()), self._settings.request.max_tokens, self._tokens()
        )
        self._emit({"kind": "summary", **whole, **totals(self.ended)})

    def _session(self) -> aiohttp.ClientSession:
        fresh = self._settings.keep_alive_connections is None
        # Not limited here but by our own semaphore.
        connector = (
            aiohttp.TCPConnector(limit=0, force_close=True)
            if fresh
            else aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
        )
        return aiohttp.ClientSession(self._settings.url, connector=connector, timeout=aiohttp.ClientTimeout(total=None))

    def _arrivals(self) -> Iterator[float]:
        return self._settings.profile.arrivals(
            tokens_per_stream=self._settings.request.max_tokens, randomness=random.Random(self._settings.seed)
        )

    async def _stopped_before(self, moment: float) -> bool:
        """Sleep until a moment of the loop's clock, or until told to stop."""
        try:
            async with asyncio.timeout_at(moment):
                return await self._stop.wait()
        except TimeoutError:
            return False

    async def _follow(self, session: aiohttp.ClientSession, stream: Stream) -> None:
        text = prompt(self._settings.prompt_tokens, random.Random())
        self.in_flight.add(stream)
        async with self._connection:
            await generate(session, self._settings.request, text, stream)
            self.in_flight.remove(stream)
            self.ended.append(stream)
            if self._settings.log_streams:
                self._emit({"kind": "stream", **stream_figures(stream)})
            await asyncio.sleep(CLOSING_SECONDS)

    async def _report(self, begin: float) -> None:
        """Emit the figures of every `report_seconds`, until cancelled."""
        clock = asyncio.get_running_loop().time
        now, reported, tokens = begin, 0, 0
        while True:
            await asyncio.sleep(self._settings.report_seconds)
            stretch = Stretch(now, now := clock())
            ended, reported = self.ended[reported:], len(self.ended)
            served, tokens = self._tokens() - tokens, self._tokens()
            line = figures(ended, self.in_flight, stretch, self._settings.request.max_tokens, served)
            target = self._settings.profile.rate_at(now - begin)
            self._emit({"kind": "interval", "target_tokens_per_second": target, **line})

    def _tokens(self) -> int:
        """Tokens that have arrived since the beginning."""
        return sum(stream.tokens for stream in (*self.ended, *self.in_flight))
