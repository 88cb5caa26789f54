"""TGI's routes (`router/src/server.rs`)."""

import json
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from e2e.tgi import native, openai
from e2e.tgi.failures import RequestError, ValidationError
from e2e.tgi.request import Request
from e2e.tgi.router import Generation, Piece, Router

Json = dict[str, Any]

STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers; `info` is the answer to /info."""

    router: Router
    info: Json

    def application(self) -> web.Application:
        """All routes."""
        application = web.Application(middlewares=[_failures_as_answers], client_max_size=2_000_000)
        application.add_routes(
            [
                web.post("/", self.compatible),
                web.post("/generate", self.generate),
                web.post("/generate_stream", self.generate_stream),
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/completions", self.completion),
                web.get("/", self.health),
                web.get("/health", self.health),
                web.get("/ping", self.health),
                web.get("/info", self.information),
                web.get("/metrics", self.metrics),
                web.get("/v1/models", self.models),
            ]
        )
        return application

    async def generate(self, http: web.Request) -> web.StreamResponse:
        """All tokens at once."""
        request = Request.parse(await _body(http))
        pieces, generation = await self._whole(request)
        return web.json_response(
            native.answer(request, pieces, generation), headers=native.headers(request, generation)
        )

    async def generate_stream(self, http: web.Request) -> web.StreamResponse:
        """Token by token."""
        return await self._native_stream(http, Request.parse(await _body(http)))

    async def compatible(self, http: web.Request) -> web.StreamResponse:
        """Either of the two above, for huggingface_hub; by default with the prompt, as TGI does for a local model."""
        body = await _body(http)
        request = Request.parse(body)
        if request.parameters.return_full_text is None:
            request = replace(request, parameters=replace(request.parameters, return_full_text=True))
        if body.get("stream"):
            return await self._native_stream(http, request)
        pieces, generation = await self._whole(request)
        return web.json_response(
            [native.answer(request, pieces, generation)], headers=native.headers(request, generation)
        )

    async def chat(self, http: web.Request) -> web.StreamResponse:
        """A conversation in OpenAI's form."""
        body = await _body(http)
        return await self._openai(http, body, await openai.chat_request(self.router.engine, body), is_chat=True)

    async def completion(self, http: web.Request) -> web.StreamResponse:
        """A prompt in OpenAI's form."""
        body = await _body(http)
        return await self._openai(http, body, openai.completion_request(body), is_chat=False)

    async def health(self, _: web.Request) -> web.Response:
        """Whether llama.cpp is healthy."""
        if await self.router.engine.is_healthy():
            return web.Response()
        return web.json_response({"error": "unhealthy", "error_type": "healthcheck"}, status=503)

    async def information(self, _: web.Request) -> web.Response:
        """What the server was started with."""
        return web.json_response(self.info)

    async def metrics(self, _: web.Request) -> web.Response:
        """The metrics; an empty text before the first request."""
        return web.Response(text=self.router.exposition.render())

    async def models(self, _: web.Request) -> web.Response:
        """The one model."""
        name = self.info["model_id"]
        model = {"id": name, "object": "model", "created": 0, "owned_by": name}
        return web.json_response({"object": "list", "data": [model]})

    async def _native_stream(self, http: web.Request, request: Request) -> web.StreamResponse:
        return await _stream(http, self._events(request, lambda piece: [native.event(request, piece)]))

    async def _openai(self, http: web.Request, body: Json, request: Request, *, is_chat: bool) -> web.StreamResponse:
        # TGI counts a request here, and again where its tokens are generated.
        self.router.exposition.increment("tgi_request_count")
        wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        writer = openai.Writer(model=self.info["model_id"], is_chat=is_chat, wants_usage=wants_usage)
        if body.get("stream"):
            return await _stream(http, self._events(request, writer.events), end=b"data: [DONE]\n\n")
        pieces, generation = await self._whole(request)
        return web.json_response(writer.answer(pieces, generation), headers=native.headers(request, generation))

    async def _whole(self, request: Request) -> tuple[list[Piece], Generation]:
        async with aclosing(self.router.generate(request)) as generated:
            pieces = [piece async for piece in generated]
        generation = pieces[-1].generation
        assert generation is not None, "the router's last piece has the generation"
        return pieces, generation

    async def _events(self, request: Request, events: Callable[[Piece], Iterable[Json]]) -> AsyncGenerator[Json, None]:
        """The events of a stream. A refusal is one, too: TGI has answered 200 by then."""
        try:
            async with aclosing(self.router.generate(request)) as pieces:
                async for piece in pieces:
                    for event in events(piece):
                        yield event
        except RequestError as failure:
            yield failure.body()


async def _stream(http: web.Request, events: AsyncGenerator[Json, None], end: bytes = b"") -> web.StreamResponse:
    response = web.StreamResponse(headers=STREAM_HEADERS)
    await response.prepare(http)
    async with aclosing(events):
        async for event in events:
            await response.write(
                b"data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
            )
    await response.write(end)
    return response


async def _body(http: web.Request) -> Json:
    try:
        body = await http.json()
    except ValueError as error:
        raise ValidationError(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValidationError("the body is no JSON object")
    return body


@web.middleware
async def _failures_as_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestError as failure:
        return web.json_response(failure.body(), status=failure.status)
