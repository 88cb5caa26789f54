"""The API server in memory behind real HTTP, with watches, and whole operators on it: mirrors, Lease, client and loop.

For faults of the connection. What it does when nothing is wrong is checked on a real one in tests/apiserver.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web
from kubernetes.aio.client import Configuration
from tests.controller.operator_in_memory import SilentPrometheus

from tokenpace.cluster import kinds
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import Kind
from tokenpace.cluster.lease import Lease, Serves
from tokenpace.controller.loop import Loop
from tokenpace.controller.settings import Settings
from tokenpace.telemetry.metrics import OperatorMetrics

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""What is done with a request instead of answering it; None where it is answered."""

_KINDS = {(kind.api_version, kind.plural): kind for kind in kinds._BY_NAME.values()}


async def no_fault(_: web.Request) -> None:
    return None


def selected(body: dict[str, Any], request: web.Request) -> bool:
    """Tell whether a request's label selector, a name or a name and its value, is about an object."""
    name, _, value = request.query.get("labelSelector", "").partition("=")
    labels = body["metadata"].get("labels", {})
    return not name or (name in labels and value in {"", labels[name]})


def refusal(code: int, reason: str, **headers: str) -> web.Response:
    status = {"kind": "Status", "code": code, "reason": reason, "message": f"{reason} on purpose"}
    return web.json_response(
        status, status=code, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


class HttpApiServer:
    """Serves a `FakeApiServer`. A test sets ``fault``, and may cut every connection."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.fault: Fault = no_fault
        self.credential = "first"
        self.cut_off: set[int] = set()
        """Ports whose connections stay open and carry nothing."""
        self.requests: list[str] = []
        self.expired = False
        """Whether every version to watch from is too old."""
        self.stalled = False
        """Whether watches stay open and bring nothing."""
        self.history: list[dict[str, Any]] = []
        self.forgotten = 0
        """Changes that are in the history no more: whoever watches from before their end lists again."""
        self.forgotten_version = 0
        self._news = asyncio.Event()
        store = fake._store

        def stored(key: Any, body: Any) -> Any:
            change = "MODIFIED" if key in fake.objects else "ADDED"
            after = store(key, body)
            self._tell(change, key[0], after)
            return after

        fake._store = stored

    async def start(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=0)
        await self._runner.setup()
        sites = [web.TCPSite(self._runner, "127.0.0.1", 0) for _ in range(2)]
        for site in sites:
            await site.start()
        self.port, self.other_port = (site._server.sockets[0].getsockname()[1] for site in sites)  # type: ignore[union-attr]

    async def stop(self) -> None:
        self.cut()
        await self._runner.cleanup()

    def cut(self) -> None:
        """Cut every connection, as a restart does."""
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        gone = copy.deepcopy(self.fake.objects.pop((kind, namespace, name)))
        gone["metadata"]["resourceVersion"] = str(next(self.fake._versions))
        self._tell("DELETED", kind, gone)

    def declare(self, body: dict[str, Any]) -> None:
        """Store an object as a user does."""
        self.fake._store((kinds.kind_of(body), body["metadata"]["namespace"], body["metadata"]["name"]), body)

    def _tell(self, change: str, kind: Kind, body: dict[str, Any]) -> None:
        self.history.append({"kind": kind, "event": {"type": change, "object": copy.deepcopy(body)}})
        self._news.set()
        self._news = asyncio.Event()

    async def _pass(self, request: web.Request) -> None:
        """Go on only where the network does."""
        if request.transport is not None and request.transport.get_extra_info("sockname")[1] in self.cut_off:
            await asyncio.sleep(3600)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        await self._pass(request)
        if request.headers.get("Authorization") != f"Bearer {self.credential}":
            return refusal(401, "Unauthorized")
        if (answer := await self.fault(request)) is not None:
            return answer
        try:
            return await self._answer(request)
        except ApiError as error:
            return refusal(error.status or 500, error.reason)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        version = parts[1] if parts[0] == "api" else "/".join(parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = rest[1] if rest[:1] == ["namespaces"] else None
        plural, name, subresource, *_ = [*(rest[2:] if namespace else rest), "", ""]
        kind = _KINDS[version, plural]
        body = await request.json() if request.can_read_body else None
        if request.query.get("watch"):
            return await self._watch(request, kind)
        match request.method:
            case "GET" if not name:
                return web.json_response(self._list(kind, request))
            case "GET":
                found = await self.fake.get(kind, namespace, name, subresource=subresource)
            case "POST":
                found = await self.fake.create(body)
            case "PATCH" if "apply-patch" in request.headers["Content-Type"]:
                found = await self.fake.apply(body)
            case "PATCH":
                found = await self.fake.patch(kind, namespace, name, body, subresource=subresource)
            case _:
                raise ApiError(405, "MethodNotAllowed", request.method)
        return web.json_response(found)

    def _list(self, kind: Kind, request: web.Request) -> dict[str, Any]:
        """Return a page; its token is where the next one begins. Objects that go in between may hide others."""
        items = [body for key, body in self.fake.objects.items() if key[0] == kind and selected(body, request)]
        begin = int(request.query.get("continue") or 0)
        end = begin + int(request.query.get("limit") or len(items))
        token = str(end) if end < len(items) else ""
        return {"metadata": {"resourceVersion": self._version(), "continue": token}, "items": items[begin:end]}

    def forget_all_but(self, changes: int) -> None:
        """Keep only the last changes, as etcd does after a compaction."""
        if dropped := self.history[:-changes]:
            self.forgotten += len(dropped)
            self.forgotten_version = int(dropped[-1]["event"]["object"]["metadata"]["resourceVersion"])
            del self.history[: len(dropped)]

    def _version(self) -> str:
        return str(self.history[-1]["event"]["object"]["metadata"]["resourceVersion"]) if self.history else "0"

    async def _watch(self, request: web.Request, kind: Kind) -> web.StreamResponse:
        """Send what has changed since the version, and then what changes, until the watch has lasted long enough."""
        response = web.StreamResponse()
        with suppress(ConnectionError):  # whoever watches may go
            await response.prepare(request)
            async for event in self._events(kind, request):
                await response.write(json.dumps(event).encode() + b"\n")
        return response

    async def _events(self, kind: Kind, request: web.Request) -> AsyncIterator[dict[str, Any]]:
        ends_at = asyncio.get_running_loop().time() + float(request.query["timeoutSeconds"])
        since, sent = int(request.query["resourceVersion"]), self.forgotten
        is_gone = self.expired or since < self.forgotten_version
        ended = False
        while not ended and not is_gone:
            news, fresh = self._news, self.history[sent - self.forgotten :]
            sent = self.forgotten + len(self.history)
            for one in fresh:
                body = one["event"]["object"]
                if one["kind"] == kind and int(body["metadata"]["resourceVersion"]) > since and selected(body, request):
                    yield one["event"]
            try:
                async with asyncio.timeout_at(ends_at):
                    await news.wait()
            except TimeoutError:
                ended = True
            await self._pass(request)
            if self.stalled:
                await asyncio.sleep(3600)
            is_gone = sent < self.forgotten
        if is_gone:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            yield {"type": "ERROR", "object": gone}
        elif sent == self.forgotten + len(self.history):
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": self._version()}}}


class Always:
    """A Lease that is held by everybody."""

    def may_write(self) -> bool:
        return True


class WholeOperator:
    """Everything that runs in one operator's process, but kopf: it would only wake the loop."""

    def __init__(
        self,
        server: HttpApiServer,
        identity: str = "a",
        *,
        leased: bool = True,
        skew: float = 0.0,
        port: int = 0,
        namespaces: tuple[str, ...] = (),
    ) -> None:
        clock = asyncio.get_running_loop().time

        async def log_in(configuration: Configuration) -> None:
            configuration.api_key["BearerToken"] = f"Bearer {server.credential}"

        configuration = Configuration(
            host=f"http://127.0.0.1:{port or server.port}", api_key={"BearerToken": "Bearer first"}
        )
        self.client = ApiClient(configuration, log_in)
        where = (namespaces[0], Serves.NAMESPACE) if namespaces else ("ops", Serves.CLUSTER)
        self.lease = Lease(self.client, namespace=where[0], serves=where[1], identity=identity, clock=clock)
        self.loop = Loop(
            settings=Settings(number_write_interval_seconds=0, namespaces=namespaces),
            client=self.client,
            prometheus=SilentPrometheus(),  # type: ignore[arg-type]
            lease=self.lease if leased else Always(),  # type: ignore[arg-type]
            metrics=OperatorMetrics(),
            wall_clock=lambda: 1_800_000_000.0 + skew + clock(),
            monotonic=clock,
        )
        self._work = [self.loop.run(), *(mirror.run() for mirror in self.loop.mirrors.by_name.values())]
        if leased:
            self._work.append(self.lease.run())
        self._tasks = [asyncio.create_task(one) for one in self._work]

    async def end(self) -> None:
        """End it as SIGTERM does: the Lease is given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.lease.release()

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing is given back."""
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.close()
        for task in ended:
            task.result()  # a part that ended by itself would have ended the process


@asynccontextmanager
async def running(server: HttpApiServer, identity: str = "a", **options: Any) -> AsyncIterator[WholeOperator]:
    operator = WholeOperator(server, identity, **options)
    try:
        yield operator
    finally:
        await operator.kill()


async def seconds_until(condition: Callable[[], bool], at_most: float = 300.0) -> float:
    """Wait, in the loop's time, until something holds; return how long that took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while not condition():
        assert clock() - began <= at_most, f"it did not come true within {at_most} s"
        await asyncio.sleep(0.1)
    return clock() - began
