"""How long a new replica takes, from the pods' own history."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.variant import Expected
from tokenpace.planning.observation import Pod
from tokenpace.planning.prior import prior_startup_seconds

USUAL_LEAD_SECONDS = 120.0
"""Lead time where none was declared and no pod has started yet. Large models take 86 to 420 s (llm-d, Together AI)."""

LEAD_QUANTILE = 0.8
"""Share of starts that are at most as slow as the lead time that is planned with."""

STARTS = 16
"""Starts remembered for each variant."""

LONGEST_START_SECONDS = 86_400.0

TIMEOUT_LEADS = 3.0
"""A pod that has been starting for this many lead times no longer counts as coming capacity; one that is known to be in
trouble, after a single one. Two more of them are up to six minutes in which a fleet without room stays overrun."""

SHORTEST_TIMEOUT_SECONDS = 60.0
"""But no earlier: scheduling and readiness probes alone take tens of seconds on a busy cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """How long pods of one variant, rendered from the same inputs, took from created to ready."""

    template_hash: str
    seconds: tuple[float, ...] = ()
    counted: frozenset[str] = frozenset()
    """Names of the pods counted already that are still there."""

    def seeing(self, pods: Iterable[Pod]) -> "Starts":
        """Return the history with every start in it that was not counted yet."""
        taken = {
            pod.name: pod.ready_since_seconds - pod.created_at_seconds
            for pod in pods
            if pod.ready_since_seconds is not None
        }
        new = [taken[name] for name in sorted(taken.keys() - self.counted) if 0 <= taken[name] <= LONGEST_START_SECONDS]
        return Starts(
            template_hash=self.template_hash,
            seconds=(*self.seconds, *new)[-STARTS:],
            counted=frozenset(taken),
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
    leads = TIMEOUT_LEADS if pod.trouble is None else 1.0
    timeout = max(leads * lead_seconds, SHORTEST_TIMEOUT_SECONDS)
    return not pod.serving and not pod.terminating and now - pod.created_at_seconds > timeout
