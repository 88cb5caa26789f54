"""Runs of a profile against a fake server on loopback."""

import asyncio

import pytest
from aiohttp import web
from loadgen.profile import Profile
from loadgen.run import ProfileRun, Settings
from tests.bench.fake_server import TOKENS, Serve, answer

from tokenpace.bench.stream import End, completions


def settings(url: str, profile: str, *, keep_alive: int | None = None) -> Settings:
    return Settings(
        url=url,
        endpoint=completions("chat"),
        profile=Profile.parse(profile),
        prompt_tokens=3,
        max_tokens=TOKENS,
        timeout_seconds=30,
        keep_alive_connections=keep_alive,
        seed=1,
        report_seconds=0.1,
        log_streams=True,
    )


async def test_a_run_sums_up_every_stream_once(serve: Serve) -> None:
    lines: list[dict[str, object]] = []
    await ProfileRun(settings(await serve(answer), "600:0.5"), lines.append).run()
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

    loop = ProfileRun(settings(await serve(held), "600:0.3"), lambda _: None)
    await loop.run()
    assert len(loop.ended) > 10
    assert {stream.end for stream in loop.ended} == {End.COMPLETE}


async def test_told_to_stop_it_sends_nothing_more_and_lets_its_streams_end(serve: Serve) -> None:
    async def stop_and_answer(request: web.Request) -> web.StreamResponse:
        loop.stop()
        return await answer(request)

    loop = ProfileRun(settings(await serve(stop_and_answer), "600:3600"), lambda _: None)
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

    loop = ProfileRun(settings(await serve(handler), "600:0.2", keep_alive=keep_alive), lambda _: None)
    await loop.run()
    assert len(peers) == {"as many as streams": len(loop.ended), "two": 2}[connections]
