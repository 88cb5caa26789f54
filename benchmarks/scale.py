"""The operator's whole loop over 1, 100, 500 and 2,000 LLMDeployments of about four pods each, on one core.

    python -m benchmarks.scale
    python -m benchmarks.scale 100        # one size alone, without a plot

Run from the repository's root. Mirrors, Lease, loop, client of the API server and client of Prometheus are the
operator's own, in a process of their own on the first core. What they talk to is a fake on the second core
(`benchmarks.simulated_cluster`). Between two ticks ten simulated seconds pass, in which one model in twenty gets
another demand, and half a real second, as between two ticks that follow each other at once. The Lease lives in real
time.

Exits with 1 if a limit of docs/reliability.md is broken. Writes docs/scale.png.
"""

import asyncio
import gc
import math
import multiprocessing
import os
import resource as process_resources
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from benchmarks.simulated_cluster import POD_TOKENS_PER_SECOND, Counted, SimulatedCluster
from kubernetes.aio.client import Configuration

from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.lease import Lease
from tokenpace.controller.collection import collect_after_pass, collect_seldom
from tokenpace.controller.loop import Loop
from tokenpace.controller.settings import Settings
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.telemetry.logs import configure
from tokenpace.telemetry.metrics import OperatorMetrics

SIZES: Final = (1, 100, 500, 2_000)
TICKS: Final = 60
SETTLING_TICKS: Final = 20
TICK_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.5
START: Final = 1_800_000_000.0
CHURN_SHARE: Final = 0.05
SATURATED_PODS: Final = (1.2, 2.2)
"""Demand is drawn between what these many pods can generate at most, for which about twice as many are needed."""

LIMIT_TICK_SECONDS: Final = 2.0
LIMIT_MEBIBYTES: Final = 512.0
LIMIT_NUMBER_WRITES_PER_SECOND: Final = 20.0
"""Of numbers alone. What has happened to conditions and to the fleet is written at once, however much it is."""
LIMIT_LEASE_AGE_SECONDS: Final = 7.0
"""Older, and nothing may be written any more."""
LIMIT_NUMBER_GAP_SECONDS: Final = 60.0
HEARTBEAT_SECONDS: Final = 0.005
MEBIBYTE: Final = 1024 * 1024
PLOT: Final = Path("docs/scale.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one size has cost."""

    resources: int
    pods: int
    start_seconds: float
    """From the first request to the end of the first tick, in which everything is created."""
    tick_seconds: tuple[float, ...]
    processor_seconds: tuple[float, ...]
    """Time that the operator's process computed in each of these ticks."""
    stall_seconds: float
    """Longest time for which the event loop did nothing else, once settled."""
    lease_age_seconds: float
    """Longest time between two renewals of the Lease."""
    mebibytes: float
    queries_a_tick: float
    status_writes_per_second: float
    number_writes_per_second: float
    """Those of them that changed numbers and sentences alone."""
    shortest_number_gap_seconds: float

    def tick(self, share: float) -> float:
        """Return a quantile of the ticks' durations (nearest rank)."""
        return sorted(self.tick_seconds)[math.ceil(share * len(self.tick_seconds)) - 1]

    def broken(self) -> list[str]:
        """Return the limits that do not hold."""
        limits = {
            "tick p99": self.tick(0.99) <= LIMIT_TICK_SECONDS,
            "memory": self.mebibytes <= LIMIT_MEBIBYTES,
            "number writes": self.number_writes_per_second <= LIMIT_NUMBER_WRITES_PER_SECOND,
            "Lease": self.lease_age_seconds < LIMIT_LEASE_AGE_SECONDS,
            "numbers of one resource": self.shortest_number_gap_seconds >= LIMIT_NUMBER_GAP_SECONDS,
        }
        return [name for name, holds in limits.items() if not holds]


# --- the cluster's process -------------------------------------------------------------------------------------------


def serve(connection: Connection, resources: int) -> None:
    """Be the cluster: send its port, then let time pass whenever told to, and answer with what was asked of it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cluster = SimulatedCluster(START)
    fleets = [(f"team-{number % 50}", f"chat-{number}") for number in range(resources)]

    def change_demand(share: float) -> None:
        for fleet in cluster.chance.sample(fleets, math.ceil(share * len(fleets))):
            cluster.demand[fleet] = cluster.chance.uniform(*SATURATED_PODS) * POD_TOKENS_PER_SECOND

    def step() -> None:
        if not connection.poll():
            return
        seconds = connection.recv()
        change_demand(CHURN_SHARE)
        cluster.pass_time(seconds)
        connection.send((cluster.counted, len(cluster.engines)))
        cluster.counted = Counted()

    async def listen() -> None:
        await cluster.start()
        for namespace, name in fleets:
            cluster.declare_model(name, namespace)
        change_demand(1.0)
        gc.freeze()
        asyncio.get_running_loop().add_reader(connection.fileno(), step)
        connection.send(cluster.port)
        await asyncio.Event().wait()

    asyncio.run(listen())


# --- the operator's process ------------------------------------------------------------------------------------------


class TimedLease(Lease):
    """A Lease that notes how old it became at most."""

    oldest_seconds = 0.0
    _renewed_at = math.inf

    async def _renew(self, started_at_seconds: float) -> None:
        await super()._renew(started_at_seconds)
        now = time.monotonic()
        self.oldest_seconds = max(self.oldest_seconds, now - self._renewed_at)
        self._renewed_at = now


class Heartbeat:
    """Notes the longest time for which the event loop kept a task waiting that was due."""

    def __init__(self) -> None:
        self.longest_stall_seconds = 0.0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            stalled = time.monotonic() - begun - HEARTBEAT_SECONDS
            self.longest_stall_seconds = max(self.longest_stall_seconds, stalled)


def resident_mebibytes() -> float:
    """Return the most memory that this process has held."""
    return process_resources.getrusage(process_resources.RUSAGE_SELF).ru_maxrss * 1024 / MEBIBYTE


class SharedTime:
    """The time of the operator and its cluster, which goes on for both at once."""

    def __init__(self, cluster: Connection) -> None:
        self._cluster = cluster
        self._now = START

    def now(self) -> float:
        """Return the operator's clock."""
        return self._now

    async def go_on(self) -> tuple[Counted, int]:
        """Let a tick's time pass; return what the cluster has counted since the last time, and its pods."""
        self._now += TICK_SECONDS
        collect_after_pass(round((self._now - START) / TICK_SECONDS))  # as the loop does it between two ticks
        self._cluster.send(TICK_SECONDS)
        answer: tuple[Counted, int] = await asyncio.to_thread(self._cluster.recv)
        await asyncio.sleep(PAUSE_SECONDS)
        return answer


def operator_of(port: int, clock: Callable[[], float]) -> tuple[ApiClient, TimedLease, Loop]:
    """Return the parts of an operator whose API server and Prometheus are both at a port."""

    async def log_in(_: Configuration) -> None:
        pass

    address = f"http://127.0.0.1:{port}"
    client = ApiClient(Configuration(host=address, api_key={"BearerToken": "Bearer first"}), log_in)
    settings = Settings(prometheus=PrometheusSettings(url=address))
    lease = TimedLease(client, namespace="ops", identity="a")
    loop = Loop(
        settings=settings,
        client=client,
        prometheus=Prometheus(settings.prometheus),
        lease=lease,
        metrics=OperatorMetrics(),
        wall_clock=clock,
        monotonic=clock,
    )
    return client, lease, loop


async def operate(port: int, cluster: Connection, resources: int) -> Figures:
    """Run an operator until it has settled, and then for the ticks that count."""
    shared_time = SharedTime(cluster)
    client, lease, loop = operator_of(port, shared_time.now)
    heartbeat = Heartbeat()
    works = (lease.run(), heartbeat.run(), *(mirror.run() for mirror in loop.mirrors.by_name.values()))
    begun = time.monotonic()
    tasks = [asyncio.create_task(work) for work in works]
    while not (loop.mirrors.synced and lease.may_write()):  # noqa: ASYNC110 - the Lease tells nobody
        await asyncio.sleep(0.1)

    await loop.tick()
    start_seconds = time.monotonic() - begun
    for _ in range(SETTLING_TICKS):
        await shared_time.go_on()
        await loop.tick()
    await shared_time.go_on()
    heartbeat.longest_stall_seconds = lease.oldest_seconds = 0.0
    ticks, processor, counted, pods = [], [], [], 0
    for _ in range(TICKS):
        begun, computed = time.monotonic(), time.process_time()
        await loop.tick()
        ticks.append(time.monotonic() - begun)
        processor.append(time.process_time() - computed)
        was, pods = await shared_time.go_on()
        counted.append(was)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await client.close()
    return Figures(
        resources=resources,
        pods=pods,
        start_seconds=start_seconds,
        tick_seconds=tuple(ticks),
        processor_seconds=tuple(processor),
        stall_seconds=heartbeat.longest_stall_seconds,
        lease_age_seconds=lease.oldest_seconds,
        mebibytes=resident_mebibytes(),
        queries_a_tick=sum(one.queries for one in counted) / TICKS,
        status_writes_per_second=sum(one.status_writes for one in counted) / (TICKS * TICK_SECONDS),
        number_writes_per_second=sum(one.number_writes for one in counted) / (TICKS * TICK_SECONDS),
        shortest_number_gap_seconds=min(one.shortest_number_gap_seconds for one in counted),
    )


def run_operator(result: Connection, port: int, cluster: Connection, resources: int) -> None:
    """Send the figures of one size."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    collect_seldom()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure("INFO", nowhere)
        result.send(asyncio.run(operate(port, cluster, resources)))


# --- the measurement -------------------------------------------------------------------------------------------------


def started(work: Callable[..., None], *arguments: Any) -> tuple[multiprocessing.Process, Connection]:
    """Start a process that has one end of a pipe; return it with the other end."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    return process, ours  # type: ignore[return-value]


def measure(resources: int) -> Figures:
    """Return the figures of one size, from two fresh processes."""
    server, cluster = started(serve, resources)
    operator, result = started(run_operator, cluster.recv(), cluster, resources)
    figures: Figures = result.recv()
    operator.join()
    server.terminate()
    return figures


def described(one: Figures) -> str:
    """Return one row for docs/benchmarks.md."""
    cells = (
        f"{one.resources:,}",
        f"{one.pods:,}",
        f"{one.start_seconds:.1f} s",
        f"{one.tick(0.5):.2f} s",
        f"{one.tick(0.99):.2f} s",
        f"{max(one.processor_seconds):.2f} s",
        f"{1000 * one.stall_seconds:.0f} ms",
        f"{one.lease_age_seconds:.1f} s",
        f"{one.mebibytes:.0f} MiB",
        f"{one.queries_a_tick:g}",
        f"{one.status_writes_per_second:.1f}/s",
        f"{one.number_writes_per_second:.1f}/s",
        f"{one.shortest_number_gap_seconds:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


def draw(found: Sequence[Figures]) -> None:
    """Plot how the tick and the memory grow."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the processes that are measured need none of it

    sizes = [one.resources for one in found]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    ticks, memory = figure.subplots(1, 2)
    for share, name in ((0.5, "median"), (0.99, "p99")):
        ticks.plot(sizes, [one.tick(share) for one in found], marker="o", label=name)
    ticks.axhline(LIMIT_TICK_SECONDS, linestyle="--", color="grey", label="limit")
    ticks.set(xlabel="LLMDeployments, four pods each", ylabel="seconds", title="One tick, on one core", ylim=0)
    ticks.legend()
    memory.plot(sizes, [one.mebibytes for one in found], marker="o", label="most held")
    memory.axhline(LIMIT_MEBIBYTES, linestyle="--", color="grey", label="limit")
    memory.set(xlabel="LLMDeployments, four pods each", ylabel="MiB", title="Resident memory", ylim=0)
    memory.legend()
    figure.savefig(PLOT, dpi=110)


def main(arguments: Sequence[str]) -> int:
    """Print the figures; return the exit code."""
    print(
        "| LLMDeployments | pods | start | tick p50 | tick p99 | computed at most | longest stall | Lease at most "
        "| memory | queries a tick | status writes | of numbers alone | these again after |"
    )
    found = []
    for size in map(int, arguments) if arguments else SIZES:
        found.append(measure(size))
        print(described(found[-1]), flush=True)
    broken = [f"{one.resources}: {what}" for one in found for what in one.broken()]
    if len({one.queries_a_tick for one in found}) > 1:
        broken.append("queries a tick differ")
    if len(found) == len(SIZES):
        draw(found)
    print(f"broken: {', '.join(broken) or 'nothing'}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
