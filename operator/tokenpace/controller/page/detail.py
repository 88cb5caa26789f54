"""One LLMDeployment: what was decided, what is promised beside what is measured, its ladder, its hours. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tokenpace.api.status import Condition, LastDecision
from tokenpace.controller.account import Account, Reported, Rung
from tokenpace.controller.overview import Line
from tokenpace.controller.page.badge import badge, slo_badge
from tokenpace.controller.page.chart import (
    CAPACITY,
    DEMAND,
    READY,
    REPLICAS,
    SERVED,
    STREAM,
    Mark,
    chart,
    ribbon,
    window,
)
from tokenpace.controller.page.frame import Occasion, page
from tokenpace.controller.page.history import Past, PastDecision
from tokenpace.controller.page.markup import Content, Markup, element, together
from tokenpace.controller.page.table import Column, Row, table
from tokenpace.controller.phrases import UNKNOWN, age, moment, number

_REPORTED = {
    Reported.NOT_YET: "The operator has not reported on it yet.",
    Reported.OF_AN_OLDER_SPEC: "The operator has not reported on the latest change of its spec yet.",
    Reported.UP_TO_DATE: None,
}


@dataclass(frozen=True, slots=True)
class Detailed:
    """All that is known of one LLMDeployment."""

    line: Line
    account: Account | None
    """None where this version cannot read its spec or its status."""
    conditions: Sequence[Condition]
    past: Past


def detail_page(one: Detailed, occasion: Occasion) -> Markup:
    """Return the page of one LLMDeployment."""
    line, told, now = one.line, one.account, occasion.now
    return page(
        f"{line.namespace}/{line.name}",
        occasion,
        element("h1", element("span", f"{line.namespace}/", class_="quiet"), line.name),
        _standing(line, told),
        _unread() if told is None else None,
        element("p", text, class_="notice") if told and (text := _REPORTED[told.reported]) else None,
        _asleep(told.asleep_since, now) if told and told.asleep_since else None,
        _section("Decision", *_decision(told.decision, now)) if told and told.decision else None,
        _section("Last hours", *_charts(one, occasion)),
        _section("Ladder", *_ladder(told, now)) if told else None,
        _section("Promised and measured", _promises(told)) if told else None,
        _section("What would change it", element("ul", *(element("li", one) for one in told.outlook)))
        if told and told.outlook
        else None,
        _section("Decisions", _decisions(one.past.decisions, now)) if one.past.decisions else None,
        _section("Conditions", _conditions(one.conditions, now)) if one.conditions else None,
        up=True,
    )


def page_of_nothing(occasion: Occasion) -> Markup:
    """Return the page of an LLMDeployment that is not there."""
    words = "There is none of this name here. It was deleted, or this operator does not serve its namespace."
    return page("Not found", occasion, element("h1", "Not found"), element("p", words), up=True)


def _section(heading: str, *content: Content) -> Markup:
    return element("section", element("h2", heading), *content)


def _standing(line: Line, told: Account | None) -> Markup:
    states = [slo_badge(line.slo)]
    if line.state is not None:
        states.append(badge(line.state, "bad" if line.alarming else "plain"))
    words = f"{told.mode}, {told.preference} first" if told else None
    return element(
        "p",
        element("span", "SLO ", states[0]),
        *states[1:],
        element("span", words, class_="quiet") if words else None,
        class_="standing",
    )


def _unread() -> Markup:
    words = "Another version of the operator has written its spec or its status: this one cannot show them whole. "
    return element("p", words, element("code", "tokenpace explain"), " names the field.", class_="notice")


def _asleep(since: datetime, now: datetime) -> Markup:
    return element("p", f"Asleep since {moment(since)}, for {age(since, now)}.", class_="notice")


def _decision(decision: LastDecision, now: datetime) -> Iterator[Markup]:
    yield element(
        "p",
        element("b", decision.action),
        " ",
        badge(decision.reason, "plain"),
        " ",
        element("span", f"since {moment(decision.time)}, {age(decision.time, now)}", class_="quiet"),
    )
    yield element("p", decision.message, class_="said")


def _charts(one: Detailed, occasion: Occasion) -> Iterator[Markup]:
    points, slo = one.past.points(), one.account.promised if one.account else None
    shown = window(points, occasion.now)
    marks = [
        Mark(past.time.timestamp(), f"{past.time:%H:%M:%S} UTC {past.reason}: {past.action}")
        for past in one.past.decisions
        if past.moved
    ]
    promised = slo.generation_tokens_per_second if slo else None
    curves = (SERVED, CAPACITY, DEMAND)
    speeds = "Demand, served and capacity in tokens/s"
    yield chart(speeds, "tokens/s", points, curves, shown, promised=promised, marks=marks)
    if any(point.variant is not None for point in points):
        yield ribbon(points, shown)
    if any(point.stream is not None for point in points):
        speed = slo.stream.tokens_per_second if slo and slo.stream else None
        yield chart("Stream speed in tokens/s", "tokens/s", points, (STREAM,), shown, promised=speed, small=True)
    yield chart("Replicas", "pods", points, (READY, REPLICAS), shown, small=True, least_step=1)
    if one.past.decisions:
        yield element(
            "p",
            "\N{BLACK UP-POINTING TRIANGLE} the fleet was changed; point at it, or at a curve, to read more.",
            class_="quiet",
        )


_RUNGS = (
    Column("Variant"),
    Column("Quality", "number"),
    Column("Cost/h", "number"),
    Column("Ready", "number"),
    Column("Capacity of each", "number"),
    Column("Known from"),
    Column("Lead", "number"),
    Column("Held back", "wide"),
)


def _ladder(told: Account, now: datetime) -> Iterator[Markup]:
    yield table(
        "Variants, best quality first; capacity in tokens per second", _RUNGS, (_rung(one) for one in told.ladder)
    )
    if told.switched_at is not None:
        ago = f"Last switch between variants: {moment(told.switched_at)}, {age(told.switched_at, now)} ago."
        yield element("p", ago, class_="quiet")
    if told.degraded is not None and len(told.ladder) > 1:
        yield element("p", _below_the_best(told), class_="quiet")


def _below_the_best(told: Account) -> str:
    share = number(told.degraded.tokens_percent if told.degraded else None)
    limit = told.degraded_limit
    allowed = f"; {limit.max_tokens_percent} % are allowed, then {limit.when_spent}" if limit else ""
    return f"Below the best variant: {share} % of the tokens of about {told.promised.window_hours} h{allowed}."


def _rung(rung: Rung) -> Row:
    held = None
    if rung.setback is not None:
        until = f"failed {rung.setback.failures}x, not before {rung.setback.until:%H:%M:%S}: "
        held = together(until, rung.setback.message)
    elif rung.below_min_quality:
        held = together("below slo.minQuality")
    return Row(
        (
            together(rung.name, " ", badge("retiring", "plain")) if rung.retiring else rung.name,
            number(rung.quality),
            number(rung.hourly_cost),
            UNKNOWN if rung.replicas is None else f"{rung.ready}/{rung.replicas}",
            number(rung.capacity),
            UNKNOWN if rung.source is None else rung.source.lower(),
            UNKNOWN if rung.lead_seconds is None else f"{rung.lead_seconds} s",
            held,
        ),
        look="serving" if rung.ready else None,
    )


def _promises(told: Account) -> Markup:
    columns = (Column("Target"), Column("Promised", "number"), Column("Now", "number"), Column("Meaning", "wide"))
    return table("What is promised beside what is measured", columns, (Row(cells) for cells in _targets(told)))


def _targets(told: Account) -> Iterator[tuple[str, str, str, str]]:
    slo, speeds = told.promised, told.tokens_per_second
    unseen = "told by the condition SLOMet"
    if slo.generation_tokens_per_second is not None:
        meaning = f"tokens/s generated, of a demand of {number(speeds.demand)}"
        yield "Generation", f"{slo.generation_tokens_per_second}", number(speeds.served), meaning
    if slo.prefill_tokens_per_second is not None:
        yield "Prefill", f"{slo.prefill_tokens_per_second}", UNKNOWN, f"prompt tokens/s; {unseen}"
    if slo.stream is not None:
        meaning = f"tokens/s that {slo.stream.percentile} % of requests see at least"
        yield "Stream", f"{slo.stream.tokens_per_second}", number(speeds.stream), meaning
    if slo.time_to_first_token is not None:
        first = slo.time_to_first_token
        meaning = f"to the first token, for {first.percentile} % of requests; {unseen}"
        yield "First token", f"{first.milliseconds} ms", UNKNOWN, meaning
    for name, asked, meaning in (
        ("Always ready", slo.ready_tokens_per_second, "tokens/s of capacity, whatever the demand"),
        ("Burst", slo.burst_tokens_per_second, "tokens/s of capacity above the demand"),
    ):
        if asked:
            yield name, f"{asked}", number(speeds.capacity), meaning
    good = told.objective.good_percent if told.objective else None
    left = (
        f"; {number(told.objective.budget_remaining_percent)} % of the error budget is left"
        if good is not None and told.objective
        else ""
    )
    yield (
        "Objective",
        f"{number(slo.objective)} %",
        _percent(good),
        f"of minutes are good over {slo.window_hours} h{left}",
    )
    if slo.min_quality:
        yield "Quality", f"{number(slo.min_quality)} %", _percent(told.quality), "of the reference variant, at least"


def _percent(value: Decimal | None) -> str:
    return UNKNOWN if value is None else f"{number(value)} %"


def _decisions(decisions: Sequence[PastDecision], now: datetime) -> Markup:
    columns = (Column("Time"), Column("Action"), Column("Reason", "whole"), Column("Why", "wide"))
    rows = (
        Row(
            (
                together(
                    f"{one.time:%Y-%m-%d %H:%M:%S} ", element("span", f"{age(one.time, now)} ago", class_="quiet")
                ),
                element("b", one.action) if one.moved else one.action,
                badge(one.reason, "plain"),
                one.message,
            ),
            look=None if one.moved else "stays",
        )
        for one in decisions
    )
    return table("Decisions, the latest first; times are UTC", columns, rows)


def _conditions(conditions: Sequence[Condition], now: datetime) -> Markup:
    columns = (
        Column("Condition"),
        Column("Status"),
        Column("Reason", "whole"),
        Column("Message", "wide"),
        Column("For", "number"),
    )
    rows = (
        Row((one.type, one.status, badge(one.reason, "plain"), one.message, age(one.last_transition_time, now)))
        for one in conditions
    )
    return table("Conditions", columns, rows)
