"""Start llama.cpp's server, serve TGI's API in front of it, drain on SIGTERM."""

import asyncio
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from e2e.tgi.api import Api
from e2e.tgi.engine import Engine, Properties
from e2e.tgi.exposition import Exposition
from e2e.tgi.flags import parse_flags, weights
from e2e.tgi.llama_server import llama_server
from e2e.tgi.request import Limits
from e2e.tgi.router import Router

HEALTH_SECONDS = 0.1
"""Between two questions whether the model is loaded, or connections are closed."""
FAREWELL_SECONDS = 30
"""For so long kept connections stay open after SIGTERM, each until its next answer, which tells the client to close it.
Longer than a stream of this model and the time together after which clients close an idle connection themselves.
TGI closes an idle one at once, and a request that is on its way to it fails: in a pod of an eighth of a CPU, which may
stand still for 0.1 s, that is one in some switches."""


async def main(flags: Namespace) -> str | None:
    """Serve until a signal comes: None, or why the server ends of itself."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if flags.engine_url:
        return await _serve(flags, flags.engine_url, stop.wait(), asyncio.Event().wait())
    try:
        file = weights(flags.model_id, flags.quantize)
    except FileNotFoundError as error:
        return str(error)
    async with llama_server(
        flags.engine_program, file, slots=flags.max_batch_size, context_tokens=flags.max_total_tokens or 0
    ) as engine:
        return await _serve(flags, engine.url, stop.wait(), engine.process.wait())


async def _serve(flags: Namespace, url: str, stopped: Awaitable[object], ended: Awaitable[object]) -> str | None:
    """Listen as soon as the model is loaded, as TGI does; on `stopped` finish what runs, and take nothing more."""
    stopping, ending = asyncio.ensure_future(stopped), asyncio.ensure_future(ended)
    async with Engine(url) as engine:
        while not await engine.is_healthy():
            done, _ = await asyncio.wait(
                {stopping, ending}, timeout=HEALTH_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return None if stopping in done else "llama-server ended before its model was loaded"
        async with listening(flags, engine, farewell_seconds=FAREWELL_SECONDS):
            done, _ = await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        return None if stopping in done else "llama-server ended"


@asynccontextmanager
async def listening(flags: Namespace, engine: Engine, *, farewell_seconds: float = 0.0) -> AsyncIterator[int]:
    """Serve on a port while the block runs; at its end take nothing more and wait for the requests that run.

    Clients have `farewell_seconds` to close the connections that they keep, of which each answer asks them then.
    """
    limits = limits_of(flags, await engine.properties())
    exposition = Exposition(max_input_tokens=limits.max_input_tokens, max_total_tokens=limits.max_total_tokens)
    api = Api(Router(engine, limits, exposition), information(flags, limits))
    application, stopping = api.application(), asyncio.Event()

    async def ask_to_close(_: web.Request, response: web.StreamResponse) -> None:
        if stopping.is_set():
            response.force_close()
            response.headers["Connection"] = "close"

    application.on_response_prepare.append(ask_to_close)
    # A client that leaves cancels its request.
    runner = web.AppRunner(
        application,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=flags.graceful_termination_timeout,
    )
    await runner.setup()
    site = web.TCPSite(runner, flags.hostname, flags.port)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        stopping.set()
        await site.stop()
        await _until_closed(runner, farewell_seconds)
        await runner.cleanup()


async def _until_closed(runner: web.AppRunner, longest_seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_seconds):
            while runner.server and runner.server.connections:  # noqa: ASYNC110 - aiohttp tells nobody when one closes
                await asyncio.sleep(HEALTH_SECONDS)


def limits_of(flags: Namespace, engine: Properties) -> Limits:
    """What flags leave open is as large as the engine's context."""
    total = flags.max_total_tokens or engine.context_tokens
    return Limits(
        max_concurrent_requests=flags.max_concurrent_requests,
        max_input_tokens=flags.max_input_tokens or total - 1,
        max_total_tokens=total,
        max_stop_sequences=flags.max_stop_sequences,
        slots=engine.slots,
    )


def information(flags: Namespace, limits: Limits) -> dict[str, Any]:
    """The answer to /info: TGI's fields, and under `router` what this server is."""
    return {
        "model_id": flags.model_id,
        "model_sha": None,
        "model_pipeline_tag": None,
        "max_concurrent_requests": limits.max_concurrent_requests,
        "max_best_of": flags.max_best_of,
        "max_stop_sequences": limits.max_stop_sequences,
        "max_input_tokens": limits.max_input_tokens,
        "max_total_tokens": limits.max_total_tokens,
        "validation_workers": flags.validation_workers,
        "max_client_batch_size": flags.max_client_batch_size,
        "router": "tgi-over-llama-cpp",
        "version": "3.3.6",
        "sha": None,
        "docker_label": None,
    }


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse_flags(sys.argv[1:], os.environ))))
