"""The open loop: send each stream when it is due, whatever became of the others.

Arrivals are fixed before the first request is sent and wait for no answer, and first-token times count from the
scheduled arrival, not from the moment of sending: a stall of the server, of the connections or of this program
lengthens them and hides nothing (coordinated omission; Tene, How NOT to Measure Latency, 2013). Nothing is retried.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from tokenpace.bench.stream import Request, Stream, generate

CLOSING_SECONDS: Final = 0.05
"""Time for a server to close a connection after a stream, before the next stream may take it.

xllamacpp's server promises to keep a connection and closes it within 10 ms of a stream's end: a stream that took it
over at once would fail though nothing is wrong with the model.
"""

IDLE_SECONDS: Final = 10
"""A kept connection that was idle for so long is closed by the client, sooner than by any server that says farewell:
a request that is sent while the other side closes fails, whatever either of them does."""


def api_base(url: str) -> str:
    """Return what paths of OpenAI's API are relative to: a URL with a path as it is, else its `/v1`."""
    return url.rstrip("/") + ("/" if urlsplit(url).path.strip("/") else "/v1/")


def connections(url: str, kept: int | None = None, api_key: str | None = None) -> aiohttp.ClientSession:
    """Return a session: ``kept`` connections, or with None one of its own for each stream.

    Paths are relative to `api_base`. Nothing is limited here: `OpenLoop` lets no more than ``kept`` streams at them.
    """
    connector = (
        aiohttp.TCPConnector(limit=0, force_close=True)
        if kept is None
        else aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
    )
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    timeout = aiohttp.ClientTimeout(total=None)
    return aiohttp.ClientSession(api_base(url), headers=headers, connector=connector, timeout=timeout)


class OpenLoop:
    """Streams of one run: those under way, and those that have ended."""

    def __init__(
        self, session: aiohttp.ClientSession, *, kept: int | None = None, on_end: Callable[[Stream], None] | None = None
    ) -> None:
        """Take ``kept`` as `connections` was told; a stream for which none is free waits, its first-token time running.

        ``on_end`` is called with every stream that ends.
        """
        self.in_flight: set[Stream] = set()
        self.ended: list[Stream] = []
        self._session = session
        self._on_end = on_end
        self._stop = asyncio.Event()
        self._connection = nullcontext() if kept is None else asyncio.Semaphore(kept)

    def stop(self) -> None:
        """Let nothing more arrive; the streams in flight go on to their ends."""
        self._stop.set()

    async def run(self, due: Iterable[tuple[float, Request]], *, seconds: float, drain: bool = True) -> None:
        """Send requests for ``seconds``, each so long after the beginning as ``due`` says.

        Without ``drain`` the streams that are in flight at the end are cut, and stay in `in_flight`.
        """
        begin = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as streams:
            tasks: list[asyncio.Task[None]] = []
            for offset, request in due:
                if offset >= seconds or await self._stopped_before(begin + offset):
                    break
                tasks.append(streams.create_task(self._follow(request, Stream(scheduled_at=begin + offset))))
            await self._stopped_before(begin + seconds)
            for task in () if drain else tasks:
                task.cancel()

    async def _stopped_before(self, moment: float) -> bool:
        """Sleep until a moment of the loop's clock, or until told to stop."""
        try:
            async with asyncio.timeout_at(moment):
                return await self._stop.wait()
        except TimeoutError:
            return False

    async def _follow(self, request: Request, stream: Stream) -> None:
        self.in_flight.add(stream)
        async with self._connection:
            await generate(self._session, request, stream)
            self.in_flight.remove(stream)
            self.ended.append(stream)
            if self._on_end is not None:
                self._on_end(stream)
            await asyncio.sleep(CLOSING_SECONDS)
