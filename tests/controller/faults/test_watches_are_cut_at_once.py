"""Watches are cut at once, every time."""

import asyncio

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, no_fault, running, seconds_until

pytestmark = pytest.mark.looptime


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
