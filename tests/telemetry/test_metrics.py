"""What a scrape of the operator shows of each LLMDeployment."""

from tokenpace.api.reasons import DecisionReason
from tokenpace.planning.decision import Finding, Indicators, Plan, Verdict
from tokenpace.telemetry.metrics import Decided, OperatorMetrics

FINE = Finding(Verdict.TRUE, "Fine", "It is fine.")
PLAN = Plan(
    fleet={"q8": 2, "q4": 1},
    goal={"q8": 0, "q4": 3},
    reason=DecisionReason.SWITCHING,
    message="On the way.",
    numbers={},
    indicators=Indicators(
        demand_tokens_per_second=40.0,
        served_tokens_per_second=None,
        capacity_tokens_per_second=30.0,
        stream_tokens_per_second=5.0,
        waiting_requests=None,
    ),
    speeds={},
    metrics_available=FINE,
    slo_met=FINE,
    slo_feasible=FINE,
    scaling_limited=FINE,
    traffic_unbalanced=FINE,
)


def scraped(name: str, **labels: str) -> float | None:
    metrics = OperatorMetrics()
    metrics.fleet.replace([Decided("shop", "chat", PLAN, {"q8": 2}, {"q4": 3})])
    return metrics.registry.get_sample_value(name, {"namespace": "shop", "name": "chat", **labels})


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
    assert scraped("tokenpace_served_tokens_per_second") is None
