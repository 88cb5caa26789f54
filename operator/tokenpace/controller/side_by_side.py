"""Work on many resources at once, none of which waits for another that hangs."""

import asyncio
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class SideBySide:
    """The work that is under way, at most one for each resource."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._tasks

    async def run(self, works: Mapping[str, Coroutine[Any, Any, T | None]], *, within_seconds: float) -> list[T]:
        """Do the work of each resource, and return what came of it in time.

        What takes longer goes on, because the API server, or a webhook of one namespace, does not answer: leave its
        resource alone as long as it is in this.
        """
        tasks = [self._begin(uid, work) for uid, work in works.items()]
        if not tasks:
            return []
        done, _ = await asyncio.wait(tasks, timeout=within_seconds)
        return [result for task in tasks if task in done and (result := task.result()) is not None]

    def cancel(self) -> None:
        """End whatever is under way."""
        for task in self._tasks.values():
            task.cancel()

    def _begin(self, uid: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=f"work on {uid}")
        self._tasks[uid] = task
        task.add_done_callback(partial(self._end, uid))
        return task

    def _end(self, uid: str, _: asyncio.Task[Any]) -> None:
        del self._tasks[uid]
