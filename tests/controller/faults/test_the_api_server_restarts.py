"""The API server restarts: every connection is cut, several times."""

import asyncio

import pytest
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

pytestmark = pytest.mark.looptime


async def test_an_api_server_that_restarts_is_found_again(server: HttpApiServer, cluster: Cluster) -> None:
    cluster.declare("chat")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        for _ in range(5):
            server.cut()
            await asyncio.sleep(1)
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 30
