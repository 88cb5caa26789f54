"""The process: kopf's start-up, login, probes, watch of LLMDeployments and shutdown, around our own loop.

kopf wakes the loop and ends the process; it decides nothing. No timers or daemons on resources (they add
finalizers), no admission webhooks, no annotations: a removed operator leaves nothing behind.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import kopf
import structlog
from prometheus_client import start_http_server

from tokenpace.api.names import GROUP, PLURAL, VERSION
from tokenpace.cluster.calls import Call
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.lease import Lease, Serves
from tokenpace.controller.collection import collect_seldom
from tokenpace.controller.loop import Loop
from tokenpace.controller.mirrors import Mirrors
from tokenpace.controller.settings import Settings
from tokenpace.controller.status_page import StatusPage, standing_of
from tokenpace.prometheus.client import Prometheus
from tokenpace.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)

_WATCH_SECONDS = 300
"""kopf's watches are renewed this often: a silently dead connection is noticed at the latest then."""


class Process:
    """Everything that lives as long as the process, started and stopped in one place."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: Loop | None = None
        self._leases: Sequence[Lease] = ()
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self.ended = asyncio.Event()
        self.failure: BaseException | None = None

    async def start(self) -> None:
        """Connect, begin to mirror the cluster, and start the loop."""
        settings = self._settings
        collect_seldom()
        metrics = OperatorMetrics()
        start_http_server(settings.metrics_port, registry=metrics.registry)

        def count(call: Call, status: int) -> None:
            metrics.kubernetes_requests.labels(call.verb, call.group, call.resource, status).inc()

        client = await ApiClient.from_environment(on_answer=count)
        prometheus = Prometheus(settings.prometheus)
        self._leases = leases_of(settings, client)
        self._closers = [prometheus.close, client.close]
        lease = self._leases[-1]
        self._loop = Loop(settings=settings, client=client, prometheus=prometheus, lease=lease, metrics=metrics)
        if settings.status_page_port is not None:
            await self._show(settings.status_page_host, settings.status_page_port, self._loop.mirrors, lease)
        for one in self._leases:
            self._spawn("lease", one.run())
        for name, mirror in self._loop.mirrors.by_name.items():
            self._spawn(f"mirror of {name}", mirror.run())
        self._spawn("loop", self._loop.run())

    async def _show(self, host: str, port: int, mirrors: Mirrors, lease: Lease) -> int:
        """Serve the status page to whoever reaches it, and return its port."""
        page = StatusPage(resources=lambda: mirrors.resources.objects, standing=lambda: standing_of(mirrors, lease))
        self._closers.append(page.close)
        self._spawn("status page", page.look())
        return await page.start(host, port)

    async def stop(self) -> None:
        """Give the lease back, so that the next operator need not wait for it, and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(lease.release() for lease in self._leases))
        for close in self._closers:
            await close()

    def wake(self) -> None:
        """Let the loop run now."""
        if self._loop is not None:
            self._loop.wake()

    def check_alive(self) -> None:
        """Raise if ticks have stopped."""
        if self._loop is None:
            return
        age_seconds = time.monotonic() - self._loop.last_pass_monotonic_seconds
        limit_seconds = self._settings.liveness_ticks * max(self._settings.tick_seconds, 5.0)
        if age_seconds > limit_seconds:
            raise kopf.PermanentError(f"the last tick ended {age_seconds:.0f} s ago, limit {limit_seconds:.0f} s")

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        """End the process with any of its tasks: Kubernetes restarts it fast, half an operator would linger."""
        if task.cancelled():
            return
        self.failure = task.exception() or RuntimeError(f"the {task.get_name()} ended")
        log.error("task ended", task=task.get_name(), exc_info=self.failure)
        self.ended.set()


def leases_of(settings: Settings, client: ApiClient) -> Sequence[Lease]:
    """Return the chain of Leases that whoever serves the same resources asks for too; the last one gives the right."""
    identity = settings.lease.identity
    if not settings.namespaces:
        return (Lease(client, namespace=settings.lease.namespace, identity=identity),)
    chain: list[Lease] = []
    for namespace in sorted(set(settings.namespaces)):
        after = chain[-1] if chain else None
        chain.append(Lease(client, namespace=namespace, identity=identity, serves=Serves.NAMESPACE, after=after))
    return chain


def register(registry: kopf.OperatorRegistry, process: Process) -> None:
    """Register every handler that the operator needs with kopf."""

    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def start(settings: kopf.OperatorSettings, **_: object) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.peering.standalone = True
        settings.watching.server_timeout = _WATCH_SECONDS
        settings.watching.client_timeout = _WATCH_SECONDS + 10
        settings.networking.request_timeout = 30
        await process.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: object) -> None:
        await process.stop()

    @kopf.on.login(registry=registry)
    def login(settings: kopf.OperatorSettings, **_: object) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)

    @kopf.on.probe(registry=registry, id="ticks", errors=kopf.ErrorsMode.PERMANENT)
    def ticks(**_: object) -> str:
        process.check_alive()
        return "running"

    seen: dict[str, tuple[object, object]] = {}

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def changed(type: str | None, uid: str, meta: kopf.Meta, **_: object) -> None:  # noqa: A002 (kopf's name)
        """Wake the loop when the spec changed or the resource is going; status writes wake nobody."""
        state = (meta.get("generation"), meta.get("deletionTimestamp"))
        if type == "DELETED":
            seen.pop(uid, None)
        elif seen.get(uid) == state:
            return
        else:
            seen[uid] = state
        process.wake()


async def serve(settings: Settings) -> None:
    """Run the operator until it is told to stop.

    Raises:
        RuntimeError: one of its tasks ended; the cause is attached.
    """
    registry = kopf.OperatorRegistry()
    process = Process(settings)
    register(registry, process)
    await kopf.operator(
        registry=registry,
        settings=kopf.OperatorSettings(),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        standalone=True,
        stop_flag=process.ended,
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )
    if process.failure is not None:
        raise RuntimeError("the operator ended because one of its tasks did") from process.failure
