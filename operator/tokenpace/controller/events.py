"""Events on change, as Kubernetes' event style guide has them: once for each thing that happened."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenpace.api.conditions import ConditionType
from tokenpace.api.names import API_VERSION, KIND
from tokenpace.api.reasons import EventReason, ProgressingReason
from tokenpace.api.status import Condition, ConditionStatus, LLMDeploymentStatus
from tokenpace.cluster.apply import Outcome, Result, Scale

_BAD_WHEN_FALSE = frozenset(
    {
        ConditionType.READY,
        ConditionType.METRICS_AVAILABLE,
        ConditionType.SLO_FEASIBLE,
        ConditionType.SPEED_CARDS_ACCURATE,
    }
)
_BAD_WHEN_TRUE = frozenset({ConditionType.SCALING_LIMITED, ConditionType.TRAFFIC_UNBALANCED})
_HANDS_OFF = frozenset({ProgressingReason.PAUSED, ProgressingReason.ADVISORY})
_MAX_MESSAGE_LENGTH = 1024
"""Limit of `core/v1 Event.message`."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to an LLMDeployment."""

    reason: str
    message: str
    warning: bool


def scalings(outcomes: Iterable[Outcome], message: str) -> tuple[Happening, ...]:
    """Return one happening for each workload whose replicas were really changed, with the decision's sentence."""
    return tuple(
        Happening(
            EventReason.SCALED,
            f"{action.target.name}: {action.from_replicas} to {action.to_replicas} replicas. {message}",
            warning=False,
        )
        for action in (outcome.action for outcome in outcomes if outcome.result is Result.DONE)
        if isinstance(action, Scale)
    )


def turns(previous: LLMDeploymentStatus, current: LLMDeploymentStatus) -> tuple[Happening, ...]:
    """Return the conditions that turned, or that are bad at first sight."""
    found: list[Happening] = []
    statuses = {condition.type: condition.status for condition in previous.conditions}
    for condition in current.conditions:
        bad = (condition.type in _BAD_WHEN_FALSE and condition.status == ConditionStatus.FALSE) or (
            condition.type in _BAD_WHEN_TRUE and condition.status == ConditionStatus.TRUE
        )
        was = statuses.get(condition.type)
        # At first sight nothing has turned, and a fleet that starts is not Ready yet: only that one stays silent.
        first_and_bad = was is None and bad and condition.type != ConditionType.READY
        turned = was not in (None, condition.status) and condition.type in _BAD_WHEN_FALSE | _BAD_WHEN_TRUE
        if turned or first_and_bad:
            found.append(Happening(condition.reason, f"{condition.type}: {condition.message}", warning=bad))
    return tuple(found)


def switching(previous: LLMDeploymentStatus, current: LLMDeploymentStatus) -> tuple[Happening, ...]:
    """Return that a switch between variants has begun, is done or was rolled back, if it just has.

    While nothing may be touched there are only intentions.
    """
    before, now = _progressing(previous), _progressing(current)
    was = before.reason if before else None
    if now is None or now.reason == was or _HANDS_OFF.intersection((was, now.reason)):
        return ()
    if now.reason == ProgressingReason.ROLLED_BACK:
        return (Happening(EventReason.SWITCH_ROLLED_BACK, now.message, warning=True),)
    if _is_switch(before) == _is_switch(now):
        return ()
    if _is_switch(now):
        return (Happening(EventReason.SWITCH_BEGUN, now.message, warning=False),)
    why = current.last_decision.message if current.last_decision else now.message
    return (Happening(EventReason.SWITCH_DONE, f"{current.variant or 'Nothing'} serves. {why}", warning=False),)


def sleeping(previous: LLMDeploymentStatus, current: LLMDeploymentStatus) -> tuple[Happening, ...]:
    """Return that a model fell asleep or was woken, if it just did."""
    if (previous.asleep_since is None) == (current.asleep_since is None) or current.last_decision is None:
        return ()
    reason = EventReason.WOKEN if current.asleep_since is None else EventReason.FELL_ASLEEP
    return (Happening(reason, current.last_decision.message, warning=False),)


def _is_switch(progressing: Condition | None) -> bool:
    """Tell whether a switch is under way. One that cannot go on is: False, because pods of the new are in trouble."""
    if progressing is None:
        return False
    stuck = (ProgressingReason.PODS_IN_TROUBLE, ConditionStatus.FALSE)
    return progressing.reason == ProgressingReason.SWITCHING or (progressing.reason, progressing.status) == stuck


def _progressing(status: LLMDeploymentStatus) -> Condition | None:
    return next((one for one in status.conditions if one.type == ConditionType.PROGRESSING), None)


def event_body(resource: Mapping[str, Any], happening: Happening, now_seconds: float) -> dict[str, Any]:
    """Return the Event to create.

    Its name follows from its content and the minute: told again because the status could not be written with it, it
    is no second Event.
    """
    metadata = resource["metadata"]
    now = datetime.fromtimestamp(now_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    content = f"{metadata['uid']}/{happening.reason}/{happening.message}/{now_seconds // 60:.0f}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{hashlib.sha256(content.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "reason": happening.reason,
        "message": happening.message[:_MAX_MESSAGE_LENGTH],
        "type": "Warning" if happening.warning else "Normal",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "source": {"component": "tokenpace"},
        "reportingComponent": "tokenpace.dev/operator",
    }
