"""Streams against a fake server on loopback that ends them in every way a server can."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from aiohttp import web
from tests.bench.fake_server import (
    TOKENS,
    Handler,
    Serve,
    answer,
    busy,
    cut_before_the_headers,
    cut_connection,
    error_inside,
    never,
    no_end_mark,
    one_token_less,
    one_token_more,
)

from tokenpace.bench.open_loop import connections
from tokenpace.bench.stream import End, Endpoint, Request, Stream, chat, completions, generate


def request_of(timeout_seconds: float = 30) -> Request:
    return Request(completions("chat"), "the and that", TOKENS, timeout_seconds)


async def stream_from(url: str, request: Request | None = None) -> Stream:
    stream = Stream(scheduled_at=asyncio.get_running_loop().time())
    async with connections(url) as session:
        await generate(session, request or request_of(), stream)
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


@pytest.mark.parametrize("make", [chat, completions])
async def test_exactly_the_tokens_asked_for_come_because_the_end_of_sequence_is_ignored(
    serve: Serve, make: Callable[[str], Endpoint]
) -> None:
    seen: list[dict[str, object]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        return await answer(request)

    stream = await stream_from(await serve(handler), Request(make("chat"), "the", TOKENS, 30))
    assert stream.end is End.COMPLETE
    assert stream.prompt_tokens == 5
    assert {key: seen[0][key] for key in ("model", "max_tokens", "ignore_eos", "stream")} == {
        "model": "chat",
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
    }


def test_the_first_token_counts_from_the_scheduled_arrival_and_not_from_the_sending() -> None:
    late = Stream(scheduled_at=1.0, sent_at=3.0, event_times=[3.5])
    assert late.first_token_seconds == 2.5


def test_stream_speed_leaves_out_the_wait_for_the_first_token() -> None:
    assert (
        Stream(0, event_times=[2.0, 3.0, 3.5, 5.0], tokens=4).tokens_per_second == 1.0
    )  # three tokens after the first, in three seconds


def test_a_stream_of_one_token_has_no_speed() -> None:
    single = Stream(0, 0)
    single.saw("a", 1.0)
    assert single.tokens_per_second is None
    assert single.first_token_seconds == 1.0


def test_two_chunks_of_one_token_have_no_speed() -> None:
    assert Stream(0, event_times=[1.0, 1.5], tokens=1).tokens_per_second is None
