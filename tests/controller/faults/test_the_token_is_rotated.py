"""The token by which the API server knows the operator is rotated."""

import pytest
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

pytestmark = pytest.mark.looptime


async def test_a_token_that_was_rotated_is_read_again(server: HttpApiServer, cluster: Cluster) -> None:
    cluster.declare("chat")
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        server.credential = "second"
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 15
