"""How often Python looks for garbage in cycles.

Reference counts free nearly everything here at once. The collector would look for the rest after every 700 new objects,
and again and again at everything that lives: while the answers for 8,000 pods are read and decided on, it took a fifth
of a tick to find nothing. What a tick leaves behind is looked at when it is over, and nothing waits.
"""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 1_000_000
"""More than a tick over 2,000 resources holds at a time. A longer one is interrupted, so that memory stays bounded."""
PASSES_BEFORE_ALL: Final = 360
"""Once an hour, at the default interval: a look at all objects of 2,000 resources takes about a second."""


def collect_seldom() -> None:
    """Let the collector of this process interrupt no tick."""
    gc.set_threshold(YOUNG_OBJECTS)


def collect_after_pass(number: int) -> None:
    """Look for garbage in what is new since the last pass; once in `PASSES_BEFORE_ALL`, in everything."""
    gc.collect(0 if number % PASSES_BEFORE_ALL else 2)
