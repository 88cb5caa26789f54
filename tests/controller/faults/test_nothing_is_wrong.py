"""Nothing is wrong: what the other scenarios are measured by."""

import pytest
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

pytestmark = pytest.mark.looptime


async def test_without_any_fault_what_is_declared_is_served(server: HttpApiServer, cluster: Cluster) -> None:
    async with running(server):
        cluster.declare("chat")
        assert await seconds_until(lambda: cluster.is_served("chat")) < 15
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 15
