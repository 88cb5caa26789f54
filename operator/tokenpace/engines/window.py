"""One pod's scrapes over the window of the queries: what adapters read.

Whole scrapes, and not rates that Prometheus computed, because everything that `rate()` has to guess is plain here:
a young pod has a shorter span, a failed scrape leaves a gap and no error, a restart is seen by every counter at once,
and a product of two metrics is formed within one scrape (docs/decisions/0030).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

Values = Mapping[str, float]
"""What one scrape saw, by signal name."""


Steps = tuple[tuple[Values, Values], ...]
"""From scrape to scrape: the values before, zeros after a restart, and those after."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What Prometheus saw of one pod at one moment, by its own clock."""

    at_seconds: float
    values: Values


@dataclass(frozen=True, slots=True)
class Window:
    """One pod's scrapes, oldest first."""

    scrapes: tuple[Scrape, ...]

    @property
    def seconds(self) -> float:
        """Span from the first scrape to the last: what increases are divided by. 0 with fewer than two."""
        return self.scrapes[-1].at_seconds - self.scrapes[0].at_seconds if self.scrapes else 0.0

    def complete(self, signals: Collection[str]) -> "Window":
        """Return the scrapes that saw all of these signals.

        The newest may not have: signals are asked for one by one, and it may have been stored in between.
        """
        wanted = frozenset(signals)
        return Window(tuple([scrape for scrape in self.scrapes if scrape.values.keys() >= wanted]))

    def from_first_use(self, signals: Collection[str]) -> "Window":
        """Return the scrapes of an engine that exports a series only once it has something to count: absent is 0.

        That holds within a scrape that saw any of the signals. The newest is left out when it lacks any that the one
        before saw, because signals are asked for one by one, and it may have been stored in between: taken for 0, one
        counter would make all of them restart.
        """
        seen = [scrape for scrape in self.scrapes if any(name in scrape.values for name in signals)]
        if len(seen) > 1 and seen[-2].values.keys() - seen[-1].values.keys():
            seen.pop()
        nothing = dict.fromkeys(signals, 0.0)
        return Window(tuple(Scrape(scrape.at_seconds, {**nothing, **scrape.values}) for scrape in seen))

    def unseen(self, signals: Collection[str], *, used: Collection[str]) -> frozenset[str]:
        """Return those signals that no scrape saw of a server that has worked: it does not export them.

        Before its first use a server may lack them because it is idle, and nothing is said.

        Args:
            signals: what is asked about.
            used: counters, any of which is above 0 once it has worked.
        """
        if not any(scrape.values.get(name, 0.0) > 0 for scrape in self.scrapes for name in used):
            return frozenset()
        return frozenset(signals) - {name for scrape in self.scrapes for name in scrape.values}

    def steps(self, counters: Collection[str]) -> Steps:
        """Return each scrape's values after those it grew from: the previous scrape's, or zeros after a restart.

        A process restarts all its counters together, so a fall of any of `counters` tells a restart for all. What
        was counted between the previous scrape and the restart is lost, as it is to Prometheus.
        """
        return tuple(
            (_zeros(after) if _fell(before, after, counters) else before, after)
            for before, after in pairwise(scrape.values for scrape in self.scrapes)
        )

    def mean(self, signal: str) -> float | None:
        """Mean of a gauge over the scrapes that saw it; None if none did."""
        seen = [scrape.values[signal] for scrape in self.scrapes if signal in scrape.values]
        return sum(seen) / len(seen) if seen else None

    def last(self, signal: str) -> float | None:
        """Newest value of a gauge; None if no scrape saw it."""
        return next((scrape.values[signal] for scrape in reversed(self.scrapes) if signal in scrape.values), None)


def increase(steps: Steps, total: Callable[[Values], float]) -> float:
    """Return by how much something that only grows did grow; rounding that made it fall counts as nothing."""
    return max(0.0, sum([total(after) - total(before) for before, after in steps]))


def growth(steps: Steps, counters: Collection[str]) -> dict[str, float]:
    """Return by how much each of these counters did grow."""
    return {name: max(0.0, sum([after[name] - before[name] for before, after in steps])) for name in counters}


def ratio(numerator: float, denominator: float) -> float | None:
    """Return a mean price, or None where nothing was sold."""
    return numerator / denominator if denominator > 0 else None


def _fell(before: Values, after: Values, counters: Collection[str]) -> bool:
    return any(after[name] < before[name] for name in counters if name in before and name in after)


def _zeros(values: Values) -> Values:
    return dict.fromkeys(values, 0.0)
