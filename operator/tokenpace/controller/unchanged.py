"""What was made of something that has not changed since is not made again.

A tick reads every LLMDeployment, and of most of them nothing but the metrics is new: parsing, rendering and comparing
them again would take more time than deciding. Only pure functions may be asked for here. What they return is shared
between ticks: it is read, never changed.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

T = TypeVar("T")


class Unchanged:
    """The last answer of each function about each resource."""

    def __init__(self) -> None:
        self._last: dict[str, dict[Any, tuple[tuple[Any, ...], Any]]] = {}

    def of(self, uid: str, make: Callable[..., T], *arguments: Any, part: Any = None) -> T:
        """Return ``make(*arguments)``, made only where an argument differs from the last time.

        Args:
            uid: of the resource.
            make: a pure function. What it raises is raised every time.
            arguments: compared by value; those that are the same object cost nothing.
            part: tells apart what one function makes for several parts of a resource.
        """
        last = self._last.setdefault(uid, {})
        known = last.get((make, part))
        if known is not None and known[0] == arguments:
            value: T = known[1]
            return value
        made = make(*arguments)
        last[make, part] = (arguments, made)
        return made

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Drop what is remembered of resources that are gone."""
        for uid in self._last.keys() - set(uids):
            del self._last[uid]
