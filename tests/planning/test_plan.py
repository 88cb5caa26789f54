"""What is decided, case by case: each test is one promise of the planner."""

import math
from dataclasses import replace

import pytest
from tests.planning.declared import (
    NOW,
    SMALL_POD,
    Live,
    Stale,
    declared,
    full_reading,
    observation,
    pod,
    reading,
    serving,
)
from tests.planning.watching import q8, watch

from tokenpace.api.reasons import (
    DecisionReason,
    MetricsReason,
    ScalingLimitedReason,
    SLOFeasibleReason,
)
from tokenpace.api.status import SpeedSource
from tokenpace.planning.decision import Verdict
from tokenpace.planning.memory import Memory
from tokenpace.planning.need import SAFE_FLEET_AFTER_SECONDS
from tokenpace.planning.plan import plan

# --- Before anything is known


def test_a_new_resource_gets_its_fewest_replicas() -> None:
    decided, _ = watch(declared(minReplicas=2), observation(replicas={}))
    assert decided.fleet == {"q8": 2}
    assert decided.reason is DecisionReason.STARTING


def test_before_anything_was_observed_nothing_is_claimed() -> None:
    decided, _ = watch(declared(), observation(replicas={}))
    assert decided.metrics_available.verdict is Verdict.UNKNOWN
    assert decided.slo_met.verdict is Verdict.UNKNOWN
    assert decided.traffic_unbalanced.verdict is Verdict.UNKNOWN
    assert decided.indicators.demand_tokens_per_second is None


def test_declared_speeds_are_planned_with_before_any_pod_runs() -> None:
    decided, _ = watch(declared(slo={"readyTokensPerSecond": 60, "stream": {"tokensPerSecond": 3}}), observation())
    assert q8(decided) == 5  # 60 tokens/s at 13 each
    assert decided.speeds["q8"].source is SpeedSource.DECLARED
    assert decided.speeds["q8"].capacity_tokens_per_second == pytest.approx(13, rel=0.1)


@pytest.mark.parametrize(("served_seconds", "source"), [(59, SpeedSource.DECLARED), (61, SpeedSource.LEARNED)])
def test_a_pod_is_learned_from_once_it_has_served_for_two_windows(served_seconds: float, source: SpeedSource) -> None:
    young = pod("young", reading(5.0), created=NOW - served_seconds - 5.0)
    decided, _ = watch(declared(), observation(young))
    assert decided.speeds["q8"].source is source


def test_an_undeclared_variant_has_no_capacity_and_not_zero() -> None:
    decided, _ = watch(declared(expected={}), observation(*serving(2, reading(5.0))))
    assert decided.speeds["q8"].capacity_tokens_per_second is None
    assert decided.slo_feasible.verdict is Verdict.UNKNOWN
    assert "replica_capacity_tokens_per_second" not in decided.numbers


def test_an_undeclared_variant_grows_by_one_when_it_is_full() -> None:
    decided, _ = watch(declared(expected={}), observation(*serving(2, full_reading(slots=None))), 60)
    assert q8(decided) == 3
    assert decided.reason is DecisionReason.SATURATED


def test_an_undeclared_variant_that_is_not_full_stays_as_it_is() -> None:
    decided, _ = watch(declared(expected={}), observation(*serving(3, reading(8.0))), 60)
    assert q8(decided) == 3


@pytest.mark.parametrize(("waiting", "grows"), [(0.0, False), (1.0, False), (40.0, True)])
def test_a_fleet_that_is_in_time_outweighs_declared_speeds_at_first_and_one_with_a_queue_does_not(
    waiting: float, grows: bool
) -> None:
    slow = {**SMALL_POD, "streamTokensPerSecond": 5, "generationTokensPerSecond": 5}
    busy = reading(8.0, running=1.5, seconds_per_output_token=0.19)
    pods = (*serving(2, busy), pod("last", replace(busy, waiting_requests=waiting)))
    decided, _ = watch(declared(expected=slow, traffic=(2, 4)), observation(*pods), 5)
    assert (q8(decided) > 3) == grows


# --- Demand


def test_the_fleet_is_demand_by_capacity() -> None:
    decided, _ = watch(declared(), observation(*serving(6, reading(58 / 6))), 900)
    capacity = decided.numbers["replica_capacity_tokens_per_second"]
    assert 12 < capacity < 14.5
    assert q8(decided) == math.ceil(58 / capacity) == 5


def test_more_demand_than_is_ready_is_answered_at_once() -> None:
    spec, calm = declared(), observation(*serving(2, reading(8.0)))
    _, memory = watch(spec, calm, 600)
    queue = reading(16.0, running=4.0, waiting=40.0)
    decided, _ = watch(spec, observation(*serving(2, queue)), memory=memory, start=NOW + 605)
    assert q8(decided) > 2
    assert decided.reason is DecisionReason.DEMAND_ABOVE_CAPACITY


@pytest.mark.parametrize("declared_seconds", [None, 5])
def test_a_queue_that_waits_for_slow_pods_asks_for_no_more_of_them_than_work_it_off_in_that_time(
    declared_seconds: int | None,
) -> None:
    slo = {"stream": {"tokensPerSecond": 3}, "backlogDrainSeconds": declared_seconds}
    spec = declared(slo=slo, expected={**SMALL_POD, "startupSeconds": 120})
    calm = [pod(f"pod-{number}", reading(8.0), starts_for=120.0) for number in range(2)]
    _, memory = watch(spec, observation(*calm), 600)
    queue = reading(16.0, running=4.0, waiting=20.0)
    full = [replace(one, sample=Live(queue)) for one in calm]
    decided, _ = watch(spec, observation(*full), memory=memory, start=NOW + 605)
    assert decided.numbers["lead_seconds"] == pytest.approx(120.0)
    assert q8(decided) > 6
    assert (q8(decided) == 16) == (declared_seconds == 5)


def test_the_sentence_says_demand_capacity_and_the_step() -> None:
    spec = declared(slo={"stream": {"tokensPerSecond": 3}}, expected=SMALL_POD)
    _, memory = watch(spec, observation(*serving(2, reading(8.0))), 600)
    queue = reading(16.0, running=4.0, waiting=20.0)
    decided, _ = watch(spec, observation(*serving(2, queue)), memory=memory, start=NOW + 605)
    assert decided.message.startswith("Demand ")
    assert "of q8 at " in decided.message
    assert decided.message.endswith(f"2 are ready, adding {q8(decided) - 2}.")


def test_demand_that_chance_may_explain_adds_nothing_and_says_so() -> None:
    decided, _ = watch(declared(), observation(*serving(2, reading(14.2, running=2.9))), 60)
    assert q8(decided) == 2
    assert "needs 3 replicas of q8" in decided.message
    assert decided.message.endswith("tokens/s are certain.")


def test_a_full_fleet_grows_by_half_though_its_demand_is_hidden() -> None:
    decided, _ = watch(declared(), observation(*serving(4, full_reading(waiting=1.0))), 60)
    assert q8(decided) == 6
    assert decided.reason is DecisionReason.SATURATED


def test_pods_that_are_starting_are_not_added_again() -> None:
    spec, full = declared(), serving(4, full_reading(waiting=1.0))
    starting = tuple(pod(f"new-{n}", created=NOW + 55, ready=False) for n in range(2))
    _, memory = watch(spec, observation(*full), 55)
    decided, _ = watch(spec, observation(*full, *starting), 30, memory, NOW + 60)
    assert q8(decided) == 6


def test_a_new_pod_without_series_is_neither_missing_nor_load() -> None:
    spec, full = declared(), serving(4, full_reading(waiting=1.0))
    new = tuple(pod(f"new-{n}", created=NOW + 55) for n in range(2))
    _, memory = watch(spec, observation(*full), 55)
    decided, _ = watch(spec, observation(*full, *new), 15, memory, NOW + 60)
    assert q8(decided) == 6
    assert decided.metrics_available.verdict is Verdict.TRUE


def test_demand_above_what_is_promised_is_best_effort() -> None:
    promised = {"generationTokensPerSecond": 20, "stream": {"tokensPerSecond": 3}}
    decided, _ = watch(declared(slo=promised), observation(*serving(2, full_reading(waiting=50.0))), 120)
    assert q8(decided) == 2


def test_prompts_above_what_is_promised_are_best_effort() -> None:
    promised = {"prefillTokensPerSecond": 8, "stream": {"tokensPerSecond": 3}}  # 21 generated tokens/s
    decided, _ = watch(declared(slo=promised), observation(*serving(2, full_reading(waiting=50.0))), 120)
    assert q8(decided) == 2


def test_burst_capacity_is_ready_beside_demand() -> None:
    slo = {"stream": {"tokensPerSecond": 3}, "burstTokensPerSecond": 40}
    calm, _ = watch(declared(), observation(*serving(2, reading(8.0))), 900)
    burst, _ = watch(declared(slo=slo), observation(*serving(2, reading(8.0))), 900)
    assert q8(burst) - q8(calm) in (2, 3, 4)


def test_unspent_ready_capacity_is_kept_without_any_demand() -> None:
    slo = {"stream": {"tokensPerSecond": 3}, "readyTokensPerSecond": 40}
    decided, _ = watch(declared(slo=slo), observation(*serving(6, reading(0.0))), 1200)
    assert q8(decided) == 3


# --- Going down


def test_nothing_shrinks_before_a_whole_stabilization_window_was_seen() -> None:
    idle = observation(*serving(8, reading(0.0)))
    decided, memory = watch(declared(), idle, 295)
    assert q8(decided) == 8
    assert decided.reason is DecisionReason.STABILIZING
    decided, _ = watch(declared(), idle, memory=memory, start=NOW + 300)
    assert q8(decided) == 4


def test_idle_pods_go_until_the_fewest_are_left() -> None:
    spec, replicas, memory, at = declared(), 8, Memory(), NOW
    for _ in range(120):
        decided, memory = plan(spec, observation(*serving(replicas, reading(0.0))), memory, at)
        replicas, at = q8(decided), at + 5
    assert replicas == 1


def test_the_last_replica_stays_although_zero_are_allowed_where_nothing_could_wake_it() -> None:
    spec = declared(minReplicas=0, scaleToZeroAfterSeconds=60)
    decided, _ = watch(spec, observation(*serving(1, reading(0.0))), 1200)
    assert q8(decided) == 1


def test_what_was_needed_within_the_window_stays() -> None:
    spec = declared()
    _, memory = watch(spec, observation(*serving(4, reading(12.0))), 600)
    decided, _ = watch(spec, observation(*serving(4, reading(3.0))), 250, memory, NOW + 605)
    assert q8(decided) == 4


def test_a_full_fleet_never_shrinks() -> None:
    slow = declared(slo={"stream": {"tokensPerSecond": 1}}, maxReplicas=4)
    decided, _ = watch(slow, observation(*serving(4, full_reading())), 1200)
    assert q8(decided) == 4


# --- Missing data


def test_without_metrics_the_fleet_is_held() -> None:
    decided, _ = watch(declared(), observation(*serving(5, reading(0.0)), problem="connection refused"), 60)
    assert q8(decided) == 5
    assert decided.reason is DecisionReason.METRICS_MISSING
    assert decided.metrics_available.reason == MetricsReason.PROMETHEUS_UNAVAILABLE
    assert "connection refused" in decided.metrics_available.message


def test_without_metrics_for_long_the_fleet_is_what_was_needed_before() -> None:
    spec = declared()
    # Six replicas were needed in the last window, and somebody else has removed three since.
    _, memory = watch(spec, observation(*serving(6, reading(12.5))), 600)
    blind = observation(*serving(3), problem="connection refused")
    decided, memory = watch(spec, blind, SAFE_FLEET_AFTER_SECONDS - 10, memory, NOW + 605)
    assert q8(decided) == 3
    decided, _ = watch(spec, blind, 60, memory, NOW + 605 + SAFE_FLEET_AFTER_SECONDS)
    assert q8(decided) >= 5
    assert decided.reason is DecisionReason.METRICS_MISSING_SAFE_FLEET


def test_a_restarted_operator_without_metrics_holds_the_fleet_for_ever() -> None:
    decided, _ = watch(declared(), observation(*serving(5), problem="connection refused"), 3600)
    assert q8(decided) == 5


def test_pods_without_series_are_missing_and_not_idle() -> None:
    decided, _ = watch(declared(), observation(*serving(5)), 1200)
    assert q8(decided) == 5
    assert decided.metrics_available.reason == MetricsReason.ALL_PODS_MISSING
    assert decided.indicators.served_tokens_per_second is None


def test_old_samples_are_not_decided_on() -> None:
    decided, _ = watch(declared(), observation(*serving(5, Stale(90.0))), 1200)
    assert q8(decided) == 5


def test_one_missing_pod_stops_the_fleet_from_shrinking() -> None:
    seen = observation(*serving(4, reading(0.0)), pod("lost"))
    decided, _ = watch(declared(), seen, 1200)
    assert q8(decided) == 5
    assert decided.metrics_available.reason == MetricsReason.SOME_PODS_MISSING
    assert "lost" in decided.metrics_available.message


def test_missing_pods_are_taken_to_be_like_the_others() -> None:
    busy = reading(12.0, running=2.5)
    known, _ = watch(declared(), observation(*serving(4, busy)), 600)
    partly, _ = watch(declared(), observation(*serving(2, busy), pod("lost-1"), pod("lost-2")), 600)
    assert partly.indicators.served_tokens_per_second == known.indicators.served_tokens_per_second
    assert q8(partly) >= q8(known)


def test_after_an_outage_a_whole_window_is_seen_before_anything_shrinks() -> None:
    spec, idle = declared(), observation(*serving(8, reading(0.0)))
    _, memory = watch(spec, observation(*serving(8, reading(10.0))), 600)
    _, memory = watch(spec, observation(*serving(8), problem="timed out"), 60, memory, NOW + 605)
    decided, memory = watch(spec, idle, 290, memory, NOW + 670)
    assert q8(decided) == 8
    decided, _ = watch(spec, idle, 60, memory, NOW + 965)
    assert q8(decided) < 8


# --- Bounds and modes


def test_the_fleet_stays_within_the_most_replicas() -> None:
    decided, _ = watch(declared(maxReplicas=3), observation(*serving(3, full_reading(waiting=50.0))), 120)
    assert q8(decided) == 3
    assert decided.reason is DecisionReason.LIMITED
    assert decided.scaling_limited.reason == ScalingLimitedReason.BOUNDS_REACHED
    assert decided.slo_feasible.reason == SLOFeasibleReason.BOUNDS_TOO_LOW


def test_a_variants_own_bounds_hold_too() -> None:
    variants = [{"name": "q8", "expected": SMALL_POD, "maxReplicas": 2}]
    decided, _ = watch(declared(variants=variants), observation(*serving(2, full_reading(waiting=50.0))), 120)
    assert q8(decided) == 2


def test_the_hourly_cost_is_not_exceeded() -> None:
    variants = [{"name": "q8", "expected": SMALL_POD, "hourlyCost": "2.50"}]
    spec = declared(variants=variants, maxHourlyCost="10")
    decided, _ = watch(spec, observation(*serving(2, full_reading(waiting=50.0))), 120)
    assert q8(decided) == 4


def test_bounds_that_were_lowered_hold_at_once() -> None:
    decided, _ = watch(declared(maxReplicas=3), observation(*serving(8, reading(10.0))))
    assert q8(decided) == 3
    assert decided.reason is DecisionReason.BOUNDS_CHANGED


def test_in_manual_mode_the_spec_says_how_many() -> None:
    spec = declared(mode="Manual", replicas=7, maxReplicas=8)
    decided, _ = watch(spec, observation(*serving(2, full_reading())), 120)
    assert q8(decided) == 7
    assert decided.reason is DecisionReason.MANUAL
    assert decided.indicators.demand_tokens_per_second is not None


def test_manual_mode_may_stop_everything() -> None:
    decided, _ = watch(declared(mode="Manual", replicas=0), observation(*serving(2, reading(8.0))))
    assert q8(decided) == 0


def test_advisory_mode_plans_as_auto_does() -> None:
    seen = observation(*serving(4, full_reading()))
    advised, _ = watch(declared(mode="Advisory"), seen, 60)
    done, _ = watch(declared(mode="Auto"), seen, 60)
    assert advised == done


# --- Pods that do not come


def test_a_pod_that_hangs_is_replaced() -> None:
    spec, busy = declared(), serving(3, reading(11.0))
    hangs = pod("hangs", created=NOW - 300, ready=False)
    decided, _ = watch(spec, observation(*busy, hangs), 900)
    assert q8(decided) == 4


def test_a_pod_that_cannot_start_is_reported_and_not_joined_by_another() -> None:
    stuck = pod("stuck", created=NOW - 300, ready=False, trouble="Unschedulable: 0/3 nodes have a GPU")
    decided, _ = watch(declared(), observation(*serving(3, reading(13.0)), stuck), 900)
    assert q8(decided) == 4
    assert decided.scaling_limited.reason == ScalingLimitedReason.PODS_DO_NOT_START
    assert "Unschedulable" in decided.scaling_limited.message


def test_terminating_pods_are_not_counted() -> None:
    leaving = pod("leaving", full_reading(waiting=50.0), terminating=True)
    decided, _ = watch(declared(), observation(*serving(1, reading(3.0)), leaving, replicas=1), 120)
    assert q8(decided) == 1


def test_lead_times_come_from_the_pods_themselves() -> None:
    pods = serving(3, reading(8.0), starts_for=42.0)
    decided, _ = watch(declared(), observation(*pods))
    assert decided.speeds["q8"].lead_seconds == 42.0
