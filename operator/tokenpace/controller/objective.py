"""How each LLMDeployment keeps its objective: its slots, read back from Prometheus, and what the status says of them.

Nothing is counted here that Prometheus does not have, so that a restart, a takeover and a day of work give the same
numbers. What was read is kept, and each reading goes on from the one before.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

import structlog

from tokenpace.api.slo import SLO
from tokenpace.api.status import ObjectiveStatus
from tokenpace.controller.readable import Readable
from tokenpace.planning.slo_accounting import SLOSlots, Tally, tally
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.connection import MetricsError
from tokenpace.prometheus.samples import MetricsAnswer

log = structlog.get_logger(__name__)

_SETTLING_MINUTES = 1
"""A slot is read this long after it is over, when the last scrape of its minute can be queried everywhere."""

_CLOCK_STEP_MINUTES = 2
"""By so much Prometheus' time may go back, as it does where two answer in turn, before everything is read again."""

_LONGEST_READING_MINUTES = 200
"""Slots that one tick reads back at most. With 2,000 resources they take 0.6 s of Prometheus' processor."""


class Objectives:
    """The slots of every LLMDeployment, read back as far as some window reaches."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._slots: dict[str, SLOSlots] = {}
        """By UID; a resource without a verdict in any window has none."""
        self._known = range(0)
        """Minutes whose slots have been read."""
        self._is_caught_up = False
        self._failed_minute: int | None = None
        self._problem: str | None = None
        """Why the slots are not known up to now; None where they are, or where nobody has asked yet."""

    async def read(self, answer: MetricsAnswer, resources: Iterable[Readable]) -> None:
        """Read the slots that are not known yet, at most some hours of them, once a minute where none are behind.

        Args:
            answer: of this tick, with Prometheus' time.
            resources: whose windows matter.
        """
        if answer.at_seconds is None:
            self._problem = answer.problem
            return
        newest = int(answer.at_seconds // 60) - _SETTLING_MINUTES
        oldest = min((_first_minute(one, newest) for one in resources), default=newest + 1)
        if oldest < self._known.start - _CLOCK_STEP_MINUTES:
            self._known, self._is_caught_up = range(oldest, oldest), False  # a window has grown: begin anew
        oldest = max(oldest, self._known.start)
        first = max(self._known.stop, oldest)
        until = min(newest, first + _LONGEST_READING_MINUTES - 1)
        if newest == self._failed_minute:
            return
        if until < first:
            self._problem = None  # whatever went unanswered before: nothing is behind
            return
        try:
            read = await self._prometheus.slots(after_minute=first - 1, until_minute=until)
        except MetricsError as error:
            self._failed_minute = newest
            self._note(str(error))
            return
        self._slots = dict(self._grown(read, oldest, first))
        self._known, self._is_caught_up = range(oldest, until + 1), until == newest
        self._note(None if self._is_caught_up else _STILL_READING)

    def _grown(self, read: Mapping[str, SLOSlots], oldest: int, first: int) -> Iterator[tuple[str, SLOSlots]]:
        """Yield what is known with what was read, without what is older than every window."""
        for uid in self._slots.keys() | read.keys():
            known = self._slots.get(uid, SLOSlots(oldest)).since(oldest)
            slots = known.followed_by(read.get(uid, SLOSlots(first)))
            if slots.good or slots.bad:
                yield uid, slots

    def tally(self, one: Readable) -> Tally | None:
        """Count the slots of a resource's window; None while they are not known."""
        if not self._is_caught_up:
            return None
        newest = self._known.stop - 1
        return tally(
            self._slots.get(one.uid, SLOSlots(newest)),
            first_minute=_first_minute(one, newest),
            until_minute=newest,
            window_minutes=60 * one.declared.slo.window_hours,
        )

    def status(self, one: Readable) -> ObjectiveStatus | None:
        """Return what a resource's status says of its objective."""
        return objective_status(self.tally(one), one.declared.slo, self._problem)

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            log.info("slots of objectives", problem=problem)
        self._problem = problem


def _first_minute(one: Readable, newest: int) -> int:
    """Return the first slot of a resource's window, which does not reach beyond its creation."""
    created_seconds = datetime.fromisoformat(one.resource["metadata"]["creationTimestamp"]).timestamp()
    return max(math.ceil(created_seconds / 60) + 1, newest + 1 - 60 * one.declared.slo.window_hours)


def objective_status(found: Tally | None, slo: SLO, problem: str | None) -> ObjectiveStatus | None:
    """Return what the status says of an objective; None where there is nothing to say yet.

    Percentages are rounded down, so that nothing reads as kept that is not, and counts to two significant digits: in a
    young resource they would otherwise be another status every minute.
    """
    if found is None:
        return None if problem is None else ObjectiveStatus(message=problem)
    if not found.judged and found.left_out and problem is None:
        problem = _NOTHING_JUDGED
    return ObjectiveStatus(
        good_percent=_rounded_down(found.good_percent, "0.01"),
        budget_remaining_percent=_rounded_down(found.budget_remaining_percent(slo.objective), "0.1"),
        judged_slots=_two_digits(found.judged),
        left_out_slots=_two_digits(found.left_out),
        message=problem,
    )


_STILL_READING = "The slots of the window are still being read back from Prometheus."
_NOTHING_JUDGED = (
    "No slot has a verdict: nothing could be measured, or Prometheus does not scrape the operator itself once a minute."
)


def _rounded_down(percent: Decimal | None, to: str) -> Decimal | None:
    return None if percent is None else percent.quantize(Decimal(to), ROUND_FLOOR).normalize()


def _two_digits(count: int) -> int:
    return int(float(f"{count:.1e}"))
