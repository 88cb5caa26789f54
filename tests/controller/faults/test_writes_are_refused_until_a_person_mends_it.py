"""Writes about one LLMDeployment are refused, and only a person can mend that."""

import pytest
from tests.controller.faults.declared_cluster import Cluster, writes_about
from tests.controller.http_api_server import HttpApiServer, no_fault, running, seconds_until

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid"), (400, "BadRequest")])
async def test_a_refusal_that_a_person_must_mend_is_told_and_the_neighbour_served(
    server: HttpApiServer, cluster: Cluster, code: int, reason: str
) -> None:
    cluster.declare("bad")
    cluster.declare("good")
    server.fault = writes_about("bad", code=code, reason=reason)
    async with running(server):
        await seconds_until(lambda: cluster.is_served("good"), at_most=15)
        await seconds_until(lambda: cluster.reason("bad") == "WriteRefused", at_most=15)
        server.fault = no_fault
        assert await seconds_until(lambda: cluster.is_served("bad")) < 30
        assert await seconds_until(lambda: cluster.reason("bad") == "TooFewReplicas") < 30
