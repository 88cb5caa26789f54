"""How often Python looks for garbage in cycles.

Reference counts free nearly everything here at once. The collector looks for the rest after every 700 new objects, and
again and again at everything that lives: with 2,800 pods mirrored that took a third of a tick, in stalls of 0.3 s.
"""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000
"""About what is alive at a time while one answer of Prometheus is read; a look at so many takes milliseconds."""
LOOKS_BEFORE_OLDER: Final = 20
LOOKS_BEFORE_ALL: Final = 100
"""Once in some 100 million objects."""


def collect_seldom() -> None:
    """Let the collector of this process look less often."""
    gc.set_threshold(YOUNG_OBJECTS, LOOKS_BEFORE_OLDER, LOOKS_BEFORE_ALL)
