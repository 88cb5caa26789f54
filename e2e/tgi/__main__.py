"""Start llama.cpp's server, serve TGI's API in front of it, drain on SIGTERM."""

import asyncio
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
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
"""Between two questions whether the model is loaded."""


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
        async with listening(flags, engine):
            done, _ = await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        return None if stopping in done else "llama-server ended"


@asynccontextmanager
async def listening(flags: Namespace, engine: Engine) -> AsyncIterator[int]:
    """Serve on a port while the block runs; at its end take nothing more and wait for the requests that run."""
    limits = limits_of(flags, await engine.properties())
    exposition = Exposition(max_input_tokens=limits.max_input_tokens, max_total_tokens=limits.max_total_tokens)
    api = Api(Router(engine, limits, exposition), information(flags, limits))
    # A client that leaves cancels its request.
    runner = web.AppRunner(
        api.application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=flags.graceful_termination_timeout,
    )
    await runner.setup()
    await web.TCPSite(runner, flags.hostname, flags.port).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


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
