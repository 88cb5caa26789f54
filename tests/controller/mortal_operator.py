"""An operator that ends with any call it makes, and hears of the cluster late, twice, or of what is gone."""

import asyncio
import copy
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from tests.controller.operator_in_memory import Operator
from tests.controller.simulated_cluster import SimulatedCluster
from tests.controller.test_switch import TICK_SECONDS

from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, LLM_DEPLOYMENTS, PODS, SERVICES, Kind
from tokenpace.controller.canaries import Canaries
from tokenpace.controller.mirrors import Mirrors
from tokenpace.controller.objective import Objectives
from tokenpace.planning.slo_accounting import SLOSlots
from tokenpace.probing.outcome import Outcome
from tokenpace.probing.question import Question
from tokenpace.prometheus.samples import MetricsAnswer
from tokenpace.prometheus.wake import WakeAnswer

T = TypeVar("T")
Body = dict[str, Any]

WATCHED = (LLM_DEPLOYMENTS, DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS, PODS)


class Killed(BaseException):
    """The end of a process."""


class Lifeline:
    """What every call of one process goes through: to the API server, to Prometheus, to pods. One may be the last."""

    def __init__(self) -> None:
        self.last_call: str | None = None
        """The one that the process ended with; None while it lives."""
        self._kinds: tuple[str, ...] = ()
        self._left = math.inf
        self._after = False

    def end_at(self, kinds: tuple[str, ...], left: int, *, after: bool) -> None:
        """End the process at a call that is named by one of these, before or after it has its effect.

        ``left`` such calls are made before.
        """
        self._kinds, self._left, self._after = kinds, left, after

    async def before(self, call: str) -> None:
        """Let others get on, and end here where the process does, or has ended."""
        await asyncio.sleep(0)
        if self.last_call is not None:
            raise Killed
        if call.startswith(self._kinds):
            self._left -= 1
        if self._left < 0 and not self._after:
            self._end(call)

    async def after(self, call: str) -> None:
        if self._left < 0:
            self._end(call)

    async def carry(self, call: str, answer: Callable[[], Awaitable[T]]) -> T:
        await self.before(call)
        found = await answer()
        await self.after(call)
        return found

    def _end(self, call: str) -> None:
        self.last_call = f"{'after' if self._after else 'before'} {call}"
        raise Killed


class History:
    """What the API server tells whoever watches: every change, and when it was made."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self.known: dict[tuple[Kind, str, str], Body] = {}
        self.changes: dict[Kind, list[tuple[float, str, Body]]] = {kind: [] for kind in WATCHED}

    def note(self) -> None:
        """Note what has changed since the last time."""
        present = {key: body for key, body in self._cluster.fake.objects.items() if key[0] in WATCHED}
        for key in self.known.keys() - present.keys():
            self._add("DELETED", key[0], self.known.pop(key))
        for key, body in present.items():
            if (before := self.known.get(key)) != body:
                self.known[key] = copy.deepcopy(body)
                self._add("ADDED" if before is None else "MODIFIED", key[0], self.known[key])

    def _add(self, change: str, kind: Kind, body: Body) -> None:
        self.changes[kind].append((self._cluster.now, change, body))


class Hearsay:
    """What one operator's mirrors are told: all of it, in the order in which it happened, and how late chance says."""

    def __init__(self, history: History, mirrors: Mirrors) -> None:
        self._history = history
        self._mirrors = {mirror._kind: mirror for mirror in mirrors.by_name.values()}
        self.ticks_late = Counter[Kind]()
        self._heard = {kind: len(changes) for kind, changes in history.changes.items()}
        for key, body in history.known.items():
            self._tell(key[0], "ADDED", body)
        for mirror in self._mirrors.values():
            mirror._synced.set()

    def hear(self, now: float) -> None:
        for kind, changes in self._history.changes.items():
            until = now - self.ticks_late[kind] * TICK_SECONDS
            while self._heard[kind] < len(changes) and changes[self._heard[kind]][0] <= until:
                self._tell(kind, *changes[self._heard[kind]][1:])
                self._heard[kind] += 1

    def hear_again(self, kind: Kind) -> None:
        """Repeat the last event of a kind."""
        if past := self._past(kind):
            self._tell(kind, *past[-1][1:])

    def see_the_gone(self, kind: Kind) -> Body | None:
        """Show once more what was deleted last, as it was last; nothing where all that is known of is there."""
        gone = next((body for _, change, body in reversed(self._past(kind)) if change == "DELETED"), None)
        if gone is None or _key(gone) in self._mirrors[kind].objects:
            return None
        self._tell(kind, "MODIFIED", gone)
        return gone

    def lose_the_gone(self, kind: Kind, gone: Body) -> None:
        """Say of a phantom what was said of it last."""
        said = next(one for one in reversed(self._past(kind)) if _key(one[2]) == _key(gone))
        self._tell(kind, *said[1:])

    def _past(self, kind: Kind) -> list[tuple[float, str, Body]]:
        return self._history.changes[kind][: self._heard[kind]]

    def _tell(self, kind: Kind, change: str, body: Body) -> None:
        self._mirrors[kind]._take(change, body)


def _key(body: Body) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


class MortalOperator:
    """One process: all of an operator but its Lease, with connections and mirrors of its own."""

    def __init__(self, cluster: SimulatedCluster, history: History) -> None:
        self._cluster, self.line = cluster, Lifeline()
        self.connection = connection = cluster.fake.connection()
        connection.before, connection.after = self.line.before, self.line.after
        self.loop = loop = Operator(connection).loop
        loop.mirrors = Mirrors(connection, on_change=loop._on_change)  # type: ignore[arg-type]
        self.hearsay = Hearsay(history, loop.mirrors)
        loop._prometheus = self  # type: ignore[assignment]
        loop._objectives = Objectives(self)  # type: ignore[arg-type]
        loop._wall_clock = loop._monotonic = loop._reporter._monotonic = lambda: cluster.now
        loop._canaries = Canaries(
            on_result=loop._on_canary, try_generation=self._generate, monotonic=lambda: cluster.now
        )
        self.was_told_of_load = False
        """Whether Prometheus said in the last tick that somebody asks."""
        self.spec_seen: Body = {}
        """What was declared, as far as it was heard of by the last tick."""

    async def tick(self) -> None:
        """Tick, and let the canaries that this begins come to their end. A process that ends does neither."""
        self.was_told_of_load = False
        self.hearsay.hear(self._cluster.now)
        self.spec_seen = self.loop.mirrors.resources.objects["shop", "chat"]["spec"]
        with suppress(Killed):
            await self.loop.tick()
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Take everything with it that is under way."""
        tasks = [trial.task for trials in self.loop._canaries._trials.values() for trial in trials.values()]
        self.loop._under_way.cancel()
        self.loop._canaries.forget_all_but(())
        await asyncio.gather(*tasks, return_exceptions=True)

    def stand_by(self) -> None:
        """Forget, as the loop does while it may not write."""
        self.loop._forget_all_but(())

    async def sample(self, dialects: object) -> MetricsAnswer:
        answer = await self.line.carry("Prometheus: samples", partial(self._cluster.sample, dialects))
        self.was_told_of_load |= self._cluster.is_asked()
        return replace(answer, at_seconds=self._cluster.now)

    async def wakes(self, signals: Mapping[tuple[str, str], object]) -> WakeAnswer:
        return await self.line.carry("Prometheus: wakes", partial(self._cluster.wakes, signals))

    async def slots(self, **_: int) -> dict[str, SLOSlots]:
        async def no_verdicts() -> dict[str, SLOSlots]:
            return {}

        return await self.line.carry("Prometheus: slots", no_verdicts)

    async def _generate(self, question: Question) -> Outcome:
        return await self.line.carry("canary", partial(self._cluster.generate, question))
