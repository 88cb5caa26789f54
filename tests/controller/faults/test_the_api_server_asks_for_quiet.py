"""The API server asks to be left alone for a while, of writes or of a list."""

import asyncio
import itertools

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster, writes_about
from tests.controller.http_api_server import HttpApiServer, no_fault, refusal, running, seconds_until

pytestmark = pytest.mark.looptime


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
