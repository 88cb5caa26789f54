"""One LLMDeployment on a real API server, and the steps of a tick."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any

from tokenpace.api import names
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.apply import Action, Outcome, Result, difference, execute
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, SERVICES, Kind, Object
from tokenpace.cluster.objects import desired_objects, pins_of
from tokenpace.cluster.observed import without_managed_fields


class Always:
    """A lease that is always held."""

    def may_write(self) -> bool:
        return True


class Scene:
    """One LLMDeployment, its objects as the server has them, and the steps of a tick."""

    def __init__(self, client: ApiClient, resource: Object) -> None:
        self.client = client
        self.resource = resource
        self.namespace: str = resource["metadata"]["namespace"]
        self.name: str = resource["metadata"]["name"]

    async def live(self, kind: Kind, name: str) -> Object:
        return await self.client.get(kind, self.namespace, name)

    async def deployment(self, variant: str = "q8") -> Object:
        return await self.live(DEPLOYMENTS, names.workload_name(self.name, variant))

    async def observed(self) -> list[Object]:
        """Return the objects as mirrors would hold them."""
        found = []
        for kind in (DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS):
            selector = f"{names.DEPLOYMENT_LABEL}={self.name}"
            async for page in self.client.list_pages(kind, namespace=self.namespace, label_selector=selector):
                typed = [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page["items"]]
                found += [without_managed_fields(item) for item in typed]
        return found

    async def actions(self, **fleet: int) -> tuple[Action, ...]:
        observed = await self.observed()
        spec = LLMDeploymentSpec.model_validate(self.resource["spec"])
        pins = pins_of(one for one in observed if one["kind"] == "Deployment")
        return difference(self.resource, desired_objects(self.resource, spec, pins), observed, fleet)

    async def tick(self, **fleet: int) -> tuple[Outcome, ...]:
        """Return the last outcome of each action. What Kubernetes' own controllers were faster at is tried again."""
        last: dict[str, Outcome] = {}
        async with asyncio.timeout(30):
            while True:
                outcomes = await execute(await self.actions(**fleet), self.client, Always())
                last |= {str(one.action): one for one in outcomes}
                if all(one.result is not Result.CONFLICT for one in outcomes):
                    return tuple(last.values())

    async def settle(self, **fleet: int) -> None:
        """Tick until nothing is left to do; a conflict with Kubernetes' own controllers is settled by the next tick."""
        async with asyncio.timeout(30):
            while actions := await self.actions(**fleet):
                outcomes = await execute(actions, self.client, Always())
                assert {one.result for one in outcomes} <= {Result.DONE, Result.CONFLICT}, refused(outcomes)

    def declare(self, **changes: Any) -> None:
        """Change the variant, as a user does."""
        self.resource = copy.deepcopy(self.resource)
        self.resource["spec"]["variants"][0].update(changes)


def refused(outcomes: tuple[Outcome, ...]) -> list[str]:
    return [f"{one.action}: {one.message}" for one in outcomes if one.result is not Result.DONE]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 (the condition is in the server, which sets no event)
            await asyncio.sleep(0.1)
