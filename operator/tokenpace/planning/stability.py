"""When a fleet may change: up at once, down carefully."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tokenpace.planning.demand import Moment, Rate

SLACK = 0.05
"""The smaller fleet must have this share of its capacity to spare. Where chance explains more than that, chance is
the margin; the two are not added."""

DESCENT_SHARE = 0.5
"""At most this share of the fleet is taken away in `DESCENT_SECONDS`, but always one replica."""

DESCENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """Replicas at the beginning of the running minute, from which at most a share goes."""

    since_seconds: float
    replicas: int


def demand_to_keep(rate: Rate, history: Iterable[Moment], since_seconds: float) -> float:
    """Return the demand that a smaller fleet must be enough for.

    That is the upper end of what the rate may be now, or the rate with `SLACK`; that of the latest window, which may be
    the first of a rise; and the demand of every moment since ``since_seconds``, when the stabilization window begins.
    """
    past = (moment.demand_tokens_per_second for moment in history if moment.at_seconds >= since_seconds)
    high = rate.high if math.isfinite(rate.high) else rate.mean
    return max(high, rate.mean / (1 - SLACK), rate.now, *past)


def settled(current: int, up: int, down: int) -> int:
    """Return ``current`` moved into what is needed (``up``) and what may be kept (``down``): hysteresis."""
    return max(up, min(current, down))


def descended(current: int, wanted: int, descent: Descent | None, now: float) -> tuple[int, Descent | None]:
    """Return ``wanted``, or as far down as this minute allows, and the minute's beginning."""
    if wanted >= current:
        return wanted, descent
    if descent is None or not 0 <= now - descent.since_seconds < DESCENT_SECONDS or descent.replicas < current:
        descent = Descent(since_seconds=now, replicas=current)
    lowest = min(descent.replicas - 1, math.ceil(descent.replicas * (1 - DESCENT_SHARE)))
    return max(wanted, lowest), descent
