"""Work on many resources at once, none of which waits for another that hangs."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from functools import partial
from typing import Generic, TypeVar

from tokenpace.controller.forgetting import keep_only

T = TypeVar("T")


class SideBySide(Generic[T]):
    """The work that is under way, at most one for each resource, and what came of the last."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T | None]] = {}
        self._results: dict[str, T] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._tasks

    @property
    def results(self) -> Collection[T]:
        """What came of the last work on each resource that has ended; of what is under way, that before it."""
        return self._results.values()

    async def run(self, works: Mapping[str, Coroutine[None, None, T | None]], *, within_seconds: float) -> None:
        """Do the work of each resource, for so long.

        What takes longer goes on, because the API server, or a webhook of one namespace, does not answer: leave its
        resource alone as long as it is in this.
        """
        tasks = [self._begin(uid, work) for uid, work in works.items()]
        if tasks:
            done, _ = await asyncio.wait(tasks, timeout=within_seconds)
            for task in done:
                task.result()  # what nobody has foreseen ends the loop

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Forget what came of work on resources that are gone."""
        keep_only(uids, self._results)

    def cancel(self) -> None:
        """End whatever is under way, and forget what came of the rest."""
        for task in self._tasks.values():
            task.cancel()
        self._results.clear()

    def _begin(self, uid: str, work: Coroutine[None, None, T | None]) -> asyncio.Task[T | None]:
        task = asyncio.create_task(work, name=f"work on {uid}")
        self._tasks[uid] = task
        task.add_done_callback(partial(self._end, uid))
        return task

    def _end(self, uid: str, task: asyncio.Task[T | None]) -> None:
        del self._tasks[uid]
        result = None if task.cancelled() or task.exception() else task.result()
        if result is None:
            self._results.pop(uid, None)
        else:
            self._results[uid] = result
