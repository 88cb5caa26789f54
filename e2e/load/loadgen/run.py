"""One run of a profile: what is offered when, and what is reported as it goes."""

import asyncio
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loadgen.profile import Profile
from loadgen.report import Stretch, figures, stream_figures, totals
from tokenpace.bench.open_loop import OpenLoop, connections
from tokenpace.bench.prompts import prompt
from tokenpace.bench.stream import Endpoint, Request, Stream

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """One run.

    `keep_alive_connections` of None opens a connection for each stream; a number keeps so many, and a stream for which
    none is free waits, its first-token time running. `seed` fixes the arrivals; prompts differ in every run.
    """

    url: str
    endpoint: Endpoint
    profile: Profile
    prompt_tokens: int
    max_tokens: int
    timeout_seconds: float
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


class ProfileRun:
    """A profile offered to a model; what became of it is emitted line by line."""

    def __init__(self, settings: Settings, emit: Emit = print_line) -> None:
        self._settings = settings
        self._emit = emit
        self._loop: OpenLoop | None = None

    def stop(self) -> None:
        """Let nothing more arrive; the streams in flight go on to their ends."""
        if self._loop is not None:
            self._loop.stop()

    @property
    def ended(self) -> list[Stream]:
        """Every stream that has ended."""
        return [] if self._loop is None else self._loop.ended

    async def run(self) -> None:
        """Offer the profile, wait for the streams that are still in flight, and sum up."""
        kept, clock = self._settings.keep_alive_connections, asyncio.get_running_loop().time
        async with connections(self._settings.url, kept) as session, asyncio.TaskGroup() as reporting:
            loop = self._loop = OpenLoop(session, kept=kept, on_end=self._log)
            begin = clock()
            reporter = reporting.create_task(self._report(loop, begin))
            await loop.run(self._due(), seconds=self._settings.profile.seconds)
            reporter.cancel()
        whole = figures(loop.ended, loop.in_flight, Stretch(begin, clock()), self._settings.max_tokens, _tokens(loop))
        self._emit({"kind": "summary", **whole, **totals(loop.ended)})

    def _due(self) -> Iterator[tuple[float, Request]]:
        settings = self._settings
        arrivals = settings.profile.arrivals(
            tokens_per_stream=settings.max_tokens, randomness=random.Random(settings.seed)
        )
        for offset in arrivals:
            text = prompt(settings.prompt_tokens, random.Random())
            yield offset, Request(settings.endpoint, text, settings.max_tokens, settings.timeout_seconds)

    def _log(self, stream: Stream) -> None:
        if self._settings.log_streams:
            self._emit({"kind": "stream", **stream_figures(stream)})

    async def _report(self, loop: OpenLoop, begin: float) -> None:
        """Emit the figures of every `report_seconds`, until cancelled."""
        clock = asyncio.get_running_loop().time
        now, reported, tokens = begin, 0, 0
        while True:
            await asyncio.sleep(self._settings.report_seconds)
            stretch = Stretch(now, now := clock())
            ended, reported = loop.ended[reported:], len(loop.ended)
            served, tokens = _tokens(loop) - tokens, _tokens(loop)
            line = figures(ended, loop.in_flight, stretch, self._settings.max_tokens, served)
            target = self._settings.profile.rate_at(now - begin)
            self._emit({"kind": "interval", "target_tokens_per_second": target, **line})


def _tokens(loop: OpenLoop) -> int:
    """Tokens that have arrived since the beginning."""
    return sum(stream.tokens for stream in (*loop.ended, *loop.in_flight))
