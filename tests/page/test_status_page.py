"""The server of the status page: what it answers, to whom, and how much of the operator's time it takes."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from tests.page.scene import NOW, Cluster, working_at

from tokenpace.controller.app import Process
from tokenpace.controller.page.frame import Standing
from tokenpace.controller.settings import Settings
from tokenpace.controller.status_page import standing_of


class Visitor:
    """Somebody who asks the page of a cluster."""

    def __init__(self, cluster: Cluster, port: int, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self._port = port
        self._session = session

    async def ask(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, Any]:
        async with self._session.request(
            method, f"http://127.0.0.1:{self._port}{path}", headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text(), answer.headers


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    cluster = Cluster(working_at(NOW))
    cluster.look(NOW)
    port = await cluster.page.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        yield Visitor(cluster, port, session)
    await cluster.page.close()


async def test_the_list_and_each_page_that_it_links_to_are_served(visitor: Visitor) -> None:
    status, index, headers = await visitor.ask()
    assert (status, headers["Content-Type"], 'href="shop/chat"' in index) == (200, "text/html; charset=utf-8", True)
    status, detail, _ = await visitor.ask("/shop/chat")
    assert (status, "<title>shop/chat - tokenpace</title>" in detail) == (200, True)


@pytest.mark.parametrize("path", ["/shop/gone", "/elsewhere/chat", "/shop/%3Cscript%3E"])
async def test_what_is_not_there_is_not_found_and_not_echoed(visitor: Visitor, path: str) -> None:
    status, page, _ = await visitor.ask(path)
    assert (status, "<h1>Not found</h1>" in page, "script" in page) == (404, True, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_can_be_written(visitor: Visitor, method: str) -> None:
    assert (await visitor.ask("/shop/chat", method))[0] == 405


async def test_a_head_is_answered_without_a_body(visitor: Visitor) -> None:
    status, body, _ = await visitor.ask("/", "HEAD")
    assert (status, body) == (200, "")


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/shop/gone", "GET"), ("/a/b/c", "GET"), ("/", "POST")])
async def test_every_answer_forbids_scripts_embedding_and_caching_and_sets_no_cookie(
    visitor: Visitor, path: str, method: str
) -> None:
    _, _, headers = await visitor.ask(path, method)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "unsafe" not in policy
    assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store")
    assert (headers["X-Content-Type-Options"], headers["Server"]) == ("nosniff", "tokenpace")
    assert "Set-Cookie" not in headers


async def test_a_page_looks_again_only_where_it_was_asked_to(visitor: Visitor) -> None:
    assert "Refresh" not in (await visitor.ask())[2]
    assert (await visitor.ask("/?refresh"))[2]["Refresh"] == "30"


async def test_a_page_of_the_web_that_borrows_our_address_is_turned_away(visitor: Visitor) -> None:
    assert (await visitor.ask(Host="evil.example"))[0] == 421
    assert (await visitor.ask(Host="localhost:8082"))[0] == 200


async def test_a_page_behind_a_service_answers_to_any_name() -> None:
    cluster = Cluster()
    port = await cluster.page.start("0.0.0.0", 0)  # noqa: S104 (as in a pod)
    async with aiohttp.ClientSession() as session:
        status, _, _ = await Visitor(cluster, port, session).ask(Host="tokenpace.tokenpace-system.svc")
    await cluster.page.close()
    assert status == 200


async def test_text_that_no_encoding_has_breaks_nothing(visitor: Visitor) -> None:
    visitor.cluster.objects["shop", "chat"]["status"]["variant"] = "half a pair: \ud83d"
    assert "half a pair: ?" in (await visitor.ask())[1]


async def test_pages_are_drawn_one_by_one_and_the_loop_gets_most_of_the_time(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who asks in a loop must not make the operator lose its Lease."""
    rests: list[float] = []
    loop = asyncio.get_running_loop()
    drawn_seconds = iter(range(1000))
    monkeypatch.setattr("tokenpace.controller.status_page.index_page", lambda *_: f"{next(drawn_seconds)}")
    later = loop.call_later

    def call_later(delay: float, callback: Any, *arguments: Any) -> asyncio.TimerHandle:
        if getattr(callback, "__self__", None) is visitor.cluster.page._turn:
            rests.append(delay)
            assert visitor.cluster.page._turn.locked()
        return later(delay, callback, *arguments)

    monkeypatch.setattr(loop, "call_later", call_later)
    answers = await asyncio.gather(*(visitor.ask() for _ in range(5)))
    assert sorted(body for _, body, _ in answers) == ["0", "1", "2", "3", "4"]
    assert len(rests) == 5
    assert all(rest > 0 for rest in rests)


async def test_more_than_can_wait_are_sent_away(visitor: Visitor) -> None:
    page = visitor.cluster.page
    await page._turn.acquire()
    waiting = [asyncio.create_task(visitor.ask()) for _ in range(32)]
    while page._waiting < 32:  # noqa: ASYNC110 (no event says that a request has arrived)
        await asyncio.sleep(0.01)
    assert (await visitor.ask())[0] == 503
    page._turn.release()
    assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}


async def test_what_is_drawn_wrongly_breaks_one_answer_and_not_the_next(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("tokenpace.controller.status_page.index_page", lambda *_: 1 / 0)
        status, body, headers = await visitor.ask()
    assert (status, "Traceback" in body, "Content-Security-Policy" in headers) == (500, False, True)
    assert (await visitor.ask())[0] == 200


@pytest.mark.parametrize(
    ("standing", "noted"),
    [
        (Standing.WORKS, 1),
        (Standing.STANDS_BY, 1),
        (Standing.IS_READING, 0),
        (Standing.IS_CUT_OFF, 0),
    ],
)
async def test_only_what_is_current_is_remembered(standing: Standing, noted: int) -> None:
    resource = working_at(NOW)
    cluster = Cluster(resource, standing=standing)
    looking = asyncio.create_task(cluster.page.look())
    await asyncio.sleep(0)
    looking.cancel()
    assert len(cluster.page._history.of(resource).points()) == noted


def operator(*, synced: bool, problem: str | None, may_write: bool) -> Standing:
    parts = SimpleNamespace(parts=[SimpleNamespace(problem=problem)])
    mirrors: Any = SimpleNamespace(synced=synced, resources=parts)
    lease: Any = SimpleNamespace(may_write=lambda: may_write)
    return standing_of(mirrors, lease)


def test_who_holds_the_lease_works_and_the_other_stands_by() -> None:
    assert operator(synced=True, problem=None, may_write=True) is Standing.WORKS
    assert operator(synced=True, problem=None, may_write=False) is Standing.STANDS_BY


def test_who_has_not_read_everything_or_cannot_read_any_more_says_so() -> None:
    assert operator(synced=False, problem=None, may_write=True) is Standing.IS_READING
    assert operator(synced=True, problem="timed out", may_write=True) is Standing.IS_CUT_OFF


def test_the_page_is_off_unless_it_is_asked_for_and_then_nobody_else_reaches_it() -> None:
    assert (Settings().status_page_port, Settings().status_page_host) == (None, "127.0.0.1")


async def test_the_process_serves_it_and_stops_it() -> None:
    process = Process(Settings())
    mirrors: Any = SimpleNamespace(synced=False, resources=SimpleNamespace(objects={}, parts=()))
    lease: Any = SimpleNamespace(may_write=lambda: False)
    page = await process._show("127.0.0.1", 0, mirrors, lease)
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{page}/") as answer:
        assert "is still reading the cluster" in await answer.text()
    await process.stop()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"http://127.0.0.1:{page}/")
