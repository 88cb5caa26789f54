from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tokenpace.api.conditions import ConditionType, merge_conditions
from tokenpace.api.status import Condition, ConditionStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    verdict: str
    reason: str = "Because"
    message: str = "It is so."


def merged(
    existing: tuple[Condition, ...], found: dict[ConditionType, Finding], *, generation: int = 1, now: datetime = LATER
) -> dict[str, Condition]:
    conditions = merge_conditions(existing, found, observed_generation=generation, now=now)
    return {condition.type: condition for condition in conditions}


def condition(kind: str, status: str) -> Condition:
    return Condition(
        type=kind,
        status=ConditionStatus(status),
        observed_generation=1,
        last_transition_time=NOON,
        reason="Before",
        message="It was so.",
    )


def test_a_first_finding_becomes_a_condition() -> None:
    ready = merged((), {ConditionType.READY: Finding("True")}, generation=7)["Ready"]
    assert ready == Condition(
        type="Ready",
        status=ConditionStatus.TRUE,
        observed_generation=7,
        last_transition_time=LATER,
        reason="Because",
        message="It is so.",
    )


def test_the_transition_time_stays_while_the_status_does_though_the_reason_changes() -> None:
    ready = merged((condition("Ready", "True"),), {ConditionType.READY: Finding("True")}, generation=2)["Ready"]
    assert (ready.last_transition_time, ready.reason, ready.observed_generation) == (NOON, "Because", 2)


def test_the_transition_time_moves_when_the_status_does() -> None:
    ready = merged((condition("Ready", "True"),), {ConditionType.READY: Finding("Unknown")})["Ready"]
    assert (ready.status, ready.last_transition_time) == ("Unknown", LATER)


def test_what_nobody_looked_at_again_keeps_the_generation_it_was_said_of() -> None:
    conditions = merged((condition("SLOMet", "True"),), {ConditionType.READY: Finding("True")}, generation=9)
    assert conditions["SLOMet"] == condition("SLOMet", "True")


def test_conditions_stand_in_one_order_with_unknown_types_last() -> None:
    existing = (condition("OfANewerVersion", "True"), condition("SLOMet", "True"))
    assert list(merged(existing, {ConditionType.READY: Finding("True")})) == ["Ready", "SLOMet", "OfANewerVersion"]


def test_merging_the_same_findings_again_changes_nothing() -> None:
    found = {kind: Finding("False") for kind in ConditionType}
    first = merge_conditions((), found, observed_generation=1, now=NOON)
    assert merge_conditions(first, found, observed_generation=1, now=LATER) == first
