"""What a scrape of the operator shows of each LLMDeployment, and that docs/metrics.md tells all of it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from tokenpace.api.reasons import DecisionReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import DegradedStatus, LLMDeploymentStatus, ObjectiveStatus
from tokenpace.planning.decision import Finding, Indicators, Plan, Verdict
from tokenpace.planning.slo_accounting import Tally
from tokenpace.telemetry.metrics import Decided, OperatorMetrics

SOURCE = {"claimName": "m", "path": "m"}
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
FINE = Finding(Verdict.TRUE, "Fine", "It is fine.")
UNKNOWN = Finding(Verdict.UNKNOWN, "NoData", "Nobody knows.")


def plan(*, served: float | None = 20.0, slo_met: Finding = FINE) -> Plan:
    return Plan(
        fleet={"q8": 2, "q4": 1},
        goal={"q8": 0, "q4": 3},
        reason=DecisionReason.SWITCHING,
        message="On the way.",
        numbers={},
        indicators=Indicators(
            demand_tokens_per_second=40.0,
            served_tokens_per_second=served,
            capacity_tokens_per_second=30.0,
            stream_tokens_per_second=5.0,
            waiting_requests=None,
        ),
        speeds={},
        metrics_available=FINE,
        slo_met=slo_met,
        slo_feasible=FINE,
        scaling_limited=FINE,
        traffic_unbalanced=FINE,
    )


def spec(**costs: str) -> LLMDeploymentSpec:
    engine = {"type": "LlamaCpp"}
    return LLMDeploymentSpec.model_validate(
        {
            "model": {
                "servedName": "chat",
                "contextTokens": 2048,
                "source": {"volume": {"claimName": "m", "path": "m"}},
            },
            "slo": {"generationTokensPerSecond": 60},
            "variants": [
                {"name": name, "engine": engine, **({"hourlyCost": costs[name]} if name in costs else {})}
                for name in ("q8", "q4")
            ],
        }
    )


STATUS = LLMDeploymentStatus.model_validate(
    {
        "quality": "97.5",
        "variants": [{"name": "q8", "replicas": 2, "ready": 2}, {"name": "q4", "replicas": 1, "ready": 0}],
    }
)


def decided(**changes: Any) -> Decided:
    whole: dict[str, Any] = {"spec": spec(q8="3", q4="1.50"), "status": STATUS, "plan": plan(), "setbacks": {"q4": 3}}
    return Decided(uid="uid-of-chat", namespace="shop", name="chat", **{**whole, **changes})


def exported(one: Decided) -> OperatorMetrics:
    metrics = OperatorMetrics()
    metrics.fleet.replace([one])
    return metrics


def scraped(series: str, one: Decided | None = None, **labels: str) -> float | None:
    registry = exported(one or decided()).registry
    return registry.get_sample_value(series, {"namespace": "shop", "name": "chat", **labels})


def test_desired_replicas_are_those_that_the_plan_leads_to_and_not_the_next_step_there() -> None:
    desired = {variant: scraped("tokenpace_desired_replicas", variant=variant) for variant in ("q8", "q4")}
    assert desired == {"q8": 0.0, "q4": 3.0}


def test_a_variant_of_which_nothing_serves_has_no_ready_replica() -> None:
    assert scraped("tokenpace_ready_replicas", variant="q4") == 0.0


def test_a_variant_that_could_not_take_over_shows_how_often() -> None:
    assert scraped("tokenpace_setbacks", variant="q4") == 3.0


def test_a_variant_that_never_failed_has_no_setbacks_and_not_zero_of_them() -> None:
    assert scraped("tokenpace_setbacks", variant="q8") is None


def test_a_number_that_is_not_known_has_no_sample() -> None:
    assert scraped("tokenpace_served_tokens_per_second", decided(plan=plan(served=None))) is None


def test_an_slo_of_which_nothing_is_known_is_neither_met_nor_missed() -> None:
    assert scraped("tokenpace_slo_met", decided(plan=plan(slo_met=UNKNOWN)), uid="uid-of-chat") is None


def test_a_verdict_tells_a_resource_from_its_namesakes() -> None:
    assert scraped("tokenpace_slo_met", uid="uid-of-chat") == 1.0


@pytest.mark.parametrize(("verdict", "slots"), [("good", 30.0), ("bad", 2.0), ("left_out", 7.0)])
def test_the_slots_of_the_window_are_shown_by_verdict(verdict: str, slots: float) -> None:
    window = Tally(good=30, bad=2, left_out=7, to_come=21)
    assert scraped("tokenpace_slo_slots", decided(slots=window), verdict=verdict) == slots


def test_slots_that_were_not_read_back_yet_are_absent_and_not_zero() -> None:
    assert scraped("tokenpace_slo_slots", verdict="good") is None


def test_what_the_fleet_costs_is_the_sum_over_the_replicas_that_are_asked_for() -> None:
    assert scraped("tokenpace_cost_per_hour") == 2 * 3 + 1 * 1.50


def test_a_million_tokens_cost_what_the_fleet_costs_while_they_are_generated() -> None:
    assert scraped("tokenpace_cost_per_million_tokens") == pytest.approx(7.5 / (20 * 3600) * 1e6)


@pytest.mark.parametrize("served", [None, 0.0])
def test_tokens_that_nobody_generates_have_no_price(served: float | None) -> None:
    assert scraped("tokenpace_cost_per_million_tokens", decided(plan=plan(served=served))) is None


def test_a_fleet_of_which_one_replica_has_no_declared_cost_has_none() -> None:
    assert scraped("tokenpace_cost_per_hour", decided(spec=spec(q8="3"))) is None


def test_the_objective_is_a_share() -> None:
    assert scraped("tokenpace_slo_objective_ratio") == pytest.approx(0.995)


def test_quality_is_a_share() -> None:
    assert scraped("tokenpace_quality_ratio") == pytest.approx(0.975)


def test_an_error_budget_that_is_not_known_is_absent() -> None:
    assert scraped("tokenpace_slo_budget_remaining_ratio") is None


def test_budgets_are_shares() -> None:
    status = STATUS.model_copy(
        update={
            "slo": ObjectiveStatus.model_validate({"budgetRemainingPercent": "40"}),
            "degraded": DegradedStatus.model_validate(
                {"tokensPercent": "12.5", "generatedTokens": 8000, "degradedTokens": 1000}
            ),
        }
    )
    one = decided(status=status)
    assert scraped("tokenpace_slo_budget_remaining_ratio", one) == pytest.approx(0.4)
    assert scraped("tokenpace_degraded_tokens_ratio", one) == pytest.approx(0.125)


def test_the_page_on_metrics_tells_all_of_them_in_the_words_of_their_help() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", PAGE.read_text(), flags=re.MULTILINE)
    told = {name: (kind, text) for name, kind, _, text in rows}
    families = exported(decided()).registry.collect()
    suffix = {"counter": "_total"}
    assert told == {
        f"{family.name}{suffix.get(family.type, '')}": (family.type, family.documentation) for family in families
    }


def test_the_page_on_metrics_tells_their_labels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", PAGE.read_text(), flags=re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    metrics = exported(decided())
    counters = (metrics.decisions, metrics.switches, metrics.canaries, metrics.failed_actions)
    counted = {f"{counter._name}_total": set(counter._labelnames) for counter in counters}
    seen = {sample.name: set(sample.labels) for family in metrics.fleet.collect() for sample in family.samples}
    assert {name: told[name] for name in counted | seen} == counted | seen


@pytest.mark.prometheus
def test_promtool_finds_nothing_to_complain_of() -> None:
    text = generate_latest(exported(decided()).registry)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
