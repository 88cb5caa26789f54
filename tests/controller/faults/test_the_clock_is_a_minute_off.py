"""The operator's clock is a minute off."""

import asyncio

import pytest
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

pytestmark = pytest.mark.looptime


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
