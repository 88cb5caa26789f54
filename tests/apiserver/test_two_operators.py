"""Two control loops that both write to a real API server: they come to what is declared, and each size is set once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.apiserver.conftest import MINIMAL_SPEC
from tests.apiserver.scene import Always, until
from tests.controller.operator_in_memory import SilentPrometheus

from tokenpace.api import names
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS
from tokenpace.controller.loop import Loop
from tokenpace.controller.settings import Settings
from tokenpace.telemetry.metrics import OperatorMetrics

pytestmark = pytest.mark.apiserver


def control_loop(client: ApiClient, namespace: str) -> list[asyncio.Task[Any]]:
    """Run a control loop that asks no Lease, on the resources of one namespace."""
    loop = Loop(
        settings=Settings(tick_seconds=1, namespaces=(namespace,)),
        client=client,
        prometheus=SilentPrometheus(),  # type: ignore[arg-type]
        lease=Always(),  # type: ignore[arg-type]
        metrics=OperatorMetrics(),
    )
    work = [loop.run(), *(mirror.run() for mirror in loop.mirrors.by_name.values())]
    return [asyncio.create_task(one) for one in work]


async def test_two_operators_that_both_write_come_to_what_is_declared(
    client: ApiClient, namespace: str, llmdeployments: Callable[..., dict[str, Any]]
) -> None:
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "two-operators"},
        "spec": MINIMAL_SPEC | {"scaling": {"mode": "Manual", "minReplicas": 0}, "replicas": 0},
    }
    llmdeployments("create", manifest)
    tasks = [task for _ in range(2) for task in control_loop(client, namespace)]

    async def size() -> int | None:
        try:
            live = await client.get(DEPLOYMENTS, namespace, "two-operators-q8")
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return int(live["spec"]["replicas"])

    async def has(wanted: int) -> bool:
        return await size() == wanted

    try:
        for wanted in (0, 2, 1):
            llmdeployments("patch", "two-operators", {"spec": {"replicas": wanted}})
            await until(lambda: has(wanted))  # noqa: B023
            for _ in range(5):
                await asyncio.sleep(1)
                assert await has(wanted)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        llmdeployments("delete", "two-operators")
