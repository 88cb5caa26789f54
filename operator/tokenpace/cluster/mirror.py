"""What is: an in-memory copy of every object of one kind that a label selects.

A list in pages, then a watch from where the list ended. Each list replaces the copy whole, so that nothing deleted
while nobody watched lives on. kopf's indices are not used for this: after a 410 they keep deleted objects for ever,
and they fill in quadratic time.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import NoReturn

import structlog

from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import Kind, Object

Key = tuple[str, str]
"""Namespace and name."""

_WATCH_SECONDS = 60
"""A watch is asked to end this soon. A silently dead connection is noticed at its end at the latest; a new watch goes
on where the old one ended and costs one request, because the API server sends a bookmark just before the end."""

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0

_log = structlog.get_logger(__name__)


def controller_of(stored: Object) -> Object:
    """Return the reference to the object that controls this one, empty where none does."""
    references: list[Object] = stored["metadata"].get("ownerReferences", [])
    return next((reference for reference in references if reference.get("controller")), {})


def controller_uid(stored: Object) -> str | None:
    """Return the UID of the object that controls this one."""
    return controller_of(stored).get("uid")


def retry_delay_seconds(failures: int, retry_after_seconds: float | None, share: float) -> float:
    """Return how long to wait after ``failures`` attempts in a row that brought nothing.

    Args:
        failures: attempts; after none there is no wait.
        retry_after_seconds: what the API server asked for, which is the least.
        share: a random number in [0, 1): half of the wait depends on it, so that mirrors that were cut off together
            do not come back together.
    """
    backoff_seconds = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * (2.0 ** min(failures, 16) - 1.0))
    return max(backoff_seconds * (0.5 + 0.5 * share), retry_after_seconds or 0.0)


class Mirror:
    """A copy of the objects of one kind, kept up to date by `run`. Its objects are shared: read them, change nothing.

    Attributes:
        problem: why the copy may be out of date, until the API server answers again; None while it is current.
    """

    def __init__(
        self,
        client: ApiClient,
        kind: Kind,
        *,
        keep: Callable[[Object], Object],
        namespace: str | None = None,
        label_selector: str = "",
        owner: Callable[[Object], str | None] = controller_uid,
        on_change: Callable[[], None] = lambda: None,
        share: Callable[[], float] = random.random,
    ) -> None:
        """Describe what to copy.

        Args:
            client: where from.
            kind: the kind of object.
            keep: returns the part of an object that is worth its memory, with its ``metadata`` name and namespace.
            namespace: None copies every namespace.
            label_selector: in the API server's syntax.
            owner: what `by_owner` finds an object by.
            on_change: called after a list, and after an event that changed the kept part of an object.
            share: random numbers in [0, 1), for the jitter.
        """
        self.problem: ApiError | None = None
        self._client = client
        self._kind = kind
        self._keep = keep
        self._namespace = namespace
        self._label_selector = label_selector
        self._owner = owner
        self._on_change = on_change
        self._share = share
        self._objects: dict[Key, Object] = {}
        self._keys_by_owner: dict[str, set[Key]] = {}
        self._version: str | None = None
        self._answers = 0
        self._synced = asyncio.Event()

    @property
    def objects(self) -> Mapping[Key, Object]:
        """The objects by namespace and name."""
        return self._objects

    @property
    def synced(self) -> bool:
        """Whether the copy has been complete once. It stays true: what is old is better than what is missing."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return once `synced` is true."""
        await self._synced.wait()

    def by_owner(self, owner: str) -> tuple[Object, ...]:
        """Return the objects of one owner, by namespace and name."""
        return tuple(self._objects[key] for key in sorted(self._keys_by_owner.get(owner, ())))

    async def run(self) -> NoReturn:
        """Keep the copy up to date until cancelled.

        An attempt that brings neither a list nor an event, nor lasts, counts as failed however it ended: a connection
        that something in between cuts at once must not become a busy loop.
        """
        failures = 0
        while True:
            answers = self._answers
            retry_after_seconds = None
            try:
                await (self._list() if self._version is None else self._follow(self._version))
            except ApiError as error:
                self._note(error)
                retry_after_seconds = error.retry_after_seconds
            failures = failures + 1 if self._answers == answers else 0
            await asyncio.sleep(retry_delay_seconds(failures, retry_after_seconds, self._share()))

    async def _list(self) -> None:
        """Replace the copy whole."""
        objects: dict[Key, Object] = {}
        version = ""
        pages = self._client.list_pages(self._kind, namespace=self._namespace, label_selector=self._label_selector)
        async with aclosing(pages):
            async for page in pages:
                version = page["metadata"]["resourceVersion"]
                objects.update((_key(stored), self._kept(stored)) for stored in page["items"])
        self._objects = objects
        self._keys_by_owner = {}
        for key, kept in objects.items():
            self._index(key, kept)
        self._answered(version)
        self._synced.set()
        self._on_change()

    async def _follow(self, version: str) -> None:
        """Take the events of one watch. One that was open for long is an answer too: bookmarks are not promised."""
        clock = asyncio.get_running_loop().time
        early_until_seconds = clock() + _WATCH_SECONDS / 2
        events = self._client.watch(
            self._kind,
            resource_version=version,
            for_seconds=_WATCH_SECONDS,
            namespace=self._namespace,
            label_selector=self._label_selector,
        )
        async with aclosing(events):
            async for event in events:
                self._take(event["type"], event["object"])
        if clock() >= early_until_seconds:
            self._answered(self._version or version)

    def _take(self, change: str, stored: Object) -> None:
        self._answered(stored["metadata"]["resourceVersion"])
        if change == "BOOKMARK":
            return
        key = _key(stored)
        before = self._objects.pop(key, None)
        after = None if change == "DELETED" else self._kept(stored)
        if before is not None:
            self._forget(key, before)
        if after is not None:
            self._objects[key] = after
            self._index(key, after)
        if before != after:
            self._on_change()

    def _kept(self, stored: Object) -> Object:
        """Return what is worth keeping of an object; those in a list do not say what kind they are."""
        return self._keep({"apiVersion": self._kind.api_version, "kind": self._kind.kind, **stored})

    def _index(self, key: Key, kept: Object) -> None:
        if (owner := self._owner(kept)) is not None:
            self._keys_by_owner.setdefault(owner, set()).add(key)

    def _forget(self, key: Key, kept: Object) -> None:
        if (owner := self._owner(kept)) is not None:
            keys = self._keys_by_owner[owner]
            keys.discard(key)
            if not keys:
                del self._keys_by_owner[owner]

    def _answered(self, version: str) -> None:
        self._version = version
        self._answers += 1
        self.problem = None

    def _note(self, error: ApiError) -> None:
        """Remember why the copy may be out of date. A version that is too old means: list again."""
        if error.status == HTTPStatus.GONE:
            self._version = None
        self.problem = error
        _log.warning("mirror interrupted", plural=self._kind.plural, error=str(error))


def _key(stored: Object) -> Key:
    return stored["metadata"]["namespace"], stored["metadata"]["name"]
