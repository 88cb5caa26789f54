"""Streams against a small HTTP server on loopback that ends them in every way a server can."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from loadgen.profile import Profile
from loadgen.run import OpenLoop, Settings
from tokenpace.bench.stream import End, Request, Stream, chat_request, completion_request, generate

TOKENS = 3
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


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


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_post("/v1/completions", handler)
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def request_of(timeout_seconds: float = 30) -> Request:
    return completion_request(model="chat", max_tokens=TOKENS, timeout_seconds=timeout_seconds)


async def stream_from(url: str, request: Request | None = None) -> Stream:
    stream = Stream(scheduled_at=asyncio.get_running_loop().time())
    async with aiohttp.ClientSession(url) as session:
        await generate(session, request or request_of(), "the and that", stream)
    return stream


@pytest.mark.parametrize(
    ("handler", "end"),
    [
        (answer, End.COMPLETE),
        (one_token_less, End.SHORT),
        (one_token_more, End.SHORT),
        (cut_connection, End.CUT),
        (cut_before_the_headers, End.CUT),
        (no_end_mark, End.CUT),
        (error_inside, End.CUT),
        (busy, End.REJECTED),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_every_end_is_told_from_the_others(serve: Serve, handler: Handler, end: End) -> None:
    stream = await stream_from(await serve(handler))
    assert stream.end is end
    assert (stream.detail == "") is (end is End.COMPLETE)


async def test_no_connection_is_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening
        stream = await stream_from(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert stream.end is End.REFUSED


async def test_a_stream_that_does_not_end_in_time_is_timed_out(serve: Serve) -> None:
    stream = await stream_from(await serve(never), request_of(timeout_seconds=0.05))
    assert stream.end is End.TIMED_OUT


async def test_a_cut_stream_keeps_the_tokens_that_came(serve: Serve) -> None:
    assert (await stream_from(await serve(cut_connection))).tokens == 2


@pytest.mark.parametrize("make", [chat_request, completion_request])
async def test_exactly_the_tokens_asked_for_come_because_the_end_of_sequence_is_ignored(
    serve: Serve, make: Callable[..., Request]
) -> None:
    seen: list[dict[str, object]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        return await answer(request)

    stream = await stream_from(await serve(handler), make(model="chat", max_tokens=TOKENS, timeout_seconds=30))
    assert stream.end is End.COMPLETE
    assert stream.prompt_tokens == 5
    assert {key: seen[0][key] for key in ("model", "max_tokens", "ignore_eos", "stream")} == {
        "model": "chat",
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
    }


def settings(url: str, profile: str, *, keep_alive: int | None = None) -> Settings:
    return Settings(
        url=url,
        request=request_of(),
        profile=Profile.parse(profile),
        prompt_tokens=3,
        keep_alive_connections=keep_alive,
        seed=1,
        report_seconds=0.1,
        log_streams=True,
    )


async def test_a_run_sums_up_every_stream_once(serve: Serve) -> None:
    lines: list[dict[str, object]] = []
    await OpenLoop(settings(await serve(answer), "600:0.5"), lines.append).run()
    *others, summary = lines
    streams = [line for line in others if line["kind"] == "stream"]
    assert summary["kind"] == "summary"
    assert summary["streams"] == len(streams) > 50
    assert summary["tokens"] == len(streams) * TOKENS
    assert summary["failed"] == summary["in_flight"] == 0
    assert {line["kind"] for line in others} == {"stream", "interval"}


async def test_arrivals_do_not_wait_for_answers(serve: Serve) -> None:
    tenth, here = asyncio.Event(), []

    async def held(request: web.Request) -> web.StreamResponse:
        here.append(request)
        if len(here) == 10:
            tenth.set()
        await tenth.wait()  # nobody is answered before ten have come
        return await answer(request)

    loop = OpenLoop(settings(await serve(held), "600:0.3"), lambda _: None)
    await loop.run()
    assert len(loop.ended) > 10
    assert {stream.end for stream in loop.ended} == {End.COMPLETE}


async def test_told_to_stop_it_sends_nothing_more_and_lets_its_streams_end(serve: Serve) -> None:
    async def stop_and_answer(request: web.Request) -> web.StreamResponse:
        loop.stop()
        return await answer(request)

    loop = OpenLoop(settings(await serve(stop_and_answer), "600:3600"), lambda _: None)
    await loop.run()
    assert {stream.end for stream in loop.ended} == {End.COMPLETE}


@pytest.mark.parametrize(("keep_alive", "connections"), [(None, "as many as streams"), (2, "two")])
async def test_a_stream_has_a_connection_of_its_own_or_one_of_those_kept(
    serve: Serve, keep_alive: int | None, connections: str
) -> None:
    peers: set[object] = set()
    second = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        peers.add(request.transport.get_extra_info("peername"))
        if len(peers) == 2:
            second.set()
        await second.wait()  # answered at once, one kept connection could be enough for all of them
        return await answer(request)

    loop = OpenLoop(settings(await serve(handler), "600:0.2", keep_alive=keep_alive), lambda _: None)
    await loop.run()
    assert len(peers) == {"as many as streams": len(loop.ended), "two": 2}[connections]
