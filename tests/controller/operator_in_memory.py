"""An operator on an API server in memory, whose ticks a test makes by hand."""

import copy
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from tokenpace.api.variant import EngineType
from tokenpace.api.wake import WakeSignal
from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, LLM_DEPLOYMENTS, PODS, SERVICES, SPEED_CARDS, Kind
from tokenpace.controller.canaries import Canaries
from tokenpace.controller.journal import Journal
from tokenpace.controller.loop import Loop
from tokenpace.controller.mirrors import Holdings
from tokenpace.controller.predictions import Predictions
from tokenpace.controller.reporter import Reporter
from tokenpace.controller.settings import Settings
from tokenpace.controller.side_by_side import SideBySide
from tokenpace.controller.speed_cards import keep_card
from tokenpace.controller.unchanged import Unchanged
from tokenpace.prometheus.samples import MetricsAnswer
from tokenpace.prometheus.wake import ResourceKey, WakeAnswer
from tokenpace.telemetry.metrics import OperatorMetrics


class SpeedCardsInMemory:
    def __init__(self, fake: Any) -> None:
        self._fake = fake

    def get(self, key: tuple[str, str], /) -> dict[str, Any] | None:
        body = self._fake.objects.get((SPEED_CARDS, *key))
        return None if body is None else keep_card(body)


class FakeMirrors:
    """Mirrors that are always up to date with the API server in memory."""

    def __init__(self, fake: Any) -> None:
        self._fake = fake
        self.synced = True

    @property
    def resources(self) -> "FakeMirrors":
        return self

    @property
    def speed_cards(self) -> "SpeedCardsInMemory":
        return SpeedCardsInMemory(self._fake)

    @property
    def objects(self) -> Mapping[tuple[str, str], dict[str, Any]]:
        return {key[1:]: copy.deepcopy(body) for key, body in self._fake.objects.items() if key[0] == LLM_DEPLOYMENTS}

    def get(self, key: tuple[str, str], /) -> dict[str, Any] | None:
        return copy.deepcopy(self._fake.objects.get((LLM_DEPLOYMENTS, *key)))

    def served_by_another(self, _namespace: str) -> bool:
        return False

    def holdings(self, resource: Mapping[str, Any]) -> Holdings:
        return Holdings(
            deployments=tuple(self._owned(resource, DEPLOYMENTS)),
            others=(*self._owned(resource, SERVICES), *self._owned(resource, DISRUPTION_BUDGETS)),
            pods=(),
        )

    def _owned(self, resource: Mapping[str, Any], kind: Kind) -> Iterator[dict[str, Any]]:
        for key, body in self._fake.objects.items():
            owners = {reference["uid"] for reference in body["metadata"].get("ownerReferences", ())}
            if key[0] == kind and resource["metadata"]["uid"] in owners:
                yield copy.deepcopy(body)


class PodsInMemory(MutableMapping[str, dict[str, Any]]):
    """The pods among an API server's objects, by name."""

    def __init__(self, fake: Any) -> None:
        self._objects: dict[tuple[Kind, str, str], dict[str, Any]] = fake.objects

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._objects[PODS, "shop", name]

    def __setitem__(self, name: str, pod: dict[str, Any]) -> None:
        self._objects[PODS, "shop", name] = pod

    def __delitem__(self, name: str) -> None:
        del self._objects[PODS, "shop", name]

    def __iter__(self) -> Iterator[str]:
        return (key[2] for key in list(self._objects) if key[0] == PODS)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Permission:
    def __init__(self, *, granted: bool = True) -> None:
        self.granted = granted

    def may_write(self) -> bool:
        return self.granted


class SilentPrometheus:
    """Answers nothing, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[frozenset[EngineType]] = []

    async def sample(self, engine_types: frozenset[EngineType]) -> MetricsAnswer:
        self.asked.append(engine_types)
        return MetricsAnswer(samples={}, problems={})

    async def wakes(self, _: Mapping[ResourceKey, WakeSignal]) -> WakeAnswer:
        return WakeAnswer({})


class Operator:
    """A loop whose ticks a test makes by hand."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.prometheus = SilentPrometheus()
        self.metrics = OperatorMetrics()
        self.lease: Any = Permission()
        self.loop = Loop(
            settings=Settings(number_write_interval_seconds=0),
            client=fake,
            prometheus=self.prometheus,  # type: ignore[arg-type]
            lease=self.lease,
            metrics=self.metrics,
        )
        self.loop.mirrors = FakeMirrors(fake)  # type: ignore[assignment]

    async def ticks(self, count: int = 1) -> None:
        for _ in range(count):
            await self.loop.tick()

    def replicas(self, name: str = "chat") -> int:
        replicas: int = self.fake.objects[DEPLOYMENTS, "shop", f"{name}-q8"]["spec"]["replicas"]
        return replicas

    def condition(self, kind: str, name: str = "chat") -> dict[str, Any]:
        conditions = self.fake.objects[LLM_DEPLOYMENTS, "shop", name]["status"]["conditions"]
        found: dict[str, Any] = next(one for one in conditions if one["type"] == kind)
        return found


def remembered(*parts: Any) -> dict[str, int]:
    """Return the size of every container of a loop, or of another part, and of the controller's parts below it."""
    found: dict[str, int] = {}
    for part in parts:
        for name, value in vars(part).items():
            if isinstance(value, dict | set | list):
                key = f"{type(part).__name__}.{name}"
                found[key] = found.get(key, 0) + len(value)
            elif type(value) in _PARTS:
                found |= remembered(value)
    return found


_PARTS = (Canaries, Journal, Predictions, Reporter, SideBySide, Unchanged)


def declare(fake: Any, resource: dict[str, Any], name: str = "chat", **metadata: Any) -> dict[str, Any]:
    """Store an LLMDeployment of one variant."""
    body = copy.deepcopy(resource)
    body["metadata"] |= {"name": name, "uid": f"uid-of-{name}", "generation": 1, **metadata}
    body["spec"]["variants"] = body["spec"]["variants"][:1]
    body["status"] = {}
    fake.objects[LLM_DEPLOYMENTS, "shop", name] = body
    return body
