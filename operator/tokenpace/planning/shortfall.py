"""What a change of the fleet costs those who wait: actions are compared by the work that is left waiting.

The design (section 4) compares ``∫ max(0, D - C_ready) dt``, D holding the backlog that this leaves. Followed through,
that is work W with ``W' = D - C_ready``, never below 0; compared is ``∫ W dt``, the time that tokens wait. So a burst
that the fleet works off by itself before help could come changes nothing, and a dip counts for as long as it is felt.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tokenpace.planning.basis import Basis
from tokenpace.planning.estimate import required_capacity
from tokenpace.planning.fleet import Choice
from tokenpace.planning.transition import Road, Standing, next_fleet, road_of

HORIZON_SECONDS = 900.0
"""How far actions are compared: demand that is certain now is taken to last a quarter of an hour, or twice as long as
the way takes, if that is longer. A replica that serves C_new in place of one that serves C_old pays after
L·C_new/(C_new - C_old) (design, section 4)."""

MOST_PORTIONS = 8
"""A swap in place is tried in 1 to so many portions."""

MOST_STEPS = 256
"""Steps after which a way has no end: one from 64 replicas to 64 others in place takes 128."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A time in which the capacity of the fleet stays the same."""

    seconds: float
    tokens_per_second: float


def way_to(basis: Basis, choice: Choice, start: Mapping[str, int] | None = None) -> tuple[Stage, ...] | None:
    """Return the way to a fleet, from the one that is there or from another; None where none leads there."""
    nothing = dict.fromkeys(basis.running, 0)
    goal = {**nothing, **choice.replicas}
    if start is None:
        standing = replace(basis.standing(choice.variant), leaving=0)
    else:
        fleet = {**nothing, **start}
        standing = Standing(running=fleet, serving=fleet, leaving=0, proven=False)
    road = road_of(
        basis.ladder,
        goal,
        choice.variant,
        goal[choice.variant],
        running=standing.running,
        arriving=basis.need.lasting,
        places=basis.places,
    )
    return stages(paced(basis, road, standing), standing, basis.lead_seconds)


def paced(basis: Basis, road: Road, standing: Standing) -> Road:
    """Return a road with as many replicas making room at a time as leaves least work waiting; of equals the shortest.

    One at a time dips least and takes longest, and all the way the slow bind the fast. Where demand or capacity is not
    known, it is as many as the surge.
    """
    seen = basis.estimate.rate is not None and not basis.sight.blind and road.knows(standing)
    if not seen or not road.outgoing(standing.running):
        return road
    arriving = max(basis.need.lasting, min(basis.need.window or 0.0, road.capacity(standing.serving)))
    wanted = road.goal[road.variant]
    batches = {road.batch, *(math.ceil(wanted / portions) for portions in range(1, MOST_PORTIONS + 1))}
    roads = [replace(road, batch=batch) for batch in sorted(batches) if batch >= road.batch]
    ways = [(one, way) for one in roads if (way := stages(one, standing, basis.lead_seconds)) is not None]
    horizon_seconds = max((HORIZON_SECONDS, *(2.0 * length_seconds(way) for _, way in ways)))
    end = Stage(horizon_seconds, road.capacity(road.goal))

    def cost(way: Sequence[Stage]) -> tuple[float, float]:
        left = waiting((*way, end), arriving=arriving, backlog=0.0, horizon_seconds=horizon_seconds)
        return left, length_seconds(way)

    return min(ways, key=lambda one: cost(one[1]), default=(road, ()))[0]


def stages(road: Road, standing: Standing, lead_seconds: Mapping[str, float]) -> tuple[Stage, ...] | None:
    """Return the capacity along a road; None where it does not lead to its goal.

    Args:
        road: where the fleet goes.
        standing: where it is.
        lead_seconds: of each variant, from asking for a replica to its first token.
    """
    passed: list[Stage] = []
    for _ in range(MOST_STEPS):
        asked = next_fleet(road, standing)
        serving = {name: min(count, asked[name]) for name, count in standing.serving.items()}
        starting = [name for name, count in asked.items() if count > serving[name]]
        if asked == road.goal and road.variant not in starting:
            return tuple(passed)
        if asked == standing.running and not starting:
            return None
        if starting:
            passed.append(Stage(max(lead_seconds.get(name, 0.0) for name in starting), road.capacity(serving)))
        proven = standing.proven or road.variant in starting
        standing = Standing(running=asked, serving=asked, leaving=0, proven=proven)
    return None


def pays_off(basis: Basis, way: Sequence[Stage], choice: Choice, largest: Choice) -> bool:
    """Tell whether a switch leaves less work waiting than the largest fleet of the present variant."""
    slo, estimate = basis.spec.slo, basis.estimate
    low = 0.0 if estimate.rate is None else estimate.rate.low
    arriving = required_capacity(slo, estimate.shape, max(low, estimate.growth_tokens_per_second))
    backlog = estimate.backlog_requests * estimate.shape.generated_tokens
    horizon_seconds = max(HORIZON_SECONDS, 2.0 * length_seconds(way))
    now = estimate.capacity_of(basis.sight.pods_serving)
    lead_seconds = estimate.variants[largest.variant].lead_seconds
    staying = (Stage(lead_seconds, now), Stage(horizon_seconds, max(now, largest.tokens_per_second)))
    switching = (*way, Stage(horizon_seconds, choice.tokens_per_second))
    left, other = (
        waiting(passed, arriving=arriving, backlog=backlog, horizon_seconds=horizon_seconds)
        for passed in (switching, staying)
    )
    return left < other


def waiting(passed: Iterable[Stage], *, arriving: float, backlog: float, horizon_seconds: float) -> float:
    """Return the token-seconds that are waited until the horizon.

    Args:
        passed: what happens, until the horizon at least.
        arriving: demand, in tokens per second.
        backlog: tokens that wait at the beginning.
        horizon_seconds: how far to look.
    """
    total, left, work = 0.0, horizon_seconds, backlog
    for stage in passed:
        seconds = min(stage.seconds, left)
        growth = arriving - stage.tokens_per_second
        busy = min(seconds, work / -growth) if growth < 0 else seconds
        total += work * busy + growth * busy**2 / 2
        work = max(0.0, work + growth * busy)
        left -= seconds
    return total


def dips(basis: Basis, way: Iterable[Stage], demand: float) -> bool:
    """Tell whether somewhere on a way less is served than ``demand``, and less than now."""
    now = basis.estimate.capacity_of(basis.sight.pods_serving)
    return any(stage.tokens_per_second < min(now, demand) for stage in way)


def length_seconds(way: Iterable[Stage]) -> float:
    """Return how long a way takes."""
    return sum(stage.seconds for stage in way)
