"""Which measured variants another one makes needless."""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenpace.planning.fleet import quality_step


@dataclass(frozen=True, slots=True)
class Merits:
    """What a variant is worth; None is not known, which is never 0."""

    capacity_per_second: float | None
    quality_percent: float | None
    cost_per_million: float | None

    @property
    def scores(self) -> tuple[float | None, ...]:
        """The merits so that more is better. Qualities that differ by less than a tenth of a point are equal."""
        quality, cost = self.quality_percent, self.cost_per_million
        return (
            self.capacity_per_second,
            None if quality is None else float(quality_step(quality)),
            None if cost is None else -cost,
        )


def dominates(one: Merits, other: Merits) -> bool:
    """Tell whether one is better than another in something and worse in nothing.

    What is not known could be either: two of which one has no capacity, quality or cost do not compare. Only where
    nobody said what either costs, cost is left out.
    """
    pairs = [*zip(one.scores, other.scores, strict=True)]
    if one.cost_per_million is None and other.cost_per_million is None:
        pairs.pop()
    known = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    if len(known) < len(pairs):
        return False
    return all(mine >= theirs for mine, theirs in known) and any(mine > theirs for mine, theirs in known)


def dominated_by(name: str, merits: Mapping[str, Merits]) -> tuple[str, ...]:
    """Return the names of those that dominate one of them, in the order of their names."""
    return tuple(sorted(other for other in merits if other != name and dominates(merits[other], merits[name])))
