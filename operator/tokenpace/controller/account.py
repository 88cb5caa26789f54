"""What there is to say of one LLMDeployment, as values: what it declares beside what the operator has reported. Pure.

`tokenpace explain` prints it for people, `tokenpace explain -o json` for programs, and the status page shows it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from tokenpace.api.conditions import ConditionType
from tokenpace.api.fields import ApiModel, DecimalString, DnsLabel, LongText, PercentString
from tokenpace.api.reasons import ProgressingReason
from tokenpace.api.scaling import DegradedBudget, Mode, Preference, Schedule
from tokenpace.api.slo import SLO
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import (
    Condition,
    ConditionStatus,
    Count,
    DegradedStatus,
    FleetSpeeds,
    LastDecision,
    LLMDeploymentStatus,
    ObjectiveStatus,
    SetbackStatus,
    Speed,
    SpeedSource,
    Timestamp,
    VariantStatus,
)
from tokenpace.api.variant import Variant
from tokenpace.controller.manifest import ManifestError, parse_spec
from tokenpace.planning.schedules import is_active, schedule_problems

_GOOD_WHEN_TRUE = frozenset(
    {
        ConditionType.READY,
        ConditionType.METRICS_AVAILABLE,
        ConditionType.SLO_MET,
        ConditionType.SLO_FEASIBLE,
        ConditionType.SPEED_CARDS_ACCURATE,
    }
)
_AT_REST_AND_WORTH_A_WORD = frozenset(
    {ProgressingReason.PAUSED, ProgressingReason.ADVISORY, ProgressingReason.TEMPLATE_OUTDATED}
)


class Reported(StrEnum):
    """Whether the operator has told of the resource."""

    NOT_YET = "NotYet"
    OF_AN_OLDER_SPEC = "OfAnOlderSpec"
    UP_TO_DATE = "UpToDate"


class Rung(ApiModel):
    """One variant of the ladder: what is declared of it, and how it stands. What is not known is None, which is not 0.

    Of a variant that is no longer in the spec quality and cost are not known: it is being retired.
    """

    name: DnsLabel
    retiring: bool
    quality: PercentString | None
    below_min_quality: bool
    hourly_cost: DecimalString | None
    replicas: Count | None
    ready: Count | None
    capacity: Speed | None
    source: SpeedSource | None
    lead_seconds: Count | None
    setback: SetbackStatus | None
    """Why it is not tried now; None where it may be."""


class Account(ApiModel):
    """Everything there is to say of one LLMDeployment at one moment."""

    namespace: str
    name: str
    reported: Reported
    mode: Mode
    preference: Preference
    decision: LastDecision | None
    switched_at: Timestamp | None
    asleep_since: Timestamp | None
    """None while it is awake."""
    schedules: tuple[Schedule, ...]
    """Those that are active."""
    promised: SLO
    tokens_per_second: FleetSpeeds
    quality: PercentString | None
    objective: ObjectiveStatus | None
    ladder: tuple[Rung, ...]
    """In the order of quality, best first; what is being retired comes last."""
    degraded: DegradedStatus | None
    degraded_limit: DegradedBudget | None
    worth_knowing: tuple[Condition, ...]
    """The conditions that are not as they should be, or say that something is held back."""
    outlook: tuple[LongText, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs, named as in a manifest; what is not known is null."""
        return self.model_dump(mode="json", by_alias=True)


def account(resource: Mapping[str, Any], now: datetime) -> Account:
    """Return what there is to say of a resource.

    Raises:
        ManifestError: spec or status are not such as this version can read.
    """
    spec, status = parse_spec(resource), status_of(resource)
    metadata = resource["metadata"]
    return Account(
        namespace=metadata["namespace"],
        name=metadata["name"],
        reported=reported(resource, status),
        mode=spec.scaling.mode,
        preference=spec.scaling.preference,
        decision=status.last_decision,
        switched_at=status.switched_at,
        asleep_since=status.asleep_since,
        schedules=tuple(active_schedules(spec, now)),
        promised=spec.slo,
        tokens_per_second=status.tokens_per_second or FleetSpeeds(),
        quality=status.quality,
        objective=status.slo,
        ladder=tuple(rungs(spec, status, now)),
        degraded=status.degraded,
        degraded_limit=spec.scaling.degraded,
        worth_knowing=tuple(one for one in status.conditions if is_worth_a_word(one)),
        outlook=status.outlook,
    )


def status_of(resource: Mapping[str, Any]) -> LLMDeploymentStatus:
    """Return what the operator has reported.

    Raises:
        ManifestError: it is not such as this version can read.
    """
    try:
        return LLMDeploymentStatus.model_validate(resource.get("status", {}))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ManifestError(
            f"status.{where}: another version of the operator has written it; use its command"
        ) from error


def reported(resource: Mapping[str, Any], status: LLMDeploymentStatus) -> Reported:
    """Tell whether the operator has told of the resource as it is now."""
    if status.observed_generation is None:
        return Reported.NOT_YET
    latest = status.observed_generation == resource["metadata"].get("generation")
    return Reported.UP_TO_DATE if latest else Reported.OF_AN_OLDER_SPEC


def active_schedules(spec: LLMDeploymentSpec, now: datetime) -> Iterator[Schedule]:
    """Yield the schedules that hold now; one that names no time never does."""
    return (one for one in spec.scaling.schedules if not any(schedule_problems([one])) and is_active(one, now))


def rungs(spec: LLMDeploymentSpec, status: LLMDeploymentStatus, now: datetime) -> Iterator[Rung]:
    """Yield every variant that is declared, in the order of quality, and then what is being retired."""
    declared = {variant.name: variant for variant in spec.ladder}
    seen = {variant.name: variant for variant in status.variants}
    for name in (*declared, *sorted(seen.keys() - declared)):
        variant, standing = declared.get(name), seen.get(name)
        quality = _quality(variant, standing) if variant else None
        setback = standing.setback if standing else None
        yield Rung(
            name=name,
            retiring=variant is None,
            quality=quality,
            below_min_quality=quality is not None and quality < spec.slo.min_quality,
            hourly_cost=variant.hourly_cost if variant else None,
            replicas=standing.replicas if standing else None,
            ready=standing.ready if standing else None,
            capacity=standing.capacity if standing else None,
            source=standing.source if standing else None,
            lead_seconds=standing.lead_seconds if standing else None,
            setback=setback if setback is not None and setback.until > now else None,
        )


def _quality(variant: Variant, standing: VariantStatus | None) -> Decimal:
    """Return the quality as declared, or else as reported: then it is of a speed card."""
    if variant.declared_quality is None and standing is not None and standing.quality is not None:
        return standing.quality
    return variant.quality


def is_worth_a_word(condition: Condition) -> bool:
    """Tell whether a condition is not as it should be, or says that something is held back."""
    if condition.type in _GOOD_WHEN_TRUE:
        return condition.status is not ConditionStatus.TRUE
    return condition.status is ConditionStatus.TRUE or condition.reason in _AT_REST_AND_WORTH_A_WORD
