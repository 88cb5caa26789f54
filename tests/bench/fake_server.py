"""A fake of an inference server, for every way in which a server can end a stream. It generates nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import web

TOKENS = 3
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Serve(Protocol):
    """Starts a server whose every path of generation, or one path, has one handler, and returns its URL."""

    async def __call__(self, handler: Handler, path: str | None = None) -> str: ...


async def answer(request: web.Request, tokens: int = TOKENS, *, end_mark: bool = True) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(tokens):
        await response.write(b"data: " + json.dumps({"choices": [{"text": f" {number}"}]}).encode() + b"\n\n")
    if end_mark:
        usage = {"choices": [], "usage": {"completion_tokens": tokens, "prompt_tokens": 5}}
        await response.write(b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n")
    return response


async def cut_connection(request: web.Request) -> web.StreamResponse:
    response = await answer(request, tokens=2, end_mark=False)
    request.transport.abort()
    return response


async def cut_before_the_headers(request: web.Request) -> web.StreamResponse:
    request.transport.abort()
    return web.Response()


async def no_end_mark(request: web.Request) -> web.StreamResponse:
    return await answer(request, end_mark=False)


async def one_token_less(request: web.Request) -> web.StreamResponse:
    return await answer(request, tokens=TOKENS - 1)


async def one_token_more(request: web.Request) -> web.StreamResponse:
    return await answer(request, tokens=TOKENS + 1)


async def busy(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "overloaded"}, status=503)


async def error_inside(request: web.Request) -> web.StreamResponse:
    response = await answer(request, tokens=1, end_mark=False)
    await response.write(b'data: {"error": {"message": "context full"}}\n\n')
    return response


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


@asynccontextmanager
async def servers() -> AsyncIterator[Serve]:
    """Give what starts servers on loopback; they stop with the context."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, path: str | None = None) -> str:
        app = web.Application()
        for each in ("/v1/completions", "/v1/chat/completions") if path is None else (path,):
            app.router.add_post(each, handler)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def models(_: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "chat", "owned_by": "somebody"}]})
