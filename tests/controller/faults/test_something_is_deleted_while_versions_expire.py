"""Something is deleted while watches are cut and their versions have expired."""

import asyncio

import pytest
from tests.controller.faults.declared_cluster import Cluster
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

from tokenpace.cluster.kinds import LLM_DEPLOYMENTS

pytestmark = pytest.mark.looptime


async def test_what_was_deleted_while_versions_expired_is_no_longer_there(
    server: HttpApiServer, cluster: Cluster
) -> None:
    cluster.declare("chat")
    async with running(server) as operator:
        await seconds_until(lambda: cluster.is_served("chat"))
        server.expired = True
        server.cut()
        await asyncio.sleep(1)
        server.remove(LLM_DEPLOYMENTS, "shop", "chat")
        await asyncio.sleep(5)
        server.expired = False
        assert await seconds_until(lambda: not operator.loop.mirrors.resources.objects) < 60
