"""The best fleet for a demand: an exact search over a ladder.

Behind one Service every pod gets the same share of requests, so the weakest variant in a fleet binds all of it
(design, section 4): ``D·n_v/N ≤ n_v·C_v`` for every v, that is ``D ≤ N·min C_v``. A fleet that mixes variants wastes
the better ones; it is for transitions. In between, one variant serves, beside what `minReplicas` keeps of others.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokenpace.api.scaling import Preference

QUALITY_STEP = 0.1
"""Qualities that are closer than this, in points, are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A variant as the search sees it."""

    name: str
    quality: float
    hourly_cost: float
    """Of one replica; 0 where none is declared."""
    capacity: Callable[[int], float]
    """Tokens/s of one replica in a fleet of so many; never less in a larger fleet (least-request balancing pools)."""
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the whole fleet. Where they contradict each other, the upper one holds."""

    least: int
    most: int
    hourly_cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A fleet and what it is worth."""

    replicas: Mapping[str, int]
    tokens_per_second: float
    quality: float
    hourly_cost: float
    enough: bool
    """Whether it serves the demand; if not, no fleet within the limits serves more."""


def best_fleet(demand: float, ladder: Sequence[Rung], limits: Limits, preference: Preference) -> Choice:
    """Return the best fleet for ``demand`` tokens/s, within the limits.

    Quality: enough, then quality, then cost. Cost: enough, then cost, then quality. Between equals the fewest replicas,
    then the order of the ladder. If none is enough, the one that serves most.

    Args:
        demand: tokens per second that the fleet must be able to serve.
        ladder: at least one variant, best first.
        limits: bounds of the whole fleet.
        preference: what is given up first.
    """
    return max(
        (candidate for rung in ladder for candidate in _candidates(demand, rung, ladder, limits)),
        key=lambda choice: _worth(choice, limits, preference),
    )


def _candidates(demand: float, rung: Rung, ladder: Sequence[Rung], limits: Limits) -> Iterator[Choice]:
    """Yield the smallest fleet of this variant that is enough, or the largest allowed one if none is.

    Replicas beyond what is enough are never worth it, though they may raise the mean quality of a mixed fleet.
    """
    others = {other.name: other.least for other in ladder if other is not rung}
    most = _most(rung, others, ladder, limits)
    least = min(max(rung.least, limits.least - sum(others.values())), most)
    for count in range(max(least, min(most, _lower_bound(demand, rung, others))), most + 1):
        choice = _choice(demand, {**others, rung.name: count}, ladder)
        if choice.enough or count == most:
            yield choice
            return


def _lower_bound(demand: float, rung: Rung, others: Mapping[str, int]) -> int:
    """Return a number of replicas below which the fleet cannot be enough: as if all were worth the best of it."""
    best = rung.capacity(rung.most + sum(others.values()))
    return math.ceil(demand / best) - sum(others.values()) if best > 0 else 0


def _most(rung: Rung, others: Mapping[str, int], ladder: Sequence[Rung], limits: Limits) -> int:
    most = min(rung.most, limits.most - sum(others.values()))
    if limits.hourly_cost is not None and rung.hourly_cost > 0:
        spent = sum(other.hourly_cost * others[other.name] for other in ladder if other is not rung)
        most = min(most, math.floor((limits.hourly_cost - spent) / rung.hourly_cost + 1e-9))
    return max(most, 0)


def _choice(demand: float, replicas: Mapping[str, int], ladder: Sequence[Rung]) -> Choice:
    used = [rung for rung in ladder if replicas[rung.name] > 0]
    total = sum(replicas.values())
    served = total * min((rung.capacity(total) for rung in used), default=0.0)
    return Choice(
        replicas=replicas,
        tokens_per_second=served,
        quality=sum(rung.quality * replicas[rung.name] for rung in used) / total if total else 0.0,
        hourly_cost=sum(rung.hourly_cost * replicas[rung.name] for rung in used),
        enough=served >= demand,
    )


def _worth(choice: Choice, limits: Limits, preference: Preference) -> tuple[float, ...]:
    total = sum(choice.replicas.values())
    served = 0.0 if choice.enough else choice.tokens_per_second
    quality = round(choice.quality / QUALITY_STEP)
    merits = (-choice.hourly_cost, quality) if preference is Preference.COST else (quality, -choice.hourly_cost)
    return (total >= limits.least, choice.enough, served, *merits, -total)
