"""A right is missing at the start, so that one kind of object cannot be listed."""

import asyncio

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster
from tests.controller.http_api_server import HttpApiServer, no_fault, refusal, running, seconds_until

pytestmark = pytest.mark.looptime


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
