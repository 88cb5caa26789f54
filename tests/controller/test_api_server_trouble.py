"""What goes wrong between a whole operator and its API server, one fault each, over real HTTP and in simulated time."""

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.controller.http_api_server import HttpApiServer, no_fault, refusal, running, seconds_until

from tokenpace.api import names
from tokenpace.cluster.kinds import DEPLOYMENTS, EVENTS, LLM_DEPLOYMENTS

pytestmark = pytest.mark.looptime


@pytest.fixture
async def server(fake: Any) -> AsyncIterator[HttpApiServer]:
    found = HttpApiServer(fake)
    await found.start()
    yield found
    await found.stop()


class Cluster:
    """What a person sees of it."""

    def __init__(self, server: HttpApiServer, resource: dict[str, Any]) -> None:
        self.server = server
        self.resource = resource

    def declare(self, name: str, **spec: Any) -> None:
        stored = self.server.fake.objects.get((LLM_DEPLOYMENTS, "shop", name))
        body = copy.deepcopy(stored or self.resource)
        generation = body["metadata"].get("generation", 0) + 1
        body["metadata"] |= {"name": name, "uid": f"uid-of-{name}", "generation": generation}
        body["metadata"]["creationTimestamp"] = "2026-11-23T08:00:00Z"
        body["spec"] |= {"variants": self.resource["spec"]["variants"][:1]} | spec
        self.server.declare(body)

    def replicas(self, name: str) -> int | None:
        body = self.server.fake.objects.get((DEPLOYMENTS, "shop", f"{name}-q8"))
        return None if body is None else body["spec"]["replicas"]

    def is_served(self, name: str, replicas: int = 1) -> bool:
        return self.replicas(name) == replicas and self.condition(name, "Ready") is not None

    def condition(self, name: str, kind: str) -> dict[str, Any] | None:
        body = self.server.fake.objects.get((LLM_DEPLOYMENTS, "shop", name), {})
        conditions = body.get("status", {}).get("conditions", ())
        return next((one for one in conditions if one["type"] == kind), None)

    def reason(self, name: str, kind: str = "Ready") -> str | None:
        found = self.condition(name, kind)
        return found and found["reason"]


@pytest.fixture
def cluster(server: HttpApiServer, resource: dict[str, Any]) -> Cluster:
    return Cluster(server, resource)


def grown(replicas: int) -> dict[str, Any]:
    return {"scaling": {"minReplicas": replicas}}


async def test_without_any_fault_what_is_declared_is_served(server: HttpApiServer, cluster: Cluster) -> None:
    async with running(server):
        cluster.declare("chat")
        assert await seconds_until(lambda: cluster.is_served("chat")) < 15
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 15


async def test_a_token_that_was_rotated_is_read_again(server: HttpApiServer, cluster: Cluster) -> None:
    cluster.declare("chat")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        server.credential = "second"
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 15


async def test_a_right_that_is_missing_at_the_start_keeps_everything_as_it_is(
    server: HttpApiServer, cluster: Cluster
) -> None:
    async def no_pods(request: web.Request) -> web.Response | None:
        return refusal(403, "Forbidden") if request.path == "/api/v1/pods" else None

    cluster.declare("chat")
    server.fault = no_pods
    async with running(server):
        await asyncio.sleep(120)
        assert cluster.replicas("chat") is None
        server.fault = no_fault
        assert await seconds_until(lambda: cluster.is_served("chat")) < 60


def writes_about(name: str, *, code: int, reason: str, **headers: str) -> Any:
    """Return the fault in which writes of the objects of one LLMDeployment are refused."""

    async def fault(request: web.Request) -> web.Response | None:
        parts = request.path.split("/")
        ours = any(part == name or part.startswith(f"{name}-") for part in parts)
        about_status = names.PLURAL in parts
        refused = request.method != "GET" and ours and not about_status
        return refusal(code, reason, **headers) if refused else None

    return fault


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid"), (400, "BadRequest")])
async def test_a_refusal_that_a_person_must_mend_is_told_and_the_neighbour_served(
    server: HttpApiServer, cluster: Cluster, code: int, reason: str
) -> None:
    cluster.declare("bad")
    cluster.declare("good")
    server.fault = writes_about("bad", code=code, reason=reason)
    async with running(server):
        await seconds_until(lambda: cluster.is_served("good"), at_most=15)
        await seconds_until(lambda: cluster.reason("bad") == "WriteRefused", at_most=15)
        server.fault = no_fault
        assert await seconds_until(lambda: cluster.is_served("bad")) < 30
        assert await seconds_until(lambda: cluster.reason("bad") == "TooFewReplicas") < 30


@pytest.mark.parametrize(("code", "reason"), [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError")])
async def test_a_refusal_that_passes_is_tried_again_and_the_neighbour_served(
    server: HttpApiServer, cluster: Cluster, code: int, reason: str
) -> None:
    cluster.declare("bad")
    cluster.declare("good")
    server.fault = writes_about("bad", code=code, reason=reason)
    async with running(server):
        await seconds_until(lambda: cluster.is_served("good"), at_most=15)
        server.fault = no_fault
        assert await seconds_until(lambda: cluster.is_served("bad")) < 30


async def test_an_api_server_that_asks_to_be_left_alone_is_left_alone(server: HttpApiServer, cluster: Cluster) -> None:
    cluster.declare("chat")
    server.fault = writes_about("chat", code=429, reason="TooManyRequests", Retry_After="40")
    clock = asyncio.get_running_loop().time
    async with running(server):
        await seconds_until(lambda: any(one.startswith("PATCH") and "chat-q8" in one for one in server.requests))
        refused_at = clock()
        server.requests.clear()
        server.fault = no_fault
        await seconds_until(lambda: cluster.is_served("chat"))
        assert 40 <= clock() - refused_at < 60


async def test_a_list_that_is_refused_for_a_time_is_asked_for_when_that_is_over(server: HttpApiServer) -> None:
    asked: list[float] = []
    clock = asyncio.get_running_loop().time

    async def busy(request: web.Request) -> web.Response | None:
        if request.path != "/api/v1/pods":
            return None
        asked.append(clock())
        return refusal(429, "TooManyRequests", Retry_After="40")

    server.fault = busy
    async with running(server):
        await asyncio.sleep(130)
    assert [round(later - earlier) for earlier, later in itertools.pairwise(asked)] == [40, 40, 40]


async def test_a_minute_of_server_errors_changes_nothing_and_is_over_when_it_is_over(
    server: HttpApiServer, cluster: Cluster
) -> None:
    async def down(_: web.Request) -> web.Response:
        return refusal(503, "ServiceUnavailable")

    cluster.declare("chat", **grown(3))
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat", 3))
        before = copy.deepcopy(server.fake.objects[DEPLOYMENTS, "shop", "chat-q8"])
        server.fault = down
        await asyncio.sleep(60)
        assert server.fake.objects[DEPLOYMENTS, "shop", "chat-q8"] == before
        server.fault = no_fault
        cluster.declare("chat", **grown(4))
        assert await seconds_until(lambda: cluster.replicas("chat") == 4) < 60


async def test_an_api_server_that_restarts_is_found_again(server: HttpApiServer, cluster: Cluster) -> None:
    cluster.declare("chat")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        for _ in range(5):
            server.cut()
            await asyncio.sleep(1)
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 30


async def test_watches_that_are_cut_at_once_every_time_still_show_what_changes(
    server: HttpApiServer, cluster: Cluster
) -> None:
    async def cut(request: web.Request) -> web.Response | None:
        if request.query.get("watch") and request.transport is not None:
            request.transport.abort()
            return web.Response()
        return None

    cluster.declare("chat")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        server.cut()
        server.fault = cut
        await asyncio.sleep(120)
        calls = len(server.requests)
        await asyncio.sleep(60)
        assert len(server.requests) - calls < 200, "a watch that is cut must not become a busy loop"
        server.fault = no_fault
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 60


async def test_a_watch_that_silently_stalls_is_noticed_within_seventy_seconds(
    server: HttpApiServer, cluster: Cluster
) -> None:
    cluster.declare("chat")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        server.stalled = True
        cluster.declare("chat", **grown(3))
        await asyncio.sleep(1)
        server.stalled = False  # those that are open stay as they are
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 85


async def test_what_was_deleted_while_versions_expired_is_no_longer_there(
    server: HttpApiServer, cluster: Cluster
) -> None:
    cluster.declare("chat")
    async with running(server) as operator:
        await seconds_until(lambda: cluster.is_served("chat"))
        server.expired = True
        server.cut()
        await asyncio.sleep(1)
        server.remove(LLM_DEPLOYMENTS, "shop", "chat")
        await asyncio.sleep(5)
        server.expired = False
        assert await seconds_until(lambda: not operator.loop.mirrors.resources.objects) < 60


async def test_calls_about_one_resource_that_hang_do_not_hold_up_its_neighbour(
    server: HttpApiServer, cluster: Cluster
) -> None:
    """A webhook that nobody answers holds every write of one namespace for the whole time-out."""

    async def hang(request: web.Request) -> web.Response | None:
        if any(part == "bad" or part.startswith("bad-") for part in request.path.split("/")):
            await asyncio.sleep(3600)
        return None

    cluster.declare("good")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("good"))
        server.fault = hang
        cluster.declare("bad")
        await asyncio.sleep(30)
        for replicas in (2, 3, 4):
            cluster.declare("good", **grown(replicas))
            assert await seconds_until(lambda: cluster.replicas("good") == replicas) < 21  # noqa: B023
        server.fault = no_fault
        assert await seconds_until(lambda: cluster.is_served("bad")) < 60


async def test_statuses_that_cannot_be_written_hinder_nothing_else(server: HttpApiServer, cluster: Cluster) -> None:
    async def no_status(request: web.Request) -> web.Response | None:
        return refusal(403, "Forbidden") if request.path.endswith("/status") else None

    cluster.declare("chat")
    server.fault = no_status
    async with running(server):
        await seconds_until(lambda: cluster.replicas("chat") == 1, at_most=15)
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 15


@pytest.mark.parametrize("skew", [-60.0, 60.0])
async def test_a_clock_that_is_a_minute_off_changes_no_fleet(
    server: HttpApiServer, cluster: Cluster, skew: float
) -> None:
    cluster.declare("chat", **grown(2))
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat", 2))
    async with running(server, "b", skew=skew):
        for _ in range(120):
            await asyncio.sleep(1)
            assert cluster.replicas("chat") == 2
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 30


async def test_a_lost_answer_of_any_write_is_made_up_for(server: HttpApiServer, cluster: Cluster) -> None:
    """The write has happened, and its connection is cut: nothing is done twice, nothing is left out."""
    lost: set[str] = set()

    async def lose(request: web.Request) -> web.StreamResponse | None:
        if request.method == "GET" or "leases" in request.path or request.path in lost:
            return None
        lost.add(request.path)
        await server._answer(request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    cluster.declare("chat")
    server.fault = lose
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        await asyncio.sleep(60)
    kinds = [key[0].kind for key in server.fake.objects if key[2].startswith("chat") and key[0] != EVENTS]
    assert (len(lost), sorted(kinds), cluster.replicas("chat")) == (
        5,
        ["Deployment", "LLMDeployment", "PodDisruptionBudget", "Service"],
        1,
    )
