"""A server on loopback that ends generations in every way."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tokenpace.engines.engine import GenerationApi
from tokenpace.probing.question import Question

Reply = Callable[[web.StreamResponse], Awaitable[None]]

PATHS = {GenerationApi.COMPLETIONS: "/v1/completions", GenerationApi.TEXT_GENERATION: "/"}


class Server:
    """An inference server that does as it is told. It speaks both APIs, one at each test."""

    def __init__(self, api: GenerationApi) -> None:
        self.api = api
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.status = 200
        self.text = ""
        self.reply: Reply = self.generation()
        self.info: dict[str, Any] | None = {"model_id": "model", "max_total_tokens": 512}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers = dict(request.headers)
        if self.status != 200:
            return web.Response(status=self.status, text=self.text, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self.reply(response)
        return response

    async def answer_info(self, _: web.Request) -> web.Response:
        return web.Response(status=404) if self.info is None else web.json_response(self.info)

    def generation(self, tokens: int = 8, reason: str | None = "length", pause_seconds: float = 0.0) -> Reply:
        """Stream this many tokens, and end for this reason."""

        async def reply(response: web.StreamResponse) -> None:
            for number in range(1, tokens + 1):
                await response.write(event(self.token(number, reason if number == tokens else None)))
                await asyncio.sleep(pause_seconds)

        return reply

    def token(self, number: int, reason: str | None) -> dict[str, Any]:
        if self.api is GenerationApi.COMPLETIONS:
            return {"choices": [{"text": f" {number}", "finish_reason": reason}]}
        token = {"id": number, "text": f" {number}", "logprob": -0.1, "special": False}
        details = {"finish_reason": reason, "generated_tokens": number, "input_length": 9, "seed": None}
        return {"index": number, "token": token, "details": details if reason else None}


def event(body: Any) -> bytes:
    """Return one server-sent event."""
    return f"data: {json.dumps(body)}\n\n".encode()


@pytest.fixture(params=list(GenerationApi))
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Every server in turn: what a canary shows must not depend on the API."""
    one = Server(request.param)
    application = web.Application()
    application.router.add_post(PATHS[one.api], one.answer)
    application.router.add_get("/info", one.answer_info)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    one.url = f"http://127.0.0.1:{port}"
    yield one
    await runner.cleanup()


@pytest.fixture
def question(server: Server) -> Question:
    return Question(url=server.url, model="chat", api=server.api)
