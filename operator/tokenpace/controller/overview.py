"""Every LLMDeployment in one line: what `tokenpace status` prints. Pure.

Everything is read from what the operator has reported; nothing depends on colours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from tokenpace.api.conditions import ConditionType
from tokenpace.api.reasons import ReadyReason

_ALARMING = (
    (ConditionType.READY, "False"),
    (ConditionType.METRICS_AVAILABLE, "False"),
    (ConditionType.SLO_FEASIBLE, "False"),
    (ConditionType.SCALING_LIMITED, "True"),
    (ConditionType.TRAFFIC_UNBALANCED, "True"),
    (ConditionType.SPEED_CARDS_ACCURATE, "False"),
)
"""Conditions that somebody should look at, the most urgent first, and the status that makes them so."""

_UNKNOWN = "-"
_VERDICTS = {"True": "met", "False": "missed"}
_STYLES = {"met": "green", "missed": "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One LLMDeployment. Speeds are in tokens per second; what is not known is None, which is not 0."""

    namespace: str
    name: str
    variant: str | None
    ready: int | None
    replicas: int | None
    demand: str | None
    served: str | None
    capacity: str | None
    target: int | None
    slo: str | None
    """``met`` or ``missed``."""
    budget_percent: str | None
    """How much of the error budget is left."""
    state: str | None
    """The reason of the most urgent condition, or of where the fleet is on its way to."""
    message: str
    alarming: bool
    """Whether somebody should look at it."""


def line(resource: Mapping[str, Any]) -> Line:
    """Return what one LLMDeployment is about. Status is read leniently: another version may have written it."""
    metadata, status = resource["metadata"], resource.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    speeds = status.get("tokensPerSecond", {})
    state, message, alarming = _state(conditions)
    return Line(
        namespace=metadata["namespace"],
        name=metadata["name"],
        variant=status.get("variant"),
        ready=status.get("readyReplicas"),
        replicas=status.get("replicas"),
        demand=speeds.get("demand"),
        served=speeds.get("served"),
        capacity=speeds.get("capacity"),
        target=resource.get("spec", {}).get("slo", {}).get("generationTokensPerSecond"),
        slo=_VERDICTS.get(conditions.get(ConditionType.SLO_MET, {}).get("status", "")),
        budget_percent=status.get("slo", {}).get("budgetRemainingPercent"),
        state=state,
        message=message,
        alarming=alarming,
    )


def _state(conditions: Mapping[str, Mapping[str, Any]]) -> tuple[str | None, str, bool]:
    """Return the reason and message of what matters most, and whether it is bad."""
    for kind, status in _ALARMING:
        if (found := conditions.get(kind)) is not None and found["status"] == status:
            return found["reason"], found["message"], True
    ready = conditions.get(ConditionType.READY)
    if ready is not None and ready["reason"] == ReadyReason.ASLEEP:
        return ready["reason"], ready["message"], False
    progressing = conditions.get(ConditionType.PROGRESSING)
    if progressing is None:
        return None, "The operator has not reported on it yet.", False
    return progressing["reason"], progressing["message"], False


def overview(lines: Sequence[Line]) -> Table:
    """Return the lines as a table, the LLMDeployments in the order of their names."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("NAMESPACE", "NAME", "VARIANT"):
        table.add_column(column, no_wrap=True)
    for column in ("READY", "DEMAND", "SERVED", "CAPACITY", "TARGET"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("SLO", no_wrap=True)
    table.add_column("BUDGET", justify="right", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    for one in sorted(lines, key=lambda one: (one.namespace, one.name)):
        ready = _UNKNOWN if one.ready is None else f"{one.ready}/{_told(one.replicas)}"
        numbers = (one.demand, one.served, one.capacity, one.target)
        table.add_row(
            *map(Text, (one.namespace, one.name, _told(one.variant), ready, *map(_told, numbers))),
            Text(_told(one.slo), style=_STYLES.get(one.slo or "", "")),
            Text(_UNKNOWN if one.budget_percent is None else f"{one.budget_percent} %"),
            Text(_told(one.state), style="yellow" if one.alarming else ""),
        )
    return table


def as_json(lines: Iterable[Line]) -> dict[str, Any]:
    """Return the lines for programs; what is not known is null."""
    return {"items": [asdict(one) for one in sorted(lines, key=lambda one: (one.namespace, one.name))]}


def _told(value: str | int | None) -> str:
    return _UNKNOWN if value is None else str(value)
