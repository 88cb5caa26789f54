"""What the planner answers: a fleet, why, and every number that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tokenpace.api.reasons import DecisionReason, DegradedReason, SpeedCardReason
from tokenpace.api.status import SpeedSource


class Verdict(StrEnum):
    """A condition's status, before it becomes one."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with its machine-readable reason and its sentence for people."""

    verdict: Verdict
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSpeed:
    """What is believed of one variant: one replica's speed, and where the belief comes from."""

    capacity_tokens_per_second: float | None
    """Generated tokens/s of one replica at which every latency target holds; None while nothing is known."""
    lead_seconds: float
    source: SpeedSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicators:
    """What the fleet does and what is asked of it, in tokens per second; None where nothing is known."""

    demand_tokens_per_second: float | None
    served_tokens_per_second: float | None
    capacity_tokens_per_second: float | None
    stream_tokens_per_second: float | None
    waiting_requests: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The fleet to have, and why."""

    fleet: Mapping[str, int]
    """Replicas by variant, of every variant that is in the spec or still runs."""
    reason: DecisionReason
    message: str
    numbers: Mapping[str, float]
    """Every number that the decision used, by name with its unit."""
    indicators: Indicators
    speeds: Mapping[str, VariantSpeed]
    metrics_available: Finding
    slo_met: Finding
    slo_feasible: Finding
    scaling_limited: Finding
    traffic_unbalanced: Finding
    goal: Mapping[str, int] = field(default_factory=dict)
    """The fleet when every transition is over, of the same variants."""
    canaries: frozenset[str] = frozenset()
    """Names of the pods of which a canary is wanted now."""
    degraded: Finding = Finding(Verdict.UNKNOWN, DegradedReason.NOTHING_SERVES, "No variant serves.")
    """Whether something below the best variant serves, and why."""
    speed_cards_accurate: Finding = Finding(
        Verdict.TRUE, SpeedCardReason.NO_SPEED_CARDS, "No variant is planned from a speed card."
    )
    """Whether the cards that are planned from are what live traffic shows."""
    progress: Finding | None = None
    """A switch that is under way or was rolled back; None where there is none."""
    outlook: tuple[str, ...] = ()
    """What would change the fleet: at most six sentences with numbers."""
