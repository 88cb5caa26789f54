"""What is decided and said of a ladder, case by case."""

from dataclasses import replace
from typing import Any

import pytest
from tests.planning.declared import HASH, NOW, SMALL_POD, observation, pod, reading, serving
from tests.planning.ladders import Q4, Q8, ladder
from tests.planning.watching import watch

from tokenpace.api.reasons import (
    DecisionReason,
    DegradedReason,
    ProgressingReason,
    ScalingLimitedReason,
    SLOFeasibleReason,
)
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.budget import Budget
from tokenpace.planning.decision import Plan, Verdict
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Canary, Observation, Pod

BUSY = reading(11.0, running=2.5)
OVERRUN = reading(16.0, running=4.0, waiting=20.0)
FAST = reading(14.0, running=0.8)


def seen(*pods: Pod, q8: int = 0, q4: int = 0, **other: Any) -> Observation:
    return observation(*pods, replicas={"q8": q8, "q4": q4}, variants=("q8", "q4"), **other)


def q8s(count: int, sample: Any = BUSY, **other: Any) -> tuple[Pod, ...]:
    return tuple(replace(one, name=f"q8-{one.name}") for one in serving(count, sample, **other))


def q4s(count: int, sample: Any = FAST, **other: Any) -> tuple[Pod, ...]:
    return tuple(replace(one, name=f"q4-{one.name}") for one in serving(count, sample, variant="q4", **other))


def overrun(spec: LLMDeploymentSpec | None = None, **memory: Any) -> tuple[Plan, Memory]:
    """Return the plan of a largest fleet of q8 that is not enough."""
    return watch(spec or ladder(), seen(*q8s(3, OVERRUN), q8=3), 120, Memory(**memory))


def on_the_way(*pods: Pod, q8: int, q4: int, spec: LLMDeploymentSpec | None = None, seconds: float = 0) -> Plan:
    """Return the plan of a switch from q8 to q4 that has come so far."""
    _, memory = overrun(spec)
    return watch(spec or ladder(), seen(*pods, q8=q8, q4=q4), seconds, memory, NOW + 125)[0]


# --- Which variant


def test_the_best_variant_serves_while_it_is_enough() -> None:
    decided, _ = watch(ladder(), seen(*q8s(3, reading(9.0)), q8=3), 300)
    assert decided.goal == {"q8": 3, "q4": 0}


def test_a_variant_below_the_floor_never_rescues() -> None:
    spec = ladder(slo={"timeToFirstToken": {"milliseconds": 5000}, "minQuality": "95"})
    decided, _ = overrun(spec)
    assert decided.fleet == {"q8": 3, "q4": 0}


def test_a_variant_of_which_nothing_is_known_is_never_switched_to_and_the_outlook_says_the_cure() -> None:
    decided, _ = overrun(ladder(Q8, Q4 | {"expected": {}}))
    assert decided.goal == {"q8": 3, "q4": 0}
    assert "q4 when its `expected` is declared: nothing is known of its speed." in decided.outlook


WITHOUT_COST = {name: value for name, value in Q4.items() if name != "hourlyCost"} | {"speedCardRef": {"name": "gone"}}


def test_a_variant_whose_cost_nobody_knows_is_no_bargain() -> None:
    """Its speed card was deleted: as dear as the dearest, it is no reason to leave what is better."""
    idle = reading(2.0, running=0.2)
    decided, _ = watch(ladder(Q8, WITHOUT_COST, preference="Cost"), seen(*q8s(1, idle), q8=1), 300)
    assert decided.goal == {"q8": 1, "q4": 0}


def test_the_hourly_cost_bounds_a_variant_whose_cost_nobody_knows() -> None:
    dear = Q8 | {"hourlyCost": "2"}
    decided, _ = watch(ladder(dear, WITHOUT_COST, maxHourlyCost="4"), seen(*q4s(2, OVERRUN), q4=2), 300)
    assert sum(decided.fleet.values()) <= 2


def test_a_variant_of_which_the_costs_allow_no_replica_makes_way_and_serves_until_it_has() -> None:
    spec = ladder(Q8 | {"hourlyCost": "3"}, Q4, maxHourlyCost="2")
    decided, _ = watch(spec, seen(*q8s(1, BUSY), q8=1), 60)
    assert decided.goal["q4"] > 0
    assert decided.fleet == {"q8": 1, "q4": 0}
    assert decided.progress is not None
    assert "raise `scaling.maxHourlyCost`" in decided.progress.message


def test_a_variants_own_bounds_count() -> None:
    decided, _ = overrun(ladder(Q8, Q4 | {"maxReplicas": 1}))
    assert decided.goal == {"q8": 3, "q4": 0}


def test_a_variant_that_is_slower_in_fact_is_never_used() -> None:
    slower = Q4 | {"expected": SMALL_POD | {"streamTokensPerSecond": 12, "generationTokensPerSecond": 12}}
    decided, _ = overrun(ladder(Q8, slower))
    assert decided.goal == {"q8": 3, "q4": 0}


def test_the_best_of_those_that_are_enough_takes_over() -> None:
    q5 = Q4 | {"name": "q5", "quality": "95"}
    spec = ladder(Q8, Q4, q5)
    decided, _ = watch(spec, observation(*q8s(3, OVERRUN), replicas={"q8": 3}, variants=("q8", "q4", "q5")), 120)
    assert decided.goal["q5"] > 0


def test_a_variant_that_cannot_keep_the_stream_speed_makes_way_for_one_that_can() -> None:
    slo = {"stream": {"tokensPerSecond": 25}}
    decided, _ = watch(ladder(slo=slo), seen(*q8s(1, reading(8.0, running=1.0)), q8=1), 60)
    assert decided.goal["q4"] > 0
    assert decided.reason is DecisionReason.SWITCHING


def test_replicas_that_the_cluster_has_no_room_for_do_not_count() -> None:
    stuck = pod("q8-stuck", created=NOW - 600, ready=False, trouble="Unschedulable: 0/3 nodes have room")
    decided, _ = watch(ladder(), seen(*q8s(2, OVERRUN), stuck, q8=3), 120)
    assert decided.goal["q4"] > 0


def test_replicas_that_the_cluster_has_no_room_for_go_when_another_variant_comes() -> None:
    stuck = pod("q8-stuck", created=NOW - 600, ready=False, trouble="Unschedulable: 0/3 nodes have room")
    _, memory = watch(ladder(), seen(*q8s(2, OVERRUN), stuck, q8=3), 120)
    decided, _ = watch(ladder(), seen(*q8s(2, OVERRUN), stuck, q8=3), 5, memory, NOW + 125)
    assert decided.fleet["q8"] == 2


def test_what_min_replicas_keeps_of_another_variant_stays() -> None:
    spec = ladder(Q8 | {"minReplicas": 1}, Q4, maxReplicas=4)
    decided, _ = watch(spec, seen(*q8s(1, BUSY), q8=1), 60)
    assert decided.goal["q8"] >= 1


def test_from_the_fastest_the_next_better_one_takes_over_though_the_best_is_not_enough() -> None:
    speed = {"streamTokensPerSecond": 25, "generationTokensPerSecond": 25}
    spec = ladder(
        Q8,
        Q4,
        Q4 | {"name": "q5", "quality": "95", "expected": Q4["expected"] | speed},
        degraded={"maxTokensPercent": 50, "whenSpent": "KeepSLO"},
    )
    fast = seen(*q4s(3, reading(13.5, running=0.8)), q4=3)
    decided, _ = watch(spec, replace(fast, template_hashes=dict.fromkeys(("q8", "q5", "q4"), HASH)), 300)
    assert decided.goal == {"q8": 0, "q5": 3, "q4": 0}


@pytest.mark.parametrize("preference", ["Quality", "Cost"])
def test_no_budget_brings_a_variant_back_that_cannot_keep_the_stream_speed(preference: str) -> None:
    budget = {"maxTokensPercent": 50, "whenSpent": "KeepSLO"}
    spec = ladder(slo={"stream": {"tokensPerSecond": 25}}, degraded=budget, preference=preference)
    _, memory = watch(spec, seen(*q4s(1, reading(4.0, running=0.12)), q4=1), 300)
    assert memory.switched_at_seconds is None


# --- On the way


def test_a_canary_is_wanted_of_the_first_replica_and_of_no_other() -> None:
    idle = reading(0.0)
    decided = on_the_way(*q8s(3, OVERRUN), *q4s(1, idle), q8=3, q4=1)
    assert decided.canaries == {"q4-pod-0"}
    assert on_the_way(*q8s(3, OVERRUN), q8=3, q4=1).canaries == frozenset()
    passed = replace(q4s(1, idle)[0], canary=Canary.PASSED)
    assert on_the_way(*q8s(3, OVERRUN), passed, q8=3, q4=1).canaries == frozenset()


def test_a_replica_that_generates_for_clients_needs_no_canary() -> None:
    decided = on_the_way(*q8s(3, OVERRUN), *q4s(1), q8=3, q4=1)
    assert decided.canaries == frozenset()
    assert decided.fleet["q8"] < 3


def test_a_failed_canary_brings_the_old_back_at_once() -> None:
    failed = replace(q4s(1)[0], canary=Canary.FAILED, canary_message="it says nothing")
    decided = on_the_way(*q8s(2, OVERRUN), failed, q8=2, q4=1)
    assert decided.goal == {"q8": 3, "q4": 0}
    assert decided.fleet["q4"] == 0
    assert decided.reason is DecisionReason.ROLLED_BACK
    assert "it says nothing" in decided.message
    assert decided.progress is not None
    assert decided.progress.reason == ProgressingReason.ROLLED_BACK


def test_the_capacity_of_a_mixed_fleet_is_that_of_its_weakest_pods() -> None:
    decided = on_the_way(*q8s(2, BUSY), *q4s(1, BUSY), q8=2, q4=1)
    capacity = decided.indicators.capacity_tokens_per_second
    each = decided.speeds["q8"].capacity_tokens_per_second
    assert each is not None
    assert capacity == pytest.approx(3 * each)


def test_a_switch_that_no_room_is_left_for_says_so() -> None:
    spec = ladder(Q4, maxReplicas=1, maxSurge=0)
    old = observation(*q8s(1), replicas={"q8": 1, "q4": 0}, variants=("q4",))
    decided, _ = watch(spec, old, 60)
    assert decided.fleet == {"q8": 1, "q4": 0}
    assert decided.progress is not None
    assert "raise `scaling.maxSurge`" in decided.progress.message


@pytest.mark.parametrize(("asked", "stays"), [(0.0, 0), (5.0, 1)])
def test_a_successor_of_which_nothing_is_known_is_enough_where_nothing_is_asked(asked: float, stays: int) -> None:
    passed = replace(q4s(1, reading(0.0))[0], canary=Canary.PASSED)
    idle = observation(*q8s(1, reading(asked)), passed, replicas={"q8": 1, "q4": 1}, variants=("q4",))
    decided, _ = watch(ladder(Q4 | {"expected": {}}), idle, 120)
    assert decided.fleet == {"q8": stays, "q4": 1}


def test_nobody_waits_for_a_successor_of_which_no_replica_is_ordered() -> None:
    decided, _ = watch(ladder(mode="Manual", variant="q4", replicas=0), seen(*q8s(2, BUSY), q8=2))
    assert decided.fleet == {"q8": 0, "q4": 0}


# --- What is said


def test_a_variant_chosen_by_hand_that_failed_its_canary_says_what_happened() -> None:
    failed = replace(q4s(1)[0], canary=Canary.FAILED, canary_message="it says nothing")
    spec = ladder(mode="Manual", variant="q4", replicas=2)
    decided, _ = watch(spec, seen(*q8s(2, BUSY), failed, q8=2, q4=1), 120)
    assert decided.fleet["q8"] == 2
    assert decided.progress is not None
    assert (decided.progress.verdict, decided.progress.reason) == (Verdict.FALSE, ProgressingReason.PODS_IN_TROUBLE)
    assert "q4 cannot (q4-pod-0: it says nothing)" in decided.progress.message
    assert "it says nothing" in decided.message


@pytest.mark.parametrize(
    ("best", "least", "bounds"),
    [
        (Q8, Q4 | {"minReplicas": 1}, {"maxReplicas": 1, "maxSurge": 0}),
        (Q8, Q4 | {"minReplicas": 1}, {"maxHourlyCost": "1"}),
        (Q8 | {"hourlyCost": "5"}, Q4 | {"hourlyCost": "5"}, {"maxHourlyCost": "2"}),
    ],
)
def test_the_last_that_serves_stays_where_bounds_contradict_each_other_and_scaling_limited_says_so(
    best: dict[str, Any], least: dict[str, Any], bounds: dict[str, Any]
) -> None:
    decided, _ = watch(ladder(best, least, **bounds), seen(*q8s(1, BUSY), q8=1), 120)
    assert decided.fleet["q8"] == 1
    assert decided.scaling_limited.verdict is Verdict.TRUE
    assert decided.scaling_limited.reason == ScalingLimitedReason.BOUNDS_REACHED


def test_a_switch_says_what_is_needed_what_the_old_can_do_and_how_far_it_is() -> None:
    decided, _ = overrun()
    assert decided.reason is DecisionReason.SWITCHING
    assert "tokens/s are needed, and the 3 replicas of q8 that the bounds allow serve" in decided.message
    assert "0 of" in decided.message
    assert decided.message.endswith("q8 stays until q4 serves.")


def test_degraded_says_why_with_both_numbers() -> None:
    decided = on_the_way(*q8s(2, OVERRUN), *q4s(2, OVERRUN), q8=2, q4=2)
    assert decided.degraded.verdict is Verdict.TRUE
    assert decided.degraded.reason == DegradedReason.SLO_NEEDS_SPEED
    assert "tokens/s have to be served, and the largest allowed fleet of q8 serves" in decided.degraded.message


def test_nothing_is_degraded_while_the_best_serves_and_unknown_while_nothing_does() -> None:
    assert watch(ladder(), seen(*q8s(2), q8=2))[0].degraded.reason == DegradedReason.BEST_VARIANT
    assert watch(ladder(), seen(q8=2))[0].degraded.verdict is Verdict.UNKNOWN


def test_degraded_by_hand_says_so() -> None:
    decided, _ = watch(ladder(mode="Manual", variant="q4", replicas=2), seen(*q4s(2), q4=2))
    assert decided.degraded.reason == DegradedReason.MANUAL


def test_the_outlook_says_what_would_change_the_fleet() -> None:
    decided, _ = watch(ladder(), seen(*q8s(2), q8=2), 30)
    assert [sentence.split(" when ")[0] for sentence in decided.outlook] == [
        "A 3rd replica of q8",
        "A replica of q8 less",
        "q4",
    ]
    assert "which 3 replicas of q8 cannot serve" in decided.outlook[2]
    assert "were wanted for 60 s" in decided.outlook[1]


def test_the_outlook_below_the_best_variant_says_when_that_takes_over_again() -> None:
    decided, _ = watch(ladder(), seen(*q4s(2), q4=2), 30)
    assert any(sentence.startswith("q8 again when at most ") for sentence in decided.outlook)


def test_what_any_allowed_variant_can_keep_is_feasible() -> None:
    slo = {"generationTokensPerSecond": 50, "timeToFirstToken": {"milliseconds": 5000}}
    decided, _ = watch(ladder(slo=slo), seen(*q8s(1, BUSY), q8=1), 30)
    assert decided.slo_feasible.reason == SLOFeasibleReason.FEASIBLE
    assert "A fleet of q4" in decided.slo_feasible.message


def test_what_none_can_keep_is_infeasible_with_the_best_of_any() -> None:
    decided, _ = watch(ladder(slo={"stream": {"tokensPerSecond": 50}}), seen(*q8s(1, BUSY), q8=1), 30)
    assert decided.slo_feasible.reason == SLOFeasibleReason.STREAM_SPEED_UNATTAINABLE
    assert "on q4: one that has a replica to itself gets 34" in decided.slo_feasible.message


def test_a_budget_that_is_too_small_for_a_rescue_is_named() -> None:
    spec = ladder(degraded={"maxTokensPercent": 20})
    decided, _ = overrun(spec, budget=Budget(generated_tokens=1000.0, degraded_tokens=190.0))
    assert decided.goal == {"q8": 3, "q4": 0}
    assert decided.reason is DecisionReason.BUDGET_SPENT
    assert decided.scaling_limited.reason == ScalingLimitedReason.BOUNDS_REACHED
    assert "maxTokensPercent" in decided.scaling_limited.message


def test_a_budget_that_is_large_enough_is_spent() -> None:
    spec = ladder(degraded={"maxTokensPercent": 20})
    decided, _ = overrun(spec, budget=Budget(generated_tokens=1e7, degraded_tokens=0.0))
    assert decided.goal["q4"] > 0


def test_a_spent_budget_sends_no_fleet_where_no_way_leads_and_replicas_come_instead() -> None:
    spec = ladder(Q8 | {"hourlyCost": "3"}, Q4, maxHourlyCost="3", degraded={"maxTokensPercent": 10})
    decided, _ = watch(spec, seen(*q4s(1, OVERRUN), q4=1), 120)
    assert decided.fleet["q4"] > 1


def test_a_budget_is_not_spent_to_save_money() -> None:
    spec = ladder(Q8 | {"hourlyCost": "5"}, preference="Cost", degraded={"maxTokensPercent": 50})
    rich = Memory(budget=Budget(generated_tokens=1e7, degraded_tokens=0.0))
    decided, _ = watch(spec, seen(*q8s(2), q8=2), 900, rich)
    assert decided.goal["q4"] == 0


def test_a_renewed_pod_that_hangs_without_a_word_is_told_and_holds_up_no_replicas() -> None:
    renewed = replace(pod("q8-renewed", created=NOW - 600, ready=False), template_hash="inputs-2")
    hanging = replace(seen(*q8s(1, OVERRUN), renewed, q8=1), template_hashes={"q8": "inputs-2", "q4": HASH})
    decided, _ = watch(ladder(), hanging, 120)
    assert decided.scaling_limited.reason == ScalingLimitedReason.PODS_DO_NOT_START
    assert "q8-renewed: not ready for 720 s" in decided.scaling_limited.message
    assert sum(decided.fleet.values()) > 1
