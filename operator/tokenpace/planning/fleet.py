"""The best fleet for a demand: an exact search over a ladder.

Behind one Service every pod gets the same share of requests, so the weakest variant in a fleet binds all of it
(design, section 4): ``D·n_v/N ≤ n_v·C_v`` for every v, that is ``D ≤ N·min C_v``. A fleet that mixes variants wastes
the better ones; it is for transitions. In between, one variant serves, beside what `minReplicas` keeps of others.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
    capacity: Callable[[int], float] | None
    """Tokens/s of one replica in a fleet of so many; never less in a larger fleet (least-request balancing pools).
    None while nothing is known: it serves no demand by itself, and does not bind others."""
    keeps_targets: bool
    """Whether some number of replicas keeps every latency target, as far as is known."""
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

    variant: str
    """The one that serves; of the others there is what `minReplicas` keeps."""
    replicas: Mapping[str, int]
    tokens_per_second: float
    keeps_targets: bool
    quality: float
    hourly_cost: float
    enough: bool
    """Whether it serves the demand; if not, no fleet within the limits that keeps as many targets serves more."""


def best_fleet(
    demand: float,
    ladder: Sequence[Rung],
    limits: Limits,
    preference: Preference,
    among: Collection[str] | None = None,
) -> Choice:
    """Return the best fleet for ``demand`` tokens/s, within the limits.

    A variant that can keep every latency target comes before one that cannot. Then, Quality: enough, then quality, then
    cost. Cost: enough, then cost, then quality. Between equals the fewest replicas, then the fastest, then the order of
    the ladder. If none is enough, the one that serves most.

    Args:
        demand: tokens per second that the fleet must be able to serve.
        ladder: at least one variant, best first.
        limits: bounds of the whole fleet.
        preference: what is given up first.
        among: the variants that may serve, at least one of the ladder; None for all of them.
    """
    return max(
        (
            candidate
            for rung in ladder
            if among is None or rung.name in among
            for candidate in _candidates(demand, rung, ladder, limits)
        ),
        key=lambda choice: _worth(choice, limits, preference),
    )


def quality_step(quality: float) -> int:
    """Return a quality as it is compared."""
    return round(quality / QUALITY_STEP)


def _candidates(demand: float, rung: Rung, ladder: Sequence[Rung], limits: Limits) -> Iterator[Choice]:
    """Yield the smallest fleet that is enough with a replica of this variant, or the largest allowed one if none is.

    Replicas beyond what is enough are never worth it, though they may raise the mean quality of a mixed fleet.
    """
    others = {other.name: other.least for other in ladder if other is not rung}
    kept = sum(others.values())
    most = _most(rung, kept, ladder, limits)
    least = min(max(rung.least, limits.least - kept, 1), most)
    for count in range(max(least, min(most, _lower_bound(demand, rung, kept))), most + 1):
        choice = _choice(demand, {**others, rung.name: count}, rung, ladder)
        if choice.enough or count == most:
            yield choice
            return


def _lower_bound(demand: float, rung: Rung, others: int) -> int:
    """Return a number of replicas below which the fleet cannot be enough: as if all were worth the best of it."""
    best = rung.capacity(rung.most + others) if rung.capacity else 0.0
    return math.ceil(_certainly(demand) / best) - others if best > 0 else 0


def _certainly(demand: float) -> float:
    """Return what of a demand is no rounding: that of a full fleet is exactly so many times one replica's capacity."""
    return demand * (1 - 1e-9)


def _most(rung: Rung, others: int, ladder: Sequence[Rung], limits: Limits) -> int:
    most = min(rung.most, limits.most - others)
    if limits.hourly_cost is not None and rung.hourly_cost > 0:
        spent = sum(other.hourly_cost * other.least for other in ladder if other is not rung)
        most = min(most, math.floor((limits.hourly_cost - spent) / rung.hourly_cost + 1e-9))
    return max(most, 0)


def _choice(demand: float, replicas: Mapping[str, int], server: Rung, ladder: Sequence[Rung]) -> Choice:
    used = [rung for rung in ladder if replicas[rung.name] > 0]
    total = sum(replicas.values())
    known = [rung.capacity(total) for rung in used if rung.capacity]
    served = total * min(known, default=0.0) if server.capacity else 0.0
    return Choice(
        variant=server.name,
        replicas=replicas,
        tokens_per_second=served,
        keeps_targets=all(rung.keeps_targets for rung in used),
        quality=sum(rung.quality * replicas[rung.name] for rung in used) / total if total else 0.0,
        hourly_cost=sum(rung.hourly_cost * replicas[rung.name] for rung in used),
        enough=served >= _certainly(demand),
    )


def _worth(choice: Choice, limits: Limits, preference: Preference) -> tuple[float, ...]:
    total = sum(choice.replicas.values())
    served = 0.0 if choice.enough else choice.tokens_per_second
    quality = quality_step(choice.quality)
    merits = (-choice.hourly_cost, quality) if preference is Preference.COST else (quality, -choice.hourly_cost)
    found = (total >= limits.least, choice.keeps_targets, choice.enough, served, *merits, -total)
    return (*found, choice.tokens_per_second)
