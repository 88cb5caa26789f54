"""The status page's server: GET alone, no script, no cookie, and a tenth of the operator's time at most.

It shows what the mirror of LLMDeployments has, so that every operator shows the same, and asks the API server nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tokenpace.cluster.kinds import Object
from tokenpace.cluster.lease import Lease
from tokenpace.cluster.mirror import Key
from tokenpace.controller.account import Account, account
from tokenpace.controller.manifest import ManifestError
from tokenpace.controller.mirrors import Mirrors
from tokenpace.controller.overview import line
from tokenpace.controller.page.detail import Detailed, detail_page, page_of_nothing
from tokenpace.controller.page.frame import HEADERS, REFRESH_SECONDS, Occasion, Standing
from tokenpace.controller.page.history import History
from tokenpace.controller.page.index import Listed, index_page
from tokenpace.controller.page.markup import Markup
from tokenpace.controller.readable import readable_status

_LOOK_SECONDS = 0.5
"""As often as the loop may tick: a decision that stands from one tick to the next is not overlooked."""
_REST = 9
"""How many times as long as a page took to draw the next one waits: whoever asks in a loop does not stop the Lease."""
_MOST_WAITING = 32
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def standing_of(mirrors: Mirrors, lease: Lease) -> Standing:
    """Return what an operator knows, and may do."""
    if not mirrors.synced:
        return Standing.IS_READING
    if any(part.problem is not None for part in mirrors.resources.parts):
        return Standing.IS_CUT_OFF
    return Standing.WORKS if lease.may_write() else Standing.STANDS_BY


class StatusPage:
    """Looks at every LLMDeployment, remembers its last hours, and shows them to whoever asks."""

    def __init__(
        self,
        *,
        resources: Callable[[], Mapping[Key, Object]],
        standing: Callable[[], Standing],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._standing = standing
        self._wall_clock = wall_clock
        self._history = History()
        self._since = self._now()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: where ``port`` is 0, a free one."""
        app = web.Application(middlewares=[_named_as_bound(host)])
        app.on_response_prepare.append(_forbid_everything_else)
        app.router.add_get("/", self._index)
        app.router.add_get("/{namespace}/{name}", self._detail)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def look(self) -> NoReturn:
        """Remember what is seen until cancelled; what may be old is no news and leaves a gap."""
        while True:
            if self._standing() in (Standing.WORKS, Standing.STANDS_BY):
                self._history.note(self._resources().values(), self._wall_clock())
            await asyncio.sleep(_LOOK_SECONDS)

    async def _index(self, request: web.Request) -> web.Response:
        def draw() -> Markup:
            everything = [Listed(line(one), self._history.of(one)) for one in self._resources().values()]
            return index_page(everything, request.query.get("search", ""), self._occasion(request))

        return await self._drawn(request, draw)

    async def _detail(self, request: web.Request) -> web.Response:
        key = request.match_info["namespace"], request.match_info["name"]
        resource = self._resources().get(key)
        if resource is None:
            return await self._drawn(request, lambda: page_of_nothing(self._occasion(request)), status=404)
        return await self._drawn(request, lambda: detail_page(self._detailed(resource), self._occasion(request)))

    def _detailed(self, resource: Object) -> Detailed:
        return Detailed(
            line=line(resource),
            account=_account(resource, self._now()),
            conditions=readable_status(resource).conditions,
            past=self._history.of(resource),
        )

    async def _drawn(self, request: web.Request, draw: Callable[[], Markup], status: int = 200) -> web.Response:
        """Draw a page when it is its turn: the loop and the Lease share this thread."""
        if self._waiting >= _MOST_WAITING:
            raise web.HTTPServiceUnavailable(text="Too many ask at once. Try again in a moment.")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            body = draw().encode("utf-8", "replace")
        finally:
            loop.call_later(_REST * (loop.time() - began), self._turn.release)
        headers = {"Refresh": str(REFRESH_SECONDS)} if "refresh" in request.query else None
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=headers)

    def _occasion(self, request: web.Request) -> Occasion:
        return Occasion(self._now(), self._since, self._standing(), refreshing="refresh" in request.query)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_clock(), UTC)


def _account(resource: Object, now: datetime) -> Account | None:
    try:
        return account(resource, now)
    except ManifestError:
        return None


async def _forbid_everything_else(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _named_as_bound(host: str) -> Middleware:
    """Return what keeps foreign names out where only this machine is served.

    A page of the web may have its own name resolve to 127.0.0.1, and would be let in by the browser of whoever runs
    `kubectl port-forward`.
    """

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if host in _LOOPBACK and (request.url.host or "") not in _LOOPBACK:
            raise web.HTTPMisdirectedRequest(text="Ask for localhost.")
        return await handler(request)

    return checked
