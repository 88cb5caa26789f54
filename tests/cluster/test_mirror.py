import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.cluster.kinds import PODS
from tokenpace.cluster.mirror import Mirror, retry_delay_seconds

_PODS = "/api/v1/pods"
_LIST = {"limit": "500"}
_WATCH = {"watch": "true"}

pytestmark = pytest.mark.looptime  # seconds of the loop, not of the wall


def _pod(name: str, *, owner: str | None = None, version: str = "1", value: int = 0) -> dict[str, Any]:
    references = [{"uid": "bystander"}, {"uid": owner, "controller": True}] if owner else []
    metadata = {"namespace": "shop", "name": name, "resourceVersion": version, "ownerReferences": references}
    return {"metadata": metadata, "spec": {"value": value, "unwanted": "x" * 100}}


def _page(*pods: dict[str, Any], version: str = "10", next_page: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version, "continue": next_page}, "items": list(pods)}


def _event(change: str, stored: dict[str, Any]) -> bytes:
    return json.dumps({"type": change, "object": stored}).encode() + b"\n"


def _bookmark(version: str) -> bytes:
    return _event("BOOKMARK", {"metadata": {"resourceVersion": version}})


def _expired() -> bytes:
    return _event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


class Watches:
    """What the server sends to whoever watches last: the events that are put here, and the end of a watch for None."""

    def __init__(self) -> None:
        self._events: deque[bytes | None] = deque()
        self._watches = 0

    async def stream(self) -> AsyncIterator[bytes]:
        self._watches += 1
        this = self._watches
        while True:
            if not self._events or this < self._watches:
                await asyncio.sleep(0.01)
            elif (event := self._events.popleft()) is not None:
                yield event
            else:
                return

    def send(self, *events: bytes | None) -> None:
        self._events.extend(events)


@pytest.fixture
def watches(kmock: Any) -> Watches:
    watches = Watches()
    kmock[f"get {_PODS}", _WATCH] << watches.stream
    return watches


def _keep(stored: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: stored["metadata"][key] for key in ("namespace", "name", "ownerReferences")}
    return {"kind": stored["kind"], "metadata": metadata, "value": stored["spec"]["value"]}


@asynccontextmanager
async def _running(client: Any, **options: Any) -> AsyncIterator[Mirror]:
    mirror = Mirror(client, PODS, keep=_keep, share=lambda: 0.0, **options)
    task = asyncio.create_task(mirror.run())
    try:
        yield mirror
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _until(condition: Callable[[], bool], *, at_most: float = 600) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began <= at_most, "the condition did not come true in time"
        await asyncio.sleep(0.01)
    return loop.time() - began


def _names(mirror: Mirror) -> set[str]:
    return {name for _, name in mirror.objects}


def _requests(kmock: Any) -> list[str]:
    """Return the lists and watches that were asked for, a watch with where it began."""
    return [f"watch {one.params['resourceVersion']}" if "watch" in one.params else "list" for one in kmock]


@pytest.mark.usefixtures("watches")
async def test_a_mirror_is_synced_once_the_last_page_is_there(client: Any, kmock: Any) -> None:
    last_page_due = asyncio.Event()

    async def last_page() -> dict[str, Any]:
        await last_page_due.wait()
        return _page(_pod("b"))

    kmock[f"get {_PODS}", {"continue": "2"}] << last_page
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"), next_page="2")
    async with _running(client) as mirror:
        await _until(lambda: len(kmock) == 2)
        assert (mirror.synced, mirror.objects) == (False, {})
        last_page_due.set()
        await _until(lambda: mirror.synced)
        assert _names(mirror) == {"a", "b"}


@pytest.mark.usefixtures("watches")
async def test_those_who_wait_for_the_mirror_wake_when_it_is_synced(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}", _LIST] << _page()
    async with _running(client) as mirror, asyncio.timeout(600):
        await mirror.wait_synced()


@pytest.mark.usefixtures("watches")
async def test_only_what_is_kept_is_held(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a", value=3))
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        held = mirror.objects["shop", "a"]
        assert held.keys() == {"kind", "metadata", "value"}
        assert (held["kind"], held["value"]) == ("Pod", 3)  # a list does not say of what kind its items are


async def test_objects_that_come_change_and_go_are_followed(client: Any, kmock: Any, watches: Any) -> None:
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"), _pod("b"))
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        watches.send(
            _event("ADDED", _pod("c", version="11")),
            _event("MODIFIED", _pod("a", version="12", value=7)),
            _event("DELETED", _pod("b", version="13")),
        )
        await _until(lambda: _names(mirror) == {"a", "c"})
        assert mirror.objects["shop", "a"]["value"] == 7


async def test_objects_are_found_by_who_controls_them(client: Any, kmock: Any, watches: Any) -> None:
    kmock[f"get {_PODS}", _LIST] << _page(_pod("b", owner="x"), _pod("a", owner="x"), _pod("c", owner="y"), _pod("d"))
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        assert [one["metadata"]["name"] for one in mirror.by_owner("x")] == ["a", "b"]
        assert mirror.by_owner("bystander") == ()
        watches.send(
            _event("MODIFIED", _pod("a", owner="y", version="11")),
            _event("DELETED", _pod("b", owner="x", version="12")),
        )
        await _until(lambda: not mirror.by_owner("x"))
        assert [one["metadata"]["name"] for one in mirror.by_owner("y")] == ["a", "c"]


async def test_a_watch_that_ends_goes_on_where_it_ended(client: Any, kmock: Any, watches: Any) -> None:
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"), version="10")
    async with _running(client) as mirror:
        watches.send(_event("ADDED", _pod("b", version="11")), None, _bookmark("17"), None)
        await _until(lambda: len(kmock) == 4)
        assert _requests(kmock) == ["list", "watch 10", "watch 11", "watch 17"]
        assert _names(mirror) == {"a", "b"}


async def test_a_mirror_left_behind_lists_again_and_forgets_what_is_gone(client: Any, kmock: Any, watches: Any) -> None:
    kmock[f"get {_PODS}", _LIST][:1] << _page(_pod("gone", owner="x"), version="10")
    kmock[f"get {_PODS}", _LIST] << _page(_pod("new", owner="y"), version="50")
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        watches.send(_expired())
        await _until(lambda: _names(mirror) == {"new"})
        assert (mirror.by_owner("x"), len(mirror.by_owner("y"))) == ((), 1)
        await _until(lambda: len(kmock) == 4)
        assert _requests(kmock) == ["list", "watch 10", "list", "watch 50"]


async def test_what_is_there_stays_while_a_new_list_fails(client: Any, kmock: Any, watches: Any) -> None:
    kmock[f"get {_PODS}", _LIST][:1] << _page(_pod("a"))
    kmock[f"get {_PODS}", _LIST] << 503
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        watches.send(_expired())
        await _until(lambda: len(kmock) > 5)
        assert mirror.synced
        assert _names(mirror) == {"a"}


@pytest.mark.usefixtures("watches")
async def test_a_list_that_expires_between_pages_begins_again(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}", {"continue": "2"}][:1] << 410 << {"code": 410, "reason": "Expired", "message": "too old"}
    kmock[f"get {_PODS}", {"continue": "2"}] << _page(_pod("b"))
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"), next_page="2")
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        assert _names(mirror) == {"a", "b"}


@pytest.mark.usefixtures("watches")
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_mirror_survives_refusals_and_says_what_the_problem_is(client: Any, kmock: Any, status: int) -> None:
    kmock[f"get {_PODS}", _LIST][:4] << status << {"reason": "Refused", "message": "not now"}
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"))
    async with _running(client) as mirror:
        await _until(lambda: mirror.problem is not None)
        assert mirror.problem.status == status
        assert not mirror.synced
        await _until(lambda: mirror.synced)
        assert mirror.problem is None


@pytest.mark.usefixtures("watches")
async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}", _LIST][:1] << 429 << {"Retry-After": "20"} << {"reason": "TooManyRequests"}
    kmock[f"get {_PODS}", _LIST] << _page()
    async with _running(client) as mirror:
        assert 20 <= await _until(lambda: mirror.synced) < 25


async def test_a_silently_dead_watch_is_noticed_and_loses_nothing(client: Any, kmock: Any, watches: Any) -> None:
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"), version="10")
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        noticed_after = await _until(lambda: len(kmock) == 3)
        assert 60 <= noticed_after < 70
        watches.send(_event("ADDED", _pod("missed", version="11")))
        await _until(lambda: "missed" in _names(mirror))
        assert _requests(kmock)[:3] == ["list", "watch 10", "watch 10"]


async def test_a_quiet_server_without_bookmarks_is_watched_without_pause(client: Any, kmock: Any) -> None:
    async def nothing_for_a_minute() -> bytes:
        await asyncio.sleep(60)
        return b""

    kmock[f"get {_PODS}", _WATCH] << nothing_for_a_minute
    kmock[f"get {_PODS}", _LIST] << _page()
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        assert await _until(lambda: len(kmock) == 12, at_most=1000) < 605


async def test_a_connection_that_is_cut_at_once_every_time_is_no_busy_loop(client: Any, kmock: Any) -> None:
    kmock[f"get {_PODS}", _WATCH] << b""
    kmock[f"get {_PODS}", _LIST] << _page()
    async with _running(client) as mirror:
        await _until(lambda: mirror.synced)
        await asyncio.sleep(300)
        assert len(kmock) < 40


async def test_those_concerned_hear_of_lists_and_of_changes_to_what_is_kept(
    client: Any, kmock: Any, watches: Any
) -> None:
    heard: list[float] = []
    kmock[f"get {_PODS}", _LIST] << _page(_pod("a"))
    async with _running(client, on_change=lambda: heard.append(0)) as mirror:
        await _until(lambda: mirror.synced)
        assert len(heard) == 1
        unkept = {**_pod("a", version="11"), "status": {"heartbeat": 1}}
        watches.send(_event("MODIFIED", unkept), _bookmark("12"), _event("DELETED", _pod("a", version="13")))
        await _until(lambda: not mirror.objects)
        assert len(heard) == 2


async def test_the_api_server_selects_by_label_and_namespace(client: Any, kmock: Any) -> None:
    kmock["get /api/v1/namespaces/shop/pods", _WATCH] << Watches().stream
    kmock["get /api/v1/namespaces/shop/pods", _LIST] << _page()
    async with _running(client, namespace="shop", label_selector="app=a"):
        await _until(lambda: len(kmock) == 2)
        assert [request.params["labelSelector"] for request in kmock] == ["app=a", "app=a"]


@given(st.integers(0, 10_000), st.none() | st.floats(0, 3600), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_bounded_and_never_shorter_than_asked(failures: int, asked: float | None, share: float) -> None:
    assert (asked or 0) <= retry_delay_seconds(failures, asked, share) <= max(30, asked or 0)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_after_a_failure_there_is_a_wait(failures: int, share: float) -> None:
    assert retry_delay_seconds(failures, None, share) >= 0.25


def test_after_an_answer_there_is_none() -> None:
    assert retry_delay_seconds(0, None, 0.5) == 0
