"""Conditions: their types, and how new findings enter a list that others watch."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tokenpace.api.status import Condition, ConditionStatus


class ConditionType(StrEnum):
    """What is said about an LLMDeployment, most important first."""

    READY = "Ready"
    """An allowed variant serves with at least `scaling.minReplicas` replicas, or the model sleeps; whatever the SLO."""
    METRICS_AVAILABLE = "MetricsAvailable"
    """Prometheus answers, and knows every pod that serves."""
    SLO_MET = "SLOMet"
    """What is declared in `slo` holds now. Names what is estimated."""
    SLO_FEASIBLE = "SLOFeasible"
    """A fleet within the bounds could meet what is declared in `slo`."""
    SCALING_LIMITED = "ScalingLimited"
    """More replicas are needed than a bound or the cluster allows."""
    TRAFFIC_UNBALANCED = "TrafficUnbalanced"
    """Requests reach some pods much more often than others: more replicas would not help."""
    PROGRESSING = "Progressing"
    """The cluster is on its way to the fleet that was decided on."""
    DEGRADED = "Degraded"
    """A variant below the best one serves."""
    SPEED_CARDS_ACCURATE = "SpeedCardsAccurate"
    """Every speed card that a variant names is there, is of that variant, and is what live traffic shows."""
    NOT_YET_SUPPORTED = "NotYetSupported"
    """Something is declared that has no effect in this version; the message names every such field."""


_ORDER = {kind.value: place for place, kind in enumerate(ConditionType)}


class Found(Protocol):
    """A verdict with its reason and its sentence: what the planner calls a finding."""

    @property
    def verdict(self) -> str:
        """True, False or Unknown."""

    @property
    def reason(self) -> str:
        """A CamelCase word for machines."""

    @property
    def message(self) -> str:
        """A sentence for people."""


def merge_conditions(
    existing: Iterable[Condition],
    found: Mapping[ConditionType, Found],
    *,
    observed_generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """Return the conditions with the findings in them, in the order of `ConditionType`.

    ``lastTransitionTime`` moves only when the status does. A condition without a finding stays as it is, its
    ``observedGeneration`` included, because nobody has looked at it again; one of a type that this version does not
    know comes last.
    """
    conditions = {condition.type: condition for condition in existing}
    for kind, finding in found.items():
        before = conditions.get(kind)
        found_now = (finding.verdict, finding.reason, finding.message, observed_generation)
        if before is not None and _says(before) == found_now:
            continue
        status = ConditionStatus(finding.verdict)
        conditions[kind] = Condition(
            type=kind.value,
            status=status,
            observed_generation=observed_generation,
            last_transition_time=before.last_transition_time if before and before.status == status else now,
            reason=finding.reason,
            message=finding.message,
        )
    return tuple(sorted(conditions.values(), key=lambda condition: _ORDER.get(condition.type, len(_ORDER))))


def _says(condition: Condition) -> tuple[str, str, str, int]:
    return condition.status, condition.reason, condition.message, condition.observed_generation
