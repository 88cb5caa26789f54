"""Why a fleet is what it is, for people: what `tokenpace explain` prints of one LLMDeployment. Pure.

Everything is read from the resource: what it declares, and the status that the operator has written. Nothing depends on
colours, and no message is taken for markup: they hold brackets.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tokenpace.api.conditions import ConditionType
from tokenpace.api.reasons import ProgressingReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import (
    Condition,
    ConditionStatus,
    FleetSpeeds,
    LLMDeploymentStatus,
    SetbackStatus,
    VariantStatus,
)
from tokenpace.api.variant import Variant
from tokenpace.controller.manifest import ManifestError, parse_spec
from tokenpace.planning.schedules import is_active, schedule_problems

_GOOD_WHEN_TRUE = frozenset(
    {ConditionType.READY, ConditionType.METRICS_AVAILABLE, ConditionType.SLO_MET, ConditionType.SLO_FEASIBLE}
)
_AT_REST_AND_WORTH_A_WORD = frozenset(
    {ProgressingReason.PAUSED, ProgressingReason.ADVISORY, ProgressingReason.TEMPLATE_OUTDATED}
)
_UNKNOWN = "-"


def explanation(resource: Mapping[str, Any], now: datetime) -> RenderableType:
    """Return why the fleet is what it is, its numbers, its ladder, what is worth knowing, and what would change it.

    Raises:
        ManifestError: spec or status are not such as this version can read.
    """
    spec, status = parse_spec(resource), _status_of(resource)
    sections: Iterable[tuple[str, list[RenderableType]]] = (
        ("Why this fleet", [*_decision(status, now), *_hours(spec, now)]),
        ("Tokens per second", [_speeds(spec, status)]),
        ("Ladder", [_ladder(spec, status, now), *_setbacks(status, now), *_below_the_best(spec, status)]),
        ("Worth knowing", [_bullet(_told(one)) for one in status.conditions if _is_worth_a_word(one)]),
        ("What would change it", [_bullet(sentence) for sentence in status.outlook]),
    )
    parts: list[RenderableType] = [_title(resource, status)]
    for heading, lines in sections:
        if lines:
            parts += [Text(), Text(heading, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines)]
    return Group(*parts)


def _status_of(resource: Mapping[str, Any]) -> LLMDeploymentStatus:
    try:
        return LLMDeploymentStatus.model_validate(resource.get("status", {}))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ManifestError(
            f"status.{where}: another version of the operator has written it; use its command"
        ) from error


def _title(resource: Mapping[str, Any], status: LLMDeploymentStatus) -> RenderableType:
    metadata = resource["metadata"]
    title = Text(f"LLMDeployment {metadata['namespace']}/{metadata['name']}", style="bold")
    if status.observed_generation is None:
        return Group(title, Text("The operator has not reported on it yet. Does it run, and may it?"))
    if status.observed_generation != metadata.get("generation"):
        return Group(title, Text("The operator has not reported on the latest change of its spec yet."))
    return title


def _decision(status: LLMDeploymentStatus, now: datetime) -> Iterator[RenderableType]:
    decision = status.last_decision
    if decision is not None:
        yield Text(f"{decision.action}, decided {_moment(decision.time)}, {_age(decision.time, now)} ago")
        yield Text(f"{decision.reason}: {decision.message}")
    if status.asleep_since is not None:
        yield Text(f"Asleep since {_moment(status.asleep_since)}, for {_age(status.asleep_since, now)}.")
    if status.switched_at is not None:
        yield Text(f"Last switch between variants: {_moment(status.switched_at)}, {_age(status.switched_at, now)} ago.")


def _hours(spec: LLMDeploymentSpec, now: datetime) -> Iterator[RenderableType]:
    for schedule in spec.scaling.schedules:
        if not any(schedule_problems([schedule])) and is_active(schedule, now):
            asked = {
                "replicas at least": schedule.min_replicas,
                "tokens/s always ready": schedule.ready_tokens_per_second,
            }
            told = ", ".join(f"{text} {number}" for text, number in asked.items() if number is not None)
            yield Text(f"Schedule {schedule.name} is active: {told}.")


def _speeds(spec: LLMDeploymentSpec, status: LLMDeploymentStatus) -> RenderableType:
    seen, stream = status.tokens_per_second or FleetSpeeds(), spec.slo.stream
    promised = spec.slo.generation_tokens_per_second
    rows = (
        ("demand", seen.demand, "" if promised is None else f"promised up to {_number(promised)}"),
        ("served", seen.served, ""),
        ("capacity", seen.capacity, "of the replicas that serve, while every latency target holds"),
        (
            "stream",
            seen.stream,
            f"promised {_number(stream.tokens_per_second)} to {stream.percentile} % of requests" if stream else "",
        ),
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, value, remark in rows:
        table.add_row(name, _number(value), Text(remark))
    return table


def _ladder(spec: LLMDeploymentSpec, status: LLMDeploymentStatus, now: datetime) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for column in ("VARIANT", "QUALITY", "COST/H", "READY", "CAPACITY", "FROM", "LEAD", "NOT BEFORE"):
        table.add_column(column)
    declared = {variant.name: variant for variant in spec.ladder}
    seen = {variant.name: variant for variant in status.variants}
    for name in (*declared, *sorted(seen.keys() - declared)):
        table.add_row(name, *_rung(declared.get(name), spec.slo.min_quality), *_standing(seen.get(name), now))
    return table


def _rung(variant: Variant | None, min_quality: Decimal) -> tuple[str, str]:
    """Return quality and cost of a variant as declared; None is one that is no longer in the spec."""
    if variant is None:
        return "retiring", _UNKNOWN
    below = f" (below {_number(min_quality)})" if variant.quality < min_quality else ""
    return f"{_number(variant.quality)}{below}", _number(variant.hourly_cost)


def _standing(variant: VariantStatus | None, now: datetime) -> tuple[str, ...]:
    """Return how a variant stands: replicas ready of those asked for, capacity of each, its source, lead, setback."""
    if variant is None:
        return (_UNKNOWN,) * 5
    return (
        f"{variant.ready}/{variant.replicas}",
        _number(variant.capacity),
        _UNKNOWN if variant.source is None else variant.source.lower(),
        _UNKNOWN if variant.lead_seconds is None else f"{variant.lead_seconds} s",
        _UNKNOWN if (setback := _setback(variant, now)) is None else f"{setback.until:%H:%M:%S}",
    )


def _setback(variant: VariantStatus, now: datetime) -> SetbackStatus | None:
    """Return why a variant is not tried now, if it is not."""
    return variant.setback if variant.setback is not None and variant.setback.until > now else None


def _setbacks(status: LLMDeploymentStatus, now: datetime) -> Iterator[RenderableType]:
    for variant in status.variants:
        if (setback := _setback(variant, now)) is not None:
            failures = f"{setback.failures} times in a row" if setback.failures > 1 else "once"
            text = f"{variant.name} failed {failures} and is not tried before {_moment(setback.until)}: "
            yield _bullet(text + setback.message)


def _below_the_best(spec: LLMDeploymentSpec, status: LLMDeploymentStatus) -> Iterator[RenderableType]:
    if status.degraded is None or len(spec.variants) == 1:
        return
    allowed = spec.scaling.degraded
    limit = f"; {allowed.max_tokens_percent} % are allowed, then {allowed.when_spent}" if allowed else ""
    share, hours = _number(status.degraded.tokens_percent), spec.slo.window_hours
    yield Text(f"Below the best variant: {share} % of the tokens of about {hours} h{limit}.")


def _is_worth_a_word(condition: Condition) -> bool:
    """Tell whether a condition is not as it should be, or says that something is held back."""
    if condition.type in _GOOD_WHEN_TRUE:
        return condition.status is not ConditionStatus.TRUE
    return condition.status is ConditionStatus.TRUE or condition.reason in _AT_REST_AND_WORTH_A_WORD


def _told(condition: Condition) -> str:
    return f"{condition.type} is {condition.status} ({condition.reason}): {condition.message}"


def _bullet(sentence: str) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_row(Text("-"), Text(sentence))
    return row


def _number(value: Decimal | int | None) -> str:
    """Return a number without trailing zeros; one that is not known is a dash, which is not 0."""
    return _UNKNOWN if value is None else f"{Decimal(value).normalize():f}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _age(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in its largest unit."""
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
