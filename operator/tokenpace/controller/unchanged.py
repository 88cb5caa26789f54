"""What was made of something that has not changed since is not made again.

A tick reads every LLMDeployment, and of most of them nothing but the metrics is new: parsing, rendering and comparing
them again would take more time than deciding. Only pure functions may be asked for here. What they return is shared
between ticks: it is read, never changed.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

T = TypeVar("T")

_Answers = dict[str, dict[Any, tuple[tuple[Any, ...], Any]]]
"""By resource, function and part: the arguments, and what was made of them."""


class Unchanged:
    """The last answer of each function about each resource."""

    def __init__(self) -> None:
        self._last: _Answers = {}
        self._asked: _Answers = {}
        """Those that were asked for since the last tick ended."""

    def of(self, uid: str, make: Callable[..., T], *arguments: Any, part: Any = None) -> T:
        """Return ``make(*arguments)``, made only where an argument differs from the last time.

        Args:
            uid: of the resource.
            make: a pure function. What it raises is raised every time.
            arguments: compared by value; those that are the same object cost nothing.
            part: tells apart what one function makes for several parts of a resource.
        """
        asked = self._asked.setdefault(uid, {})
        known = asked.get((make, part)) or self._last.get(uid, {}).get((make, part))
        if known is None or known[0] != arguments:
            known = arguments, make(*arguments)
        asked[make, part] = known
        value: T = known[1]
        return value

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Drop what is remembered of resources that are gone, and of parts that this tick has not asked for."""
        self._last = {uid: answers for uid, answers in self._asked.items() if uid in uids}
        self._asked = {}
