"""Calls about one resource hang."""

import asyncio

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, no_fault, running, seconds_until

pytestmark = pytest.mark.looptime


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
