"""The ladder in a closed loop with simulated pods, as users meet it."""

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.declared import SMALL_POD
from tests.planning.ladders import ENGINES, Q4, Q8, ladder
from tests.planning.simulated_pods import CPU, Lengths
from tests.planning.simulation import Tick, World, constant, steps
from tests.planning.test_fleet_follows_demand import true_capacity

from tokenpace.api.reasons import DecisionReason, DegradedReason, ProgressingReason, ScalingLimitedReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.decision import Verdict
from tokenpace.planning.memory import Memory
from tokenpace.planning.plan import plan

MOST = 3
Q8_TOKENS_PER_SECOND = true_capacity(ladder(), CPU, Lengths())
BEYOND_Q8 = 4.3 * Q8_TOKENS_PER_SECOND
"""More than three replicas of q8 can serve, and less than two of q4."""


def world(spec: LLMDeploymentSpec | None = None, load: Any = None, q8: int = 1, q4: int = 0, **other: Any) -> World:
    fleet = {"q8": q8, "q4": q4}
    return World(
        ladder() if spec is None else spec,
        CPU,
        constant(5.0) if load is None else load,
        **{"engines": ENGINES, "fleet": fleet, "seed": 1, **other},
    )


def serving(tick: Tick) -> str | None:
    """Return the variant that most pods that serve are of; the better one of equals."""
    return max(("q8", "q4"), key=lambda name: tick.ready.get(name, 0)) if sum(tick.ready.values()) else None


def switches(of: World, since: float = 0.0) -> list[str]:
    """Return the goals that followed one another."""
    goals = [next(name for name, count in tick.plan.goal.items() if count) for tick in of.ticks if tick.at >= since]
    return [after for before, after in itertools.pairwise(goals) if after != before]


def rise_and_fall(most: float = BEYOND_Q8) -> Any:
    return steps((0.0, 0.5 * Q8_TOKENS_PER_SECOND), (300.0, most), (900.0, 0.6 * Q8_TOKENS_PER_SECOND))


# --- There and back


@pytest.mark.parametrize("surge", [0, 1, 2])
def test_a_fleet_that_is_not_enough_moves_to_the_faster_variant_and_back_when_it_can(surge: int) -> None:
    run = world(ladder(maxSurge=surge), rise_and_fall()).run(2400)
    assert switches(run) == ["q4", "q8"]
    assert run.ticks[-1].fleet == {"q8": 1, "q4": 0}
    served = [tick.plan.slo_met.verdict for tick in run.ticks if 600 <= tick.at < 900]
    assert served.count(Verdict.FALSE) <= 0.15 * len(served), "but for one busy minute"


@pytest.mark.parametrize("surge", [0, 1, 2])
def test_there_are_never_more_pods_than_the_most_and_the_surge(surge: int) -> None:
    run = world(ladder(maxSurge=surge), rise_and_fall()).run(2400)
    assert max(sum(tick.fleet.values()) for tick in run.ticks) <= MOST + surge


@pytest.mark.parametrize("surge", [0, 1])
def test_pods_that_take_a_minute_to_start_are_switched_once_each_way(surge: int) -> None:
    slow = {name: replace(engine, startup_seconds=60.0) for name, engine in ENGINES.items()}
    variants = [{**one, "expected": {**one["expected"], "startupSeconds": 60}} for one in (Q8, Q4)]
    load = steps((0.0, 5.0), (300.0, 7 * Q8_TOKENS_PER_SECOND), (1500.0, 6.0))
    run = world(ladder(*variants, maxSurge=surge, maxReplicas=5), load, engines=slow).run(3000)
    assert switches(run) == ["q4", "q8"]
    assert run.ticks[-1].fleet == {"q8": 1, "q4": 0}


def test_where_there_is_no_room_a_switch_takes_no_more_steps_than_leave_least_waiting() -> None:
    slow = {name: replace(engine, startup_seconds=60.0) for name, engine in ENGINES.items()}
    variants = [{**one, "expected": {**one["expected"], "startupSeconds": 60}} for one in (Q8, Q4)]
    load = constant(7 * Q8_TOKENS_PER_SECOND)
    run = world(ladder(*variants, maxReplicas=5, maxSurge=0), load, q8=5, engines=slow).run(600)
    begun = next(tick.at for tick in run.ticks if tick.fleet["q4"])
    done = next(tick.at for tick in run.ticks if not tick.fleet["q8"])
    assert done - begun < 3 * 60.0


def test_a_fleet_turns_to_the_best_variant_that_is_enough_when_the_backlog_is_gone_and_to_no_third_on_the_way() -> None:
    q6 = {**Q4, "name": "q6", "quality": "95", "expected": {**SMALL_POD, "streamTokensPerSecond": 26}}
    q6["expected"] |= {"generationTokensPerSecond": 26, "startupSeconds": 60}
    variants = [{**one, "expected": {**one["expected"], "startupSeconds": 60}} for one in (Q8, q6, Q4)]
    engines = {**ENGINES, "q6": replace(CPU, token_seconds=1 / 26)}
    slow = {name: replace(engine, startup_seconds=60.0) for name, engine in engines.items()}
    run = World(ladder(*variants), CPU, rise_and_fall(), engines=slow, fleet={"q8": 3}, seed=1).run(900)
    assert {name for tick in run.ticks for name, count in tick.fleet.items() if count} == {"q8", "q6"}
    assert run.ticks[-1].fleet["q8"] == 0


def test_something_serves_throughout() -> None:
    run = world(ladder(maxSurge=0), rise_and_fall()).run(2400)
    assert all(sum(tick.ready.values()) for tick in run.ticks)


def test_the_new_variant_comes_one_at_first() -> None:
    run = world(load=rise_and_fall()).run(900)
    first = next(tick for tick in run.ticks if tick.fleet["q4"])
    assert first.fleet["q4"] == 1
    assert first.fleet["q8"] == first.ready["q8"]
    assert first.plan.reason is DecisionReason.SWITCHING
    assert first.plan.progress is not None
    assert first.plan.progress.reason == ProgressingReason.SWITCHING


def test_replicas_come_before_precision_goes() -> None:
    run = world(load=steps((0.0, 5.0), (300.0, 2.4 * Q8_TOKENS_PER_SECOND))).run(1500)
    assert switches(run) == []
    assert run.ticks[-1].fleet == {"q8": 3, "q4": 0}


def test_the_better_variant_waits_until_the_dwell_is_over() -> None:
    spec = ladder(variantDwellSeconds=900)
    run = world(spec, steps((0.0, 5.0), (300.0, BEYOND_Q8), (480.0, 5.0))).run(2400)
    changed = [tick.at for tick in run.ticks if tick.plan.reason is DecisionReason.SWITCHING_BACK]
    begun = next(tick.at for tick in run.ticks if tick.plan.reason is DecisionReason.SWITCHING)
    assert min(changed) >= begun + 900


def test_a_short_burst_that_the_fleet_works_off_by_itself_changes_no_variant() -> None:
    load = steps((0.0, 2.0 * Q8_TOKENS_PER_SECOND), (300.0, 5 * Q8_TOKENS_PER_SECOND), (306.0, 10.0))
    assert switches(world(None, load, q8=3).run(900)) == []


# --- Noise


@pytest.mark.parametrize("share", [0.9, 0.97, 1.0, 1.03, 1.1])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("preference", ["Quality", "Cost"])
def test_constant_random_demand_changes_the_variant_at_most_once(share: float, seed: int, preference: str) -> None:
    load = constant(share * MOST * Q8_TOKENS_PER_SECOND)
    run = world(ladder(preference=preference, variantDwellSeconds=60), load, q8=3, seed=seed).run(3600)
    assert len(switches(run)) <= 1


# --- Costs


def test_with_cost_preferred_the_cheapest_fleet_serves() -> None:
    run = world(ladder(preference="Cost"), constant(1.6 * Q8_TOKENS_PER_SECOND), q8=2).run(900)
    assert run.ticks[-1].fleet == {"q8": 0, "q4": 1}
    assert run.ticks[-1].plan.degraded.reason == DegradedReason.CHEAPER


def test_the_hourly_cost_is_never_exceeded_on_the_way() -> None:
    run = world(ladder(maxHourlyCost="3"), rise_and_fall()).run(2400)
    assert switches(run) == ["q4", "q8"]
    assert max(sum(tick.fleet.values()) for tick in run.ticks) <= 3


# --- What goes wrong


def test_a_variant_that_fails_its_canary_is_rolled_back_while_the_old_serves() -> None:
    run = world(load=constant(BEYOND_Q8), q8=3, broken=frozenset({"q4"})).run(1200)
    assert max(tick.fleet["q4"] for tick in run.ticks) == 1
    assert min(tick.ready.get("q8", 0) for tick in run.ticks) == 3
    tries = [after.at for before, after in itertools.pairwise(run.ticks) if after.fleet["q4"] > before.fleet["q4"]]
    gaps = [after - before for before, after in itertools.pairwise(tries)]
    assert all(gap >= 60 * 2**number for number, gap in enumerate(gaps))
    assert 3 <= len(tries) <= 5
    last = run.ticks[-1].plan
    assert last.progress is not None
    assert (last.progress.reason, last.progress.verdict) == (ProgressingReason.ROLLED_BACK, Verdict.FALSE)
    assert "it generates nonsense" in last.progress.message


def test_a_variant_whose_pods_do_not_start_is_rolled_back_in_place() -> None:
    never = {**ENGINES, "q4": replace(ENGINES["q4"], startup_seconds=1e9)}
    run = world(ladder(maxSurge=0), constant(BEYOND_Q8), q8=3, engines=never).run(600)
    assert {tick.fleet["q8"] for tick in run.ticks} == {2, 3}
    assert any(tick.plan.reason is DecisionReason.ROLLED_BACK or tick.fleet == {"q8": 3, "q4": 0} for tick in run.ticks)


def test_what_could_be_scheduled_of_a_faster_variant_serves_and_the_rest_is_tried_later() -> None:
    load = constant(1.5 * BEYOND_Q8)
    run = world(load=load, q8=3, room={"q4": 2}).run(1200)
    assert switches(run) == ["q4"]
    assert run.ticks[-1].ready == {"q4": 2}
    assert run.ticks[-1].plan.scaling_limited.reason == ScalingLimitedReason.PODS_DO_NOT_START
    assert all(sum(tick.ready.values()) for tick in run.ticks)


def test_where_fewer_could_be_scheduled_than_are_worth_the_switch_the_old_stay_and_tries_get_rarer() -> None:
    slow = {"q8": CPU, "q4": replace(ENGINES["q4"], token_seconds=1 / 25)}
    speed = {"streamTokensPerSecond": 25, "generationTokensPerSecond": 25}
    spec = ladder(Q8, Q4 | {"expected": Q4["expected"] | speed})
    run = world(spec, constant(BEYOND_Q8), q8=3, engines=slow, room={"q4": 1}).run(2400)
    assert min(sum(tick.ready.values()) for tick in run.ticks) >= 2
    asked = [after.at for before, after in itertools.pairwise(run.ticks) if after.fleet["q4"] > before.fleet["q4"]]
    assert len(asked) <= 12
    assert run.ticks[-1].fleet["q8"] == 3


def test_without_metrics_nothing_is_switched_and_nothing_goes() -> None:
    run = world(load=rise_and_fall(), blind=lambda at: 310 <= at < 600).run(2400)
    dark = [tick for tick in run.ticks if 310 <= tick.at < 600]
    for before, after in itertools.pairwise(dark):
        assert all(after.fleet[name] >= before.fleet[name] for name in after.fleet)
        assert after.plan.goal.keys() == before.plan.goal.keys()
    assert switches(run)[-1] == "q8"


def test_an_operator_that_is_restarted_on_the_way_goes_on() -> None:
    run = world(load=constant(BEYOND_Q8), q8=3)
    while not run.ticks or run.ticks[-1].ready.get("q4", 0) == 0:
        run.run(5)
    run.memory = Memory(learned=run.memory.learned, switched_at_seconds=run.memory.switched_at_seconds)
    begun = run.elapsed
    run.run(300)
    assert switches(run, begun) == []
    assert run.ticks[-1].fleet["q8"] == 0


def test_a_variant_that_is_taken_out_of_the_spec_serves_until_its_successor_does() -> None:
    run = world(load=constant(15.0), q8=2).run(120)
    run.spec = ladder(Q4)
    run.run(300)
    assert run.ticks[-1].fleet == {"q8": 0, "q4": 1}
    assert all(sum(tick.ready.values()) for tick in run.ticks)


def test_in_manual_mode_the_chosen_variant_takes_over_by_the_same_road() -> None:
    run = world(load=constant(15.0), q8=2).run(120)
    run.spec = ladder(mode="Manual", variant="q4", replicas=2)
    run.run(300)
    assert run.ticks[-1].fleet == {"q8": 0, "q4": 2}
    assert all(sum(tick.ready.values()) >= 2 for tick in run.ticks)


# --- The quality budget


@pytest.mark.parametrize("percent", [10, 30])
def test_a_budget_that_keeps_quality_is_never_overdrawn(percent: int) -> None:
    budget = {"maxTokensPercent": percent, "whenSpent": "KeepQuality"}
    spec = ladder(degraded=budget, variantDwellSeconds=30)
    load = steps((0.0, 2.5 * Q8_TOKENS_PER_SECOND), (1800.0, BEYOND_Q8))
    run = world(spec, load, q8=3).run(4800)
    assert any(tick.ready.get("q4") for tick in run.ticks)
    assert any(tick.fleet["q4"] == 0 and tick.plan.reason is DecisionReason.BUDGET_SPENT for tick in run.ticks)
    budgets = [tick.plan.numbers for tick in run.ticks]
    assert all(one["generated_below_best_tokens"] <= percent / 100 * one["generated_by_all_tokens"] for one in budgets)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_best_variant_that_cannot_keep_a_target_is_left_for_a_dwell_at_least_and_seldom(seed: int) -> None:
    """20 % of the tokens of four hours are 48 minutes: at most one entry for each two dwells of 300 s."""
    budget = {"maxTokensPercent": 20, "whenSpent": "KeepQuality"}
    spec = ladder(slo={"stream": {"tokensPerSecond": 25}}, degraded=budget, variantDwellSeconds=300)
    run = world(spec, constant(10.0), q8=2, seed=seed).run(4 * 3600)
    goals = [(tick.at, next(name for name, count in tick.plan.goal.items() if count)) for tick in run.ticks]
    switched = [after for before, after in itertools.pairwise(goals) if after[1] != before[1]]
    assert 2 <= len(switched) <= 2 * 48 * 60 / (2 * 300) + 2
    assert all(after - before >= 300 for (before, _), (after, _) in itertools.pairwise(switched))


def test_a_budget_that_keeps_the_slo_is_only_told_about() -> None:
    spec = ladder(degraded={"maxTokensPercent": 10, "whenSpent": "KeepSLO"})
    run = world(spec, constant(BEYOND_Q8), q8=3).run(1800)
    assert switches(run) == ["q4"]
    assert "at most 10 %" in run.ticks[-1].plan.degraded.message


def test_a_fleet_that_has_earned_no_budget_stays_with_the_best_variant_and_says_so() -> None:
    spec = ladder(degraded={"maxTokensPercent": 20, "whenSpent": "KeepQuality"})
    run = world(spec, constant(BEYOND_Q8), q8=3).run(300)
    assert switches(run) == []
    assert run.ticks[-1].plan.reason is DecisionReason.BUDGET_SPENT
    assert "q4 could serve more" in run.ticks[-1].plan.message


# --- Chance


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(0, 2), st.sampled_from(["Quality", "Cost"]))
def test_whatever_is_asked_bounds_hold_and_something_serves(seed: int, surge: int, preference: str) -> None:
    chance = random.Random(seed)
    spec = ladder(maxSurge=surge, preference=preference, variantDwellSeconds=30)
    levels = [(120.0 * number, chance.choice([0.0, 5.0, 20.0, 28.0, 45.0, 90.0])) for number in range(8)]
    fleet = {"q8": chance.randint(0, 3), "q4": 0}
    fleet["q4"] = chance.randint(1 if not fleet["q8"] else 0, 3 - fleet["q8"])
    run = world(spec, steps(*levels), **fleet, seed=seed).run(960)
    assert all(sum(tick.ready.values()) for tick in run.ticks)
    assert max(sum(tick.fleet.values()) for tick in run.ticks) <= MOST + surge
    again, _ = plan(spec, run.observation(), run.memory, run.memory.at_seconds or 0.0)
    assert set(again.fleet) == {"q8", "q4"}
