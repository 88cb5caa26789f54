"""The way from the fleet that is there to the fleet that shall be, one step at a time.

Every step follows from what is seen (design, section 5), so that a restarted operator goes on where it was. Variants
are mixed only on the way: until a canary has passed there is one replica of the new one, then as many as there is room
for. Where there is no room, some of the old go first, once all new ones serve. The rest of the old goes when enough of
the new serve, or when the new alone serve as much as all do together: behind one Service the slowest binds all. The
last that serves never goes before that.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from tokenpace.planning.hourly_costs import hourly_costs
from tokenpace.planning.ladder import Ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """Where the fleet goes, and what bounds it on the way. Fleets are replicas of every variant, by name."""

    goal: Mapping[str, int]
    variant: str
    """The one that shall serve."""
    enough: int | None
    """How many of its replicas have to serve before the others go; None while nobody can tell."""
    limit: int
    """Most replicas on the way."""
    batch: int
    """Replicas that make room at a time."""
    company: int
    """Replicas to have as soon as variants are mixed. Behind one Service each gets the same share of requests, so that
    the first of a slower variant would be overrun among fewer."""
    barred: frozenset[str]
    """Variants that have failed, or have no room: their replicas that do not serve go first."""
    most: Mapping[str, int]
    """Most replicas of each variant; 0 of one that is not offered any more."""
    hourly_costs: Mapping[str, float]
    """Of one replica."""
    hourly_cost: float | None
    """Most that the fleet may cost."""
    capacity: Callable[[Mapping[str, int]], float]
    """Tokens per second that a fleet serves of what arrives."""

    def outgoing(self, running: Mapping[str, int]) -> list[str]:
        """Return the other variants of which replicas have yet to go."""
        return [name for name, count in running.items() if name != self.variant and count > self.goal[name]]

    def knows(self, standing: "Standing") -> bool:
        """Tell whether it is known of every variant that serves how much it can."""
        return all(self.capacity({name: count}) > 0 for name, count in standing.serving.items() if count)

    def room(self, fleet: Mapping[str, int], name: str) -> int:
        """Return how many replicas of a variant may be added to a fleet; less than 0 where it is too large."""
        room = min(self.limit - sum(fleet.values()), max(self.most.get(name, 0) - fleet[name], 0))
        each = self.hourly_costs.get(name, 0.0)
        if self.hourly_cost is None or each <= 0:
            return room
        spent = sum(self.hourly_costs.get(one, 0.0) * count for one, count in fleet.items())
        return min(room, math.floor((self.hourly_cost - spent) / each + 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the fleet is. Fleets are replicas of every variant, by name."""

    running: Mapping[str, int]
    """Replicas that are asked for."""
    serving: Mapping[str, int]
    """Pods that serve, but for those that a canary found wrong."""
    leaving: int
    """Pods that are there and not asked for: what they hold is not free yet."""
    proven: bool
    """Whether a replica of the new variant has shown that it generates."""

    def serving_besides(self, names: Iterable[str], fleet: Mapping[str, int] | None = None) -> int:
        """Return how many pods of all but these variants serve, or still serve in a smaller fleet."""
        left = self.running if fleet is None else fleet
        return sum(min(count, left[name]) for name, count in self.serving.items() if name not in names)


def road_of(
    ladder: Ladder,
    goal: Mapping[str, int],
    variant: str,
    enough: int | None,
    *,
    running: Mapping[str, int],
    arriving: float,
    places: int | None,
) -> Road:
    """Return the road to a fleet in which ``variant`` serves, from one of which ``running`` replicas are asked for.

    ``places`` are the pods that the cluster has room for, where it is known to have none for more.
    """
    scaling = ladder.spec.scaling
    limit = max(scaling.max_replicas, goal[variant]) + scaling.max_surge
    mixed = [name for name, count in running.items() if count and name != variant and name in ladder.estimate.variants]
    slower = any(
        ladder.believed(variant).tokens_per_second(1) < ladder.believed(name).tokens_per_second(1) for name in mixed
    )
    return Road(
        goal=goal,
        variant=variant,
        enough=enough,
        limit=limit if places is None else min(limit, max(places, goal[variant])),
        batch=max(1, scaling.max_surge),
        company=goal[variant] if slower else 0,
        barred=frozenset(),
        most={one.name: max(one.max_replicas, goal[one.name]) for one in ladder.spec.variants},
        hourly_costs=hourly_costs(ladder.spec),
        hourly_cost=None if scaling.max_hourly_cost is None else float(scaling.max_hourly_cost),
        capacity=partial(ladder.estimate.served_of, arriving=arriving),
    )


def next_fleet(road: Road, standing: Standing) -> dict[str, int]:
    """Return the fleet to ask for now."""
    new, running = road.variant, standing.running
    old = road.outgoing(running)
    succeeded = standing.proven and road.enough is not None and standing.serving[new] >= road.enough
    if not old or succeeded or road.enough == 0 or _is_held_back(road, standing):
        return dict(road.goal)
    failed = {name: max(road.goal[name], standing.serving[name]) for name in old if name in road.barred}
    if any(count < running[name] for name, count in failed.items()) and any(standing.serving.values()):
        return {**running, **{name: min(count, running[name]) for name, count in failed.items()}}
    wanted = road.goal[new]
    if not standing.proven and standing.serving_besides((new,)):
        wanted = min(wanted, max(running[new], 1))
    grown = min(wanted, running[new] + max(0, road.room(running, new) - standing.leaving))
    if grown != running[new]:
        return _accompanied(road, standing, old, {**running, new: grown})
    # Of a variant that nobody can judge yet the first replica gets room, to be watched, and the others do not.
    if running[new] == wanted or standing.serving[new] < running[new] or (road.enough is None and running[new]):
        return dict(running)
    return _with_room(road, standing, old, min(road.batch, wanted - running[new]))


def _is_held_back(road: Road, standing: Standing) -> bool:
    """Tell whether the new replicas that serve could do as much without the old, which take their share of requests."""
    if not standing.proven or road.enough is None or not road.knows(standing):
        return False
    alone = road.capacity({road.variant: standing.serving[road.variant]})
    return 0 < alone >= road.capacity(standing.serving)


def _accompanied(road: Road, standing: Standing, old: Iterable[str], fleet: dict[str, int]) -> dict[str, int]:
    """Return the fleet with as much company as the first of a slower variant needs and as there is room for."""
    missing = road.company - sum(fleet.values())
    if standing.running[road.variant] or missing <= 0:
        return fleet
    main = max(sorted(old), key=lambda name: standing.serving[name])
    return {**fleet, main: fleet[main] + max(0, min(missing, road.room(fleet, main) - standing.leaving))}


def _with_room(road: Road, standing: Standing, old: Iterable[str], places: int) -> dict[str, int]:
    """Return the fleet without so many of the old that ``places`` of the new fit in; one that serves always stays."""
    fleet = dict(standing.running)
    for name in sorted(old, key=lambda name: (road.most.get(name, 0) > 0, name)):
        while fleet[name] > road.goal[name] and road.room(fleet, road.variant) < places:
            smaller = {**fleet, name: fleet[name] - 1}
            if standing.serving_besides((), fleet) and not standing.serving_besides((), smaller):
                break
            fleet = smaller
    return fleet
