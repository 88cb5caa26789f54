"""What is promised, judged and remembered, case by case."""

from dataclasses import replace
from typing import Any

import pytest
from tests.planning.declared import (
    NOW,
    SMALL_POD,
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
    SLOFeasibleReason,
    SLOMetReason,
    TrafficReason,
)
from tokenpace.planning.decision import Verdict
from tokenpace.planning.imbalance import IMBALANCE_SECONDS
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Observation

# --- What is promised


def test_a_stream_speed_that_no_fleet_gives_is_infeasible_with_the_best_attainable() -> None:
    decided, _ = watch(declared(slo={"stream": {"tokensPerSecond": 50}}), observation(*serving(2, reading(8.0))), 60)
    assert decided.slo_feasible.verdict is Verdict.FALSE
    assert decided.slo_feasible.reason == SLOFeasibleReason.STREAM_SPEED_UNATTAINABLE
    assert "50 tokens/s on q8" in decided.slo_feasible.message
    assert "gets 17" in decided.slo_feasible.message
    assert decided.speeds["q8"].capacity_tokens_per_second == 0.0


def test_an_infeasible_target_does_not_cost_every_replica_that_is_allowed() -> None:
    decided, _ = watch(declared(slo={"stream": {"tokensPerSecond": 50}}), observation(*serving(2, reading(8.0))), 900)
    assert q8(decided) == 2
    assert decided.reason is DecisionReason.INFEASIBLE


def test_a_first_token_that_no_fleet_brings_is_infeasible_with_the_best_attainable() -> None:
    decided, _ = watch(declared(slo={"timeToFirstToken": {"milliseconds": 50}}), observation())
    assert decided.slo_feasible.reason == SLOFeasibleReason.FIRST_TOKEN_UNATTAINABLE
    assert "waits 134 ms" in decided.slo_feasible.message


def test_a_promise_beyond_the_bounds_is_infeasible_before_anybody_asks_for_it() -> None:
    slo = {"generationTokensPerSecond": 500, "stream": {"tokensPerSecond": 3}}
    decided, _ = watch(declared(slo=slo, maxReplicas=6), observation(*serving(1, full_reading(waiting=0.0))), 60)
    assert decided.slo_feasible.reason == SLOFeasibleReason.BOUNDS_TOO_LOW
    assert "500 tokens/s" in decided.slo_feasible.message


def test_an_slo_that_holds_is_met_and_says_what_is_estimated() -> None:
    slo = {"stream": {"tokensPerSecond": 3}, "timeToFirstToken": {"milliseconds": 5000}}
    decided, _ = watch(declared(slo=slo), observation(*serving(3, reading(8.0))), 300)
    assert decided.slo_met.verdict is Verdict.TRUE
    assert decided.slo_met.message.count("estimated") == 2


def test_without_demand_the_slo_is_met() -> None:
    decided, _ = watch(declared(), observation(*serving(3, reading(0.0))))
    assert decided.slo_met.reason == SLOMetReason.NO_DEMAND


def test_slow_streams_break_the_slo() -> None:
    slow = reading(10.0, running=4.0)
    decided, _ = watch(declared(slo={"stream": {"tokensPerSecond": 5}}), observation(*serving(2, slow)), 120)
    assert decided.slo_met.reason == SLOMetReason.STREAMS_TOO_SLOW


def test_demand_that_is_not_served_breaks_the_slo() -> None:
    decided, _ = watch(declared(), observation(*serving(2, full_reading(waiting=60.0))), 120)
    assert decided.slo_met.reason == SLOMetReason.DEMAND_NOT_SERVED


def test_a_queue_makes_first_tokens_late() -> None:
    slo = {"generationTokensPerSecond": 20, "timeToFirstToken": {"milliseconds": 5000}}
    decided, _ = watch(declared(slo=slo), observation(*serving(2, full_reading(waiting=60.0))), 120)
    assert decided.slo_met.reason == SLOMetReason.FIRST_TOKEN_TOO_LATE


def test_a_first_token_that_nothing_tells_of_is_not_measurable() -> None:
    speeds = {"streamTokensPerSecond": 17, "generationTokensPerSecond": 17, "atStreams": 4}
    slo = {"timeToFirstToken": {"milliseconds": 5000}}
    decided, _ = watch(declared(slo=slo, expected=speeds), observation(*serving(2, reading(8.0))), 60)
    assert decided.slo_met.verdict is Verdict.UNKNOWN
    assert decided.slo_met.reason == SLOMetReason.NOT_MEASURABLE
    assert "expected.prefillTokensPerSecond" in decided.slo_met.message


# --- Balance


def unbalanced() -> Observation:
    return observation(pod("busy", full_reading(waiting=80.0)), pod("idle", reading(0.0)))


def test_replicas_are_not_added_where_requests_would_not_reach_them() -> None:
    decided, memory = watch(declared(), unbalanced(), IMBALANCE_SECONDS)
    assert decided.traffic_unbalanced.verdict is Verdict.FALSE
    held, _ = watch(declared(), unbalanced(), IMBALANCE_SECONDS + 10, memory, NOW + IMBALANCE_SECONDS + 5)
    assert held.traffic_unbalanced.reason == TrafficReason.SOME_PODS_PREFERRED
    assert held.reason is DecisionReason.TRAFFIC_UNBALANCED
    assert q8(held) == 2


def test_evenly_loaded_pods_are_balanced() -> None:
    decided, _ = watch(declared(), observation(*serving(3, full_reading())), 600)
    assert decided.traffic_unbalanced.reason == TrafficReason.BALANCED


# --- Variants


LADDER: list[dict[str, Any]] = [
    {"name": "f16", "quality": "100", "expected": SMALL_POD},
    {"name": "q8", "quality": "99", "expected": SMALL_POD},
]


def test_the_best_allowed_variant_serves() -> None:
    decided, _ = watch(declared(variants=LADDER), observation(replicas={}, variants=("f16", "q8")))
    assert decided.fleet == {"f16": 1, "q8": 0}


def test_a_variant_below_the_floor_does_not_serve() -> None:
    variants = [{**LADDER[0], "quality": "50"}, LADDER[1]]
    spec = declared(variants=variants, slo={"stream": {"tokensPerSecond": 3}, "minQuality": "90"})
    decided, _ = watch(spec, observation(replicas={}, variants=("f16", "q8")))
    assert decided.fleet == {"f16": 0, "q8": 1}


def test_a_variant_that_is_no_longer_declared_stays_until_its_successor_serves() -> None:
    old = serving(2, reading(8.0), variant="old")
    decided, _ = watch(declared(), observation(*old, replicas={"old": 2}), 60)
    assert decided.fleet["old"] == 2
    assert decided.fleet["q8"] >= 1
    assert "old stays until q8 serves" in decided.message


def test_a_retiring_variant_goes_once_its_successor_serves() -> None:
    pods = (*serving(1, reading(8.0), variant="old"), pod("new", reading(4.0)))
    decided, _ = watch(declared(), observation(*pods, replicas={"old": 1, "q8": 1}), 60)
    assert decided.fleet == {"old": 0, "q8": 1}


def test_a_retiring_variant_stays_while_its_successor_could_not_carry_the_load() -> None:
    pods = (*serving(4, reading(12.0), variant="old"), pod("new", reading(8.0)))
    decided, _ = watch(declared(), observation(*pods, replicas={"old": 4, "q8": 1}), 120)
    assert decided.fleet["old"] == 4
    assert decided.fleet["q8"] >= 4


def test_a_retiring_variant_stays_while_nothing_is_seen() -> None:
    pods = (*serving(2, variant="old"), pod("new", created=NOW, ready=False))
    decided, _ = watch(declared(), observation(*pods, replicas={"old": 2, "q8": 1}, problem="timed out"), 60)
    assert decided.fleet == {"old": 2, "q8": 1}


def test_where_no_variant_can_run_nothing_is_touched() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm"}
    variants = [{"name": "today", "engine": None, "scaleTargetRef": reference, "metrics": "VLLM", "maxReplicas": 0}]
    decided, _ = watch(declared(variants=variants), observation(replicas={"today": 3}, variants=("today",)))
    assert decided.fleet == {"today": 3}
    assert decided.slo_feasible.reason == SLOFeasibleReason.NO_VARIANT


# --- Memory


def test_what_was_learned_belongs_to_the_template_it_was_learned_from() -> None:
    spec, seen = declared(), observation(*serving(2, full_reading()))
    _, memory = watch(spec, seen, 600)
    assert memory.learned["q8"].observed_seconds > 0
    changed = replace(seen, template_hashes={"q8": "inputs-2"})
    _, memory = watch(spec, changed, memory=memory, start=NOW + 605)
    assert memory.learned["q8"].observed_seconds == 0


def test_a_restarted_operator_plans_with_what_was_learned() -> None:
    spec, seen = declared(), observation(*serving(6, reading(11.0)))
    decided, memory = watch(spec, seen, 1800)
    integers = memory.learned["q8"].to_integers()
    assert integers is not None
    restored = type(memory.learned["q8"]).from_integers(memory.learned["q8"].template_hash, integers)
    assert restored is not None
    again, _ = watch(spec, seen, 600, Memory(learned={"q8": restored}), NOW + 1805)
    assert again.numbers["replica_capacity_tokens_per_second"] == pytest.approx(
        decided.numbers["replica_capacity_tokens_per_second"], rel=0.03
    )
    assert again.fleet == decided.fleet


def test_every_number_is_finite_and_names_its_unit() -> None:
    decided, _ = watch(declared(), observation(*serving(2, full_reading())), 60)
    units = ("_tokens_per_second", "_seconds", "_requests", "_streams", "_tokens", "_replicas", "_pods", "slots")
    assert all(name.endswith(units) for name in decided.numbers)
    assert decided.numbers["serving_pods"] == 2
