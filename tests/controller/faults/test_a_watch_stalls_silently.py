"""A watch stays open and brings nothing, and nobody says so."""

import asyncio

import pytest
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

pytestmark = pytest.mark.looptime


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
