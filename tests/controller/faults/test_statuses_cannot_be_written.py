"""Statuses cannot be written."""

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, refusal, running, seconds_until

pytestmark = pytest.mark.looptime


async def test_statuses_that_cannot_be_written_hinder_nothing_else(server: HttpApiServer, cluster: Cluster) -> None:
    async def no_status(request: web.Request) -> web.Response | None:
        return refusal(403, "Forbidden") if request.path.endswith("/status") else None

    cluster.declare("chat")
    server.fault = no_status
    async with running(server):
        await seconds_until(lambda: cluster.replicas("chat") == 1, at_most=15)
        cluster.declare("chat", **grown(3))
        assert await seconds_until(lambda: cluster.replicas("chat") == 3) < 15
