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

    What is not known of the other does not speak for it; what is known of the other alone does, so that a variant is
    never dominated by one of which less is known. That keeps the order free of circles.
    """
    better = False
    for mine, theirs in zip(one.scores, other.scores, strict=True):
        if theirs is None:
            continue
        if mine is None or mine < theirs:
            return False
        better = better or mine > theirs
    return better


def dominated_by(name: str, merits: Mapping[str, Merits]) -> tuple[str, ...]:
    """Return the names of those that dominate one of them, in the order of their names."""
    return tuple(sorted(other for other in merits if other != name and dominates(merits[other], merits[name])))
