"""What is still to happen, in the order of its times."""

import heapq
from collections.abc import Callable
from enum import IntEnum


class Turn(IntEnum):
    """The order of what happens at the same moment: facts first, then who looks at them, then who decides."""

    POD = 0
    STEP = 1
    ARRIVAL = 2
    SCRAPE = 3
    MOMENT = 4
    DECISION = 5


class Agenda:
    """Actions by time; at equal times by their turn, then in the order in which they were put in."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, int, Callable[[float], None]]] = []
        self._put = 0

    def put(self, at_seconds: float, turn: Turn, action: Callable[[float], None]) -> None:
        """Have the action called with its time once that has come. There is no taking back: it must look for itself."""
        self._put += 1
        heapq.heappush(self._entries, (at_seconds, turn, self._put, action))

    def run(self) -> None:
        """Do everything, also what the actions put in, until nothing is left."""
        while self._entries:
            at_seconds, _, _, action = heapq.heappop(self._entries)
            action(at_seconds)
