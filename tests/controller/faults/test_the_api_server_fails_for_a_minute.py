"""The API server answers everything with an error for a minute."""

import asyncio
import copy

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster, grown
from tests.controller.http_api_server import HttpApiServer, no_fault, refusal, running, seconds_until

from tokenpace.cluster.kinds import DEPLOYMENTS

pytestmark = pytest.mark.looptime


async def test_a_minute_of_server_errors_changes_nothing_and_is_over_when_it_is_over(
    server: HttpApiServer, cluster: Cluster
) -> None:
    async def down(_: web.Request) -> web.Response:
        return refusal(503, "ServiceUnavailable")

    cluster.declare("chat", **grown(3))
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat", 3))
        before = copy.deepcopy(server.fake.objects[DEPLOYMENTS, "shop", "chat-q8"])
        server.fault = down
        await asyncio.sleep(60)
        assert server.fake.objects[DEPLOYMENTS, "shop", "chat-q8"] == before
        server.fault = no_fault
        cluster.declare("chat", **grown(4))
        assert await seconds_until(lambda: cluster.replicas("chat") == 4) < 60
