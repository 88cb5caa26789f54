"""How an LLMDeployment kept its objective, counted in slots of one minute (design, section 2).

A slot has the last verdict that was made in its minute, which looks back over the window of the queries, a minute by
default. So every moment is judged once. A slot without a verdict is left out and counted. A slot is named by the minute
of Unix time at which it ends.
"""

from dataclasses import dataclass
from decimal import Decimal

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class SLOSlots:
    """Verdicts on consecutive slots as bits, the lowest of which is the slot that ends at ``first_minute``.

    A slot whose bit is set in neither has no verdict; in both it never is. Bits, because a slot that is read twice is
    then counted once, whoever judged it, and a month of slots takes 11 kB.
    """

    first_minute: int
    good: int = 0
    bad: int = 0

    def since(self, minute: int) -> "SLOSlots":
        """Return them from a minute on. What lies before the first one has no verdict."""
        shift = self.first_minute - minute
        return SLOSlots(minute, _shifted(self.good, shift), _shifted(self.bad, shift))

    def until(self, minute: int) -> "SLOSlots":
        """Return them up to and with that of a minute."""
        kept = (1 << max(0, minute + 1 - self.first_minute)) - 1
        return SLOSlots(self.first_minute, self.good & kept, self.bad & kept)

    def followed_by(self, newer: "SLOSlots") -> "SLOSlots":
        """Return these up to where the newer ones begin, and the newer ones from there on."""
        older, newer = self.until(newer.first_minute - 1), newer.since(self.first_minute)
        return SLOSlots(self.first_minute, older.good | newer.good, older.bad | newer.bad)


@dataclass(frozen=True, slots=True)
class Tally:
    """The slots of one window, by what became of them. Together they are the window."""

    good: int
    bad: int
    left_out: int
    """Without a verdict: nothing could be measured, no operator was at work, or none was scraped."""
    to_come: int
    """Not over yet, where the resource is younger than its window."""

    @property
    def judged(self) -> int:
        """Slots that count."""
        return self.good + self.bad

    @property
    def good_percent(self) -> Decimal | None:
        """Per cent of the judged slots that were good; None where none was judged."""
        return _HUNDRED * self.good / self.judged if self.judged else None

    def budget_remaining_percent(self, objective_percent: Decimal) -> Decimal | None:
        """Return how much of the error budget is left, 0 where it is spent; None where no slot was judged.

        The budget is what the objective leaves of the window, without the slots that are left out: a gap forgives
        nothing. What is to come belongs to it: else the first bad slot of a new resource would spend it all.
        """
        if not self.judged:
            return None
        allowed = (1 - objective_percent / _HUNDRED) * (self.judged + self.to_come)
        if self.bad >= allowed:
            return Decimal(0) if self.bad else _HUNDRED
        return _HUNDRED * (1 - self.bad / allowed)


def tally(slots: SLOSlots, *, first_minute: int, until_minute: int, window_minutes: int) -> Tally:
    """Count the slots of the window that ends with ``until_minute``.

    Args:
        slots: what is known.
        first_minute: the first slot of the window, or of the resource's life where that is shorter.
        until_minute: the last slot that is over.
        window_minutes: length of the objective's window.
    """
    over = max(0, until_minute + 1 - first_minute)
    counted = slots.since(first_minute).until(until_minute)
    good, bad = counted.good.bit_count(), counted.bad.bit_count()
    return Tally(good=good, bad=bad, left_out=over - good - bad, to_come=window_minutes - over)


def _shifted(bits: int, by: int) -> int:
    return bits << by if by >= 0 else bits >> -by
