"""How long a new replica takes, from the pods' own history."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.variant import Expected
from tokenpace.planning.observation import Hindrance, Pod
from tokenpace.planning.prior import prior_startup_seconds

USUAL_LEAD_SECONDS = 120.0
"""Lead time where none was declared and no pod has started yet. Large models take 86 to 420 s (llm-d, Together AI)."""

LEAD_QUANTILE = 0.8
"""Share of starts that are at most as slow as the lead time that is planned with."""

STARTS = 16
"""Starts remembered for each variant."""

LONGEST_START_SECONDS = 86_400.0

LONGEST_WAIT_FOR_NODE_SECONDS = 900.0
"""Of the time until a pod was scheduled, this much is part of its start: a machine with GPUs that is brought for it
takes up to ten minutes or so. A longer wait is lack of stock, and says nothing of the next start."""

TIMEOUT_LEADS: Mapping[Hindrance, float] = {
    Hindrance.NONE: 3.0,
    Hindrance.UNPREPARED: 1.0,
    Hindrance.BLOCKED: 1.0,
    Hindrance.UNSCHEDULABLE: 1.0,
    Hindrance.OVER_QUOTA: 0.0,
    Hindrance.REFUSED: 0.0,
    Hindrance.LOST: 0.0,
}
"""A pod that has been starting for this many lead times no longer counts as coming capacity. One of which something is
known to be wrong has a single one: two more are up to six minutes in which a fleet without room stays overrun. Where
there is no pod, or no node, no start is under way that could take long."""

SHORTEST_TIMEOUT_SECONDS = 60.0
"""But no earlier: scheduling and readiness probes alone take tens of seconds on a busy cluster, a quota is full until a
pod that ends is gone, and nodes that are not heard of come back."""

LATEST_END_SECONDS = 60.0
"""A pod that is there for this long after the last of it should have been killed ends no more by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """How long pods of one variant, rendered from the same inputs, took from created to ready."""

    template_hash: str
    seconds: tuple[float, ...] = ()
    counted: frozenset[str] = frozenset()
    """Names of the pods counted already that are still there."""

    def seeing(self, pods: Iterable[Pod]) -> "Starts":
        """Return the history with every start in it that was not counted yet.

        A pod that is ready again after it was not has not started anew.
        """
        there = {pod.name: _start_seconds(pod) for pod in pods}
        taken = {name: seconds for name, seconds in there.items() if seconds is not None}
        new = [taken[name] for name in sorted(taken.keys() - self.counted) if 0 <= taken[name] <= LONGEST_START_SECONDS]
        return Starts(
            template_hash=self.template_hash,
            seconds=(*self.seconds, *new)[-STARTS:],
            counted=(self.counted & there.keys()) | taken.keys(),
        )

    def lead_seconds(self, expected: Expected, card: LLMSpeedCardSpec | None = None) -> float:
        """Return the lead time to plan with: seen, else on the speed card, else declared, else `USUAL_LEAD_SECONDS`."""
        if self.seconds:
            ordered = sorted(self.seconds)
            return ordered[math.ceil(LEAD_QUANTILE * len(ordered)) - 1]
        seconds = prior_startup_seconds(expected, card)
        return USUAL_LEAD_SECONDS if seconds is None else seconds


def is_overdue(pod: Pod, lead_seconds: float, now: float) -> bool:
    """Tell whether a pod that does not serve yet has taken too long to be counted on."""
    timeout = max(TIMEOUT_LEADS[pod.hindrance] * lead_seconds, SHORTEST_TIMEOUT_SECONDS)
    return not pod.serving and not pod.terminating and now - pod.starting_since_seconds > timeout


def never_ends(pod: Pod, now: float) -> bool:
    """Tell whether a pod that is told to end will not go by itself, so that nobody should wait for it."""
    late = pod.ends_by_seconds is not None and now - pod.ends_by_seconds > LATEST_END_SECONDS
    return pod.terminating and (late or pod.hindrance is Hindrance.LOST)


def plight(pod: Pod, now: float) -> str:
    """Return how a pod that is overdue stands, in words."""
    words = pod.hindrance_message
    if not pod.hindrance.is_usual and words:
        return f"{pod.name}: {words}"
    return f"{pod.name}: not ready for {now - pod.starting_since_seconds:.0f} s{f' ({words})' if words else ''}"


def _start_seconds(pod: Pod) -> float | None:
    """Return how long a pod took to be ready; None while it is not."""
    if pod.ready_since_seconds is None:
        return None
    waited = max((pod.scheduled_at_seconds or 0.0) - pod.created_at_seconds, 0.0)
    return pod.ready_since_seconds - pod.created_at_seconds - max(waited - LONGEST_WAIT_FOR_NODE_SECONDS, 0.0)
