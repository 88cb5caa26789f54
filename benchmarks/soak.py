"""Simulated hours of churn: what an operator holds at their end, and when everything is gone.

    python -m benchmarks.soak                # 24 hours: 93 s an hour on a busy machine
    python -m benchmarks.soak --hours 4

Run from the repository's root. One whole operator (mirrors, Lease, loop, client of the API server over HTTP, client of
Prometheus on its threads) beside `benchmarks.simulated_cluster`, in one process and in simulated time, so that what is
measured is both. Models are created, edited and deleted, pods die, Prometheus is gone, the API server refuses, watches
are cut, and versions to watch from expire. Generations that canaries ask for always succeed.

Exits with 1 if memory grows by 5 % after the warm-up, if there are more tasks or open files than then, or if anything
is remembered of models that are gone.
"""

import argparse
import asyncio
import gc
import os
import resource as process_resources
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from benchmarks.simulated_cluster import POD_TOKENS_PER_SECOND, SPEC, SimulatedCluster
from benchmarks.simulated_time import SimulatedTimeLoop
from kubernetes.aio.client import Configuration
from tests.controller.http_api_server import no_fault, refusal
from tests.controller.operator_in_memory import remembered

from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS, PODS
from tokenpace.cluster.lease import Lease
from tokenpace.controller.canaries import Canaries
from tokenpace.controller.collection import collect_seldom
from tokenpace.controller.loop import Loop
from tokenpace.controller.settings import Settings
from tokenpace.probing.outcome import Outcome, Passed
from tokenpace.probing.question import Question
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.telemetry.metrics import OperatorMetrics

MODELS: Final = 6
STEP_SECONDS: Final = 10.0
HOUR_SECONDS: Final = 3600.0
START: Final = 1_800_000_000.0
WARM_HOURS: Final = 2
LIMIT_GROWTH: Final = 0.05
QUIET_SECONDS: Final = 300.0
"""After everything was deleted: long enough for every watch to have told it."""
MEBIBYTE: Final = 1024 * 1024
NAMESPACE: Final = "shop"

CHANCE_A_STEP: Final = {
    "demand": 0.2,
    "replace": 1 / 60,
    "edit": 1 / 30,
    "kill": 1 / 30,
    "cut": 1 / 60,
    "expire": 1 / 360,
}
"""A step is ten seconds: another demand every minute, another model every ten ..."""

MINUTES_WITHOUT_PROMETHEUS: Final = range(20, 25)
MINUTES_WITHOUT_API_SERVER: Final = range(40, 42)
"""Of every hour."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds at one moment."""

    mebibytes: float
    tasks: int
    files: int
    remembered: int
    """Entries of every container below the loop."""

    @classmethod
    def now(cls, loop: Loop) -> "Held":
        """Return what is held once garbage is gone."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return cls(
            mebibytes=pages * process_resources.getpagesize() / MEBIBYTE,
            tasks=len(asyncio.all_tasks()),
            files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - counted, not read
            remembered=sum(held_by(loop).values()),
        )


def held_by(loop: Loop) -> dict[str, int]:
    """Return the size of every container that the loop, its parts and its mirrors fill."""
    return remembered(loop, *loop.mirrors.by_name.values())


class Churn:
    """What happens to the cluster in each step."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._chance = cluster.chance
        self._made = 0
        for _ in range(MODELS):
            self._create()

    def step(self, step: int) -> None:
        """Let things happen, some by chance and some at their minute of each hour."""
        for what, chance in CHANCE_A_STEP.items():
            if self._chance.random() < chance:
                getattr(self, f"_{what}")()
        minute = int(step * STEP_SECONDS % HOUR_SECONDS / 60)
        self._cluster.prometheus_answers = minute not in MINUTES_WITHOUT_PROMETHEUS
        self._cluster.fault = unavailable if minute in MINUTES_WITHOUT_API_SERVER else no_fault

    def delete_everything(self) -> None:
        """Delete every model, in a cluster that is well otherwise."""
        self._cluster.prometheus_answers, self._cluster.fault = True, no_fault
        for name in self._names():
            self._cluster.delete_model(name, NAMESPACE)

    def _names(self) -> list[str]:
        return [key[2] for key in self._cluster.fake.objects if key[0] == LLM_DEPLOYMENTS]

    def _any(self) -> str:
        return self._chance.choice(self._names())

    def _create(self) -> None:
        self._made += 1
        self._cluster.declare_model(f"chat-{self._made}", NAMESPACE, two_variants())
        self._cluster.demand[NAMESPACE, f"chat-{self._made}"] = POD_TOKENS_PER_SECOND

    def _replace(self) -> None:
        self._cluster.delete_model(self._any(), NAMESPACE)
        self._create()

    def _demand(self) -> None:
        self._cluster.demand[NAMESPACE, self._any()] = self._chance.uniform(0.0, 2.0) * POD_TOKENS_PER_SECOND

    def _edit(self) -> None:
        spec = two_variants()
        match self._chance.randrange(3):
            case 0:
                spec["variants"][0]["engine"]["env"] = [{"name": "NUMBER", "value": str(self._chance.random())}]
            case 1:
                spec["scaling"] = {**spec["scaling"], "mode": "Manual", "variant": self._chance.choice(["q8", "q4"])}
            case _:
                spec["scaling"] = {**spec["scaling"], "minReplicas": self._chance.randint(1, 3)}
        self._cluster.declare_model(self._any(), NAMESPACE, spec)

    def _kill(self) -> None:
        pods = [key[1:] for key in self._cluster.fake.objects if key[0] == PODS]
        if pods:
            self._cluster.kill_pod(*self._chance.choice(pods))

    def _cut(self) -> None:
        self._cluster.cut()

    def _expire(self) -> None:
        self._cluster.forget_all_but(1)
        self._cluster.cut()


def two_variants() -> dict[str, Any]:
    """Return a spec whose fleet can be switched."""
    (best,) = SPEC["variants"]
    return {
        **SPEC,
        "variants": [
            {**best, "engine": {**best["engine"]}, "quality": "100"},
            {**best, "engine": {**best["engine"]}, "name": "q4", "quantization": "q4_0", "quality": "97"},
        ],
    }


async def unavailable(_: web.Request) -> web.Response:
    """Refuse everything."""
    return refusal(503, "ServiceUnavailable")


async def generate(_: Question) -> Outcome:
    """Answer a canary."""
    return PASSED


PASSED: Final = Passed(**dict.fromkeys((field.name for field in fields(Passed)), 1.0))


def operator_of(cluster: SimulatedCluster) -> tuple[Loop, ApiClient, Lease]:
    """Return an operator whose clocks are the simulated ones."""
    clock = asyncio.get_running_loop().time

    async def log_in(_: Configuration) -> None:
        pass

    address = f"http://127.0.0.1:{cluster.port}"
    client = ApiClient(Configuration(host=address, api_key={"BearerToken": "Bearer first"}), log_in)
    lease = Lease(client, namespace="ops", identity="a", clock=clock)
    settings = Settings(prometheus=PrometheusSettings(url=address))
    loop = Loop(
        settings=settings,
        client=client,
        prometheus=Prometheus(settings.prometheus),
        lease=lease,
        metrics=OperatorMetrics(),
        wall_clock=lambda: START + clock(),
        monotonic=clock,
    )
    loop._canaries = Canaries(on_result=loop._on_canary, try_generation=generate, monotonic=clock)  # noqa: SLF001
    return loop, client, lease


def told(held: Held, hours: float) -> None:
    """Print one line."""
    print(
        f"{hours:5.1f} h: {held.mebibytes:.1f} MiB, {held.tasks} tasks, {held.files} open files, "
        f"{held.remembered} entries remembered",
        flush=True,
    )


async def soak(hours: int) -> list[str]:
    """Run, print what is held at every hour, and return what is wrong at the end."""
    cluster = SimulatedCluster(START, kept_changes=500)
    await cluster.start()
    churn = Churn(cluster)
    loop, client, lease = operator_of(cluster)
    works = (lease.run(), loop.run(), *(mirror.run() for mirror in loop.mirrors.by_name.values()))
    tasks = [asyncio.create_task(work) for work in works]

    async def wait(seconds: float) -> None:
        for _ in range(int(seconds / STEP_SECONDS)):
            await asyncio.sleep(STEP_SECONDS)
            cluster.pass_time(STEP_SECONDS)

    warm = last = Held.now(loop)
    for step in range(int(hours * HOUR_SECONDS / STEP_SECONDS)):
        churn.step(step)
        await wait(STEP_SECONDS)
        hour, rest = divmod((step + 1) * STEP_SECONDS, HOUR_SECONDS)
        if rest == 0:
            last = Held.now(loop)
            told(last, hour)
            warm = last if hour <= WARM_HOURS else warm
    churn.delete_everything()
    await wait(QUIET_SECONDS)
    print(f"{cluster.counted.requests} requests of the API server, {cluster.counted.queries} of Prometheus")
    wrong = list(findings(warm, last, loop))
    told(Held.now(loop), hours)
    ended = [str(task) for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await client.close()
    await cluster.stop()
    return wrong + ended


def findings(warm: Held, last: Held, loop: Loop) -> Iterator[str]:
    """Yield what has grown, and what is remembered of what is gone."""
    growth = last.mebibytes / warm.mebibytes - 1
    print(f"memory has grown by {growth:.1%} since the warm-up")
    if growth >= LIMIT_GROWTH:
        yield "memory grows"
    # At each hour some request may be under way: a task or a connection more is no growth, one an hour would be.
    for name in ("tasks", "files"):
        before, after = getattr(warm, name), getattr(last, name)
        if after > before + 10:
            yield f"{name}: {before} have become {after}"
    for name, entries in held_by(loop).items():
        if entries:
            yield f"{name} has {entries} entries though everything is gone"


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    hours = parser.parse_args().hours
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    collect_seldom()
    begun = time.monotonic()
    with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
        wrong = runner.run(soak(hours))
    print(f"{hours} simulated hours in {time.monotonic() - begun:.0f} s; wrong: {'; '.join(wrong) or 'nothing'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
