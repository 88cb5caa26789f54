"""Writes about one LLMDeployment are refused for a time."""

import pytest
from tests.controller.faults.declared_cluster import Cluster, writes_about
from tests.controller.http_api_server import HttpApiServer, no_fault, running, seconds_until

pytestmark = pytest.mark.looptime


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
