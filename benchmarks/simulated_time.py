"""An event loop whose clock jumps to the next timer as soon as nobody has anything to do."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

_THREAD_SECONDS = 1.0
"""Real time to wait for a thread at most before looking again; one that is done wakes the loop."""


class _JumpingSelector(selectors.EpollSelector):
    """Looks for what can be read or written now, and lets time jump where there is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.jump: Callable[[float], bool] = lambda _: False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready. The loop asks with a time-out above 0 only when all its tasks wait."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None and self.jump(timeout):
            return []
        return super().select(_THREAD_SECONDS if timeout is None else min(timeout, _THREAD_SECONDS))


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """Simulated seconds for tasks, real work for threads and for sockets of this machine.

    Both ends of a socket must be in this process: what is on its way between two of its tasks is ready at once. While a
    thread works for the loop, time stands still.
    """

    def __init__(self) -> None:
        self._simulated_seconds = 0.0
        self._threads = 0
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.jump = self._jump

    def time(self) -> float:
        """Return the simulated seconds since the beginning."""
        return self._simulated_seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run on a thread; meanwhile no time passes."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._on_done)
        return future

    def _on_done(self, _: asyncio.Future[Any]) -> None:
        self._threads -= 1

    def _jump(self, seconds: float) -> bool:
        if self._threads:
            return False
        self._simulated_seconds += seconds
        return True
