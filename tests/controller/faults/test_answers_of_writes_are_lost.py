"""The answer of a write is lost."""

import asyncio

import pytest
from aiohttp import web
from tests.controller.faults.declared_cluster import Cluster
from tests.controller.http_api_server import HttpApiServer, running, seconds_until

from tokenpace.cluster.kinds import EVENTS

pytestmark = pytest.mark.looptime


async def test_a_lost_answer_of_any_write_is_made_up_for(server: HttpApiServer, cluster: Cluster) -> None:
    """The write has happened, and its connection is cut: nothing is done twice, nothing is left out."""
    lost: set[str] = set()

    async def lose(request: web.Request) -> web.StreamResponse | None:
        if request.method == "GET" or "leases" in request.path or request.path in lost:
            return None
        lost.add(request.path)
        await server._answer(request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    cluster.declare("chat")
    server.fault = lose
    async with running(server):
        await seconds_until(lambda: cluster.is_served("chat"))
        await asyncio.sleep(60)
    kinds = [key[0].kind for key in server.fake.objects if key[2].startswith("chat") and key[0] != EVENTS]
    assert (len(lost), sorted(kinds), cluster.replicas("chat")) == (
        5,
        ["Deployment", "LLMDeployment", "PodDisruptionBudget", "Service"],
        1,
    )
