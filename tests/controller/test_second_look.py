"""Mirrors of which one is silent while the others go on: what they hold is old, and nothing is lost by it."""

from typing import Any

import pytest
from tests.conftest import FakeApiServer
from tests.controller.mortal_operator import History, MortalOperator
from tests.controller.simulated_cluster import BOUNDS, MOST, SURGE, SimulatedCluster, declared

from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS, PODS


class Scene:
    """One LLMDeployment in Manual mode, and an operator with watches of its own."""

    def __init__(self, fake: FakeApiServer) -> None:
        self.fake, self.cluster = fake, SimulatedCluster(fake)
        self.history = History(self.cluster)
        self.want("q8", 1)
        self.operator = MortalOperator(self.cluster, self.history)

    def want(self, variant: str, replicas: int) -> None:
        body: dict[str, Any] = self.fake.objects.get((LLM_DEPLOYMENTS, "shop", "chat"), declared())
        spec = body["spec"] | {"scaling": BOUNDS | {"mode": "Manual", "variant": variant}, "replicas": replicas}
        generation = body["metadata"]["generation"] + 1
        changed = body | {"spec": spec, "metadata": body["metadata"] | {"generation": generation}}
        self.fake._store((LLM_DEPLOYMENTS, "shop", "chat"), changed)

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            self.history.note()
            await self.operator.tick()
            self.cluster.advance()

    @property
    def sizes(self) -> dict[str, int]:
        objects = self.fake.objects.items()
        return {
            key[2].removeprefix("chat-"): body["spec"]["replicas"] for key, body in objects if key[0] == DEPLOYMENTS
        }


@pytest.fixture
async def scene(fake: FakeApiServer) -> Scene:
    """One replica of q8 that serves."""
    found = Scene(fake)
    await found.ticks(6)
    assert (found.sizes, found.cluster.serving()) == ({"q8": 1, "q4": 0}, 1)
    return found


async def test_the_last_that_serves_stays_where_its_successor_is_only_an_old_picture(scene: Scene) -> None:
    """Somebody goes to another variant and back while the watch of pods is silent: it still shows those that went."""
    scene.operator.hearsay.ticks_late[PODS] = 2
    for variant in ("q4", "q8"):
        scene.want(variant, 1)
        while scene.sizes[variant] == 0 or sum(scene.sizes.values()) > 1:
            await scene.ticks(1)
            assert scene.cluster.serving() > 0


async def test_nothing_grows_into_room_that_is_only_an_old_picture(scene: Scene) -> None:
    """The sizes of one variant have changed unseen, and it is another that shall grow."""
    scene.operator.hearsay.ticks_late |= {DEPLOYMENTS: 2, PODS: 2}
    scene.want("q4", MOST)
    while scene.sizes["q4"] <= 1:
        await scene.ticks(1)
    scene.want("q8", MOST)
    for _ in range(12):
        await scene.ticks(1)
        assert sum(scene.sizes.values()) <= MOST + SURGE


async def test_nothing_is_scaled_while_nobody_says_what_is_there(scene: Scene) -> None:
    async def no_list(call: str) -> None:
        if call == "list deployments":
            raise ApiError(503, "ServiceUnavailable", "later")

    connection = scene.operator.connection
    begun, connection.before = connection.before, no_list
    scene.want("q8", 3)
    await scene.ticks(3)
    assert scene.sizes["q8"] == 1
    connection.before = begun
    await scene.ticks(1)
    assert scene.sizes["q8"] == 3


async def test_a_pod_that_ceased_to_serve_unseen_keeps_another_from_going_and_none_from_coming(scene: Scene) -> None:
    scene.want("q8", 3)
    await scene.ticks(6)
    scene.operator.hearsay.ticks_late[PODS] = 2
    crashed = scene.cluster.pods["chat-q8-1"]
    crashed["status"]["conditions"] = []
    scene.cluster.no_stock.add("q8")
    scene.want("q8", 2)
    await scene.ticks(1)
    assert scene.sizes["q8"] == 3
    scene.want("q8", 4)
    await scene.ticks(1)
    assert scene.sizes["q8"] == 4


async def test_where_nothing_is_scaled_nothing_is_looked_at_again(scene: Scene) -> None:
    calls = scene.operator.connection.calls
    calls.clear()
    await scene.ticks(3)
    assert not [call for call in calls if call.startswith("list")]
