"""Why a fleet is what it is, for people: what `tokenpace explain` prints of one LLMDeployment. Pure.

Everything is read from the resource: what it declares, and the status that the operator has written. Nothing depends on
colours, and no message is taken for markup: they hold brackets.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import Condition, FleetSpeeds, LLMDeploymentStatus
from tokenpace.controller.account import Reported, Rung, active_schedules, is_worth_a_word, reported, rungs, status_of
from tokenpace.controller.manifest import parse_spec
from tokenpace.controller.phrases import UNKNOWN, age, moment, number


def explanation(resource: Mapping[str, Any], now: datetime) -> RenderableType:
    """Return why the fleet is what it is, its numbers, its ladder, what is worth knowing, and what would change it.

    Raises:
        ManifestError: spec or status are not such as this version can read.
    """
    spec, status = parse_spec(resource), status_of(resource)
    ladder = tuple(rungs(spec, status, now))
    sections: Iterable[tuple[str, list[RenderableType]]] = (
        ("Why this fleet", [*_decision(status, now), *_hours(spec, now)]),
        ("Tokens per second", [_speeds(spec, status)]),
        ("Objective", [*_objective(spec, status)]),
        ("Ladder", [_ladder(spec, ladder), *_setbacks(ladder), *_below_the_best(spec, status)]),
        ("Worth knowing", [_bullet(_told(one)) for one in status.conditions if is_worth_a_word(one)]),
        ("What would change it", [_bullet(sentence) for sentence in status.outlook]),
    )
    parts: list[RenderableType] = [_title(resource, status)]
    for heading, lines in sections:
        if lines:
            parts += [Text(), Text(heading, style="bold"), *(Padding(line, (0, 0, 0, 2)) for line in lines)]
    return Group(*parts)


def _title(resource: Mapping[str, Any], status: LLMDeploymentStatus) -> RenderableType:
    metadata = resource["metadata"]
    title = Text(f"LLMDeployment {metadata['namespace']}/{metadata['name']}", style="bold")
    match reported(resource, status):
        case Reported.NOT_YET:
            return Group(title, Text("The operator has not reported on it yet. Does it run, and may it?"))
        case Reported.OF_AN_OLDER_SPEC:
            return Group(title, Text("The operator has not reported on the latest change of its spec yet."))
        case Reported.UP_TO_DATE:
            return title


def _decision(status: LLMDeploymentStatus, now: datetime) -> Iterator[RenderableType]:
    decision = status.last_decision
    if decision is not None:
        yield Text(f"{decision.action}, decided {moment(decision.time)}, {age(decision.time, now)} ago")
        yield Text(f"{decision.reason}: {decision.message}")
    if status.asleep_since is not None:
        yield Text(f"Asleep since {moment(status.asleep_since)}, for {age(status.asleep_since, now)}.")
    if status.switched_at is not None:
        yield Text(f"Last switch between variants: {moment(status.switched_at)}, {age(status.switched_at, now)} ago.")


def _hours(spec: LLMDeploymentSpec, now: datetime) -> Iterator[RenderableType]:
    for schedule in active_schedules(spec, now):
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
        ("demand", seen.demand, "" if promised is None else f"promised up to {number(promised)}"),
        ("served", seen.served, ""),
        ("capacity", seen.capacity, "of the replicas that serve, while every latency target holds"),
        (
            "stream",
            seen.stream,
            f"promised {number(stream.tokens_per_second)} to {stream.percentile} % of requests" if stream else "",
        ),
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, value, remark in rows:
        table.add_row(name, number(value), Text(remark))
    return table


def _objective(spec: LLMDeploymentSpec, status: LLMDeploymentStatus) -> Iterator[RenderableType]:
    stands, hours = status.slo, spec.slo.window_hours
    if stands is None:
        return
    if stands.good_percent is not None:
        yield Text(
            f"{number(stands.good_percent)} % of {number(stands.judged_slots)} one-minute slots of the last {hours} h"
            f" were good; {number(spec.slo.objective)} % have to be."
        )
        yield Text(f"{number(stands.budget_remaining_percent)} % of the error budget is left.")
    if stands.left_out_slots:
        yield Text(f"{number(stands.left_out_slots)} slots have no verdict and are left out.")
    if stands.message is not None:
        yield Text(stands.message)


def _ladder(spec: LLMDeploymentSpec, ladder: Iterable[Rung]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for column in ("VARIANT", "QUALITY", "COST/H", "READY", "CAPACITY", "FROM", "LEAD", "NOT BEFORE"):
        table.add_column(column)
    for rung in ladder:
        below = f" (below {number(spec.slo.min_quality)})" if rung.below_min_quality else ""
        table.add_row(
            rung.name,
            "retiring" if rung.retiring else f"{number(rung.quality)}{below}",
            number(rung.hourly_cost),
            UNKNOWN if rung.replicas is None else f"{rung.ready}/{rung.replicas}",
            number(rung.capacity),
            UNKNOWN if rung.source is None else rung.source.lower(),
            UNKNOWN if rung.lead_seconds is None else f"{rung.lead_seconds} s",
            UNKNOWN if rung.setback is None else f"{rung.setback.until:%H:%M:%S}",
        )
    return table


def _setbacks(ladder: Iterable[Rung]) -> Iterator[RenderableType]:
    for rung in ladder:
        if (setback := rung.setback) is not None:
            failures = f"{setback.failures} times in a row" if setback.failures > 1 else "once"
            text = f"{rung.name} failed {failures} and is not tried before {moment(setback.until)}: "
            yield _bullet(text + setback.message)


def _below_the_best(spec: LLMDeploymentSpec, status: LLMDeploymentStatus) -> Iterator[RenderableType]:
    if status.degraded is None or len(spec.variants) == 1:
        return
    allowed = spec.scaling.degraded
    limit = f"; {allowed.max_tokens_percent} % are allowed, then {allowed.when_spent}" if allowed else ""
    share, hours = number(status.degraded.tokens_percent), spec.slo.window_hours
    yield Text(f"Below the best variant: {share} % of the tokens of about {hours} h{limit}.")


def _told(condition: Condition) -> str:
    return f"{condition.type} is {condition.status} ({condition.reason}): {condition.message}"


def _bullet(sentence: str) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_row(Text("-"), Text(sentence))
    return row
