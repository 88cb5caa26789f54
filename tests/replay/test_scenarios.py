"""The scenarios of the comparison are what their names say, and of a size that says something."""

import pickle
import statistics
from functools import cache

import pytest
from tests.replay.recorded import AZURE_HOUR, needs_azure_hour

from tokenpace.api.support import runnable_variants
from tokenpace.engines.registry import problems
from tokenpace.planning.balance import Costs, Shape, capacity
from tokenpace.planning.estimate import targets_of
from tokenpace.planning.queueing import drain_seconds
from tokenpace.replay.llama_fleet import BATCH_LIMIT
from tokenpace.replay.scenarios import HELD_OUT, REPORTED_SEEDS, TRAINING_SEEDS, replay_of, scenarios
from tokenpace.replay.traffic import Request, Traffic
from tokenpace.replay.truth import Scenario, Speeds, Spread
from tokenpace.traces import read_trace

RECORDING = tuple(Request(float(at), 400 + 100 * (at % 7), 100 + 10 * (at % 5)) for at in range(900))

ALL = scenarios(RECORDING)
NAMED = {scenario.name: scenario for scenario in ALL}

OPEN_LOOP = [scenario for scenario in ALL if scenario.name != "closed-loop"]
"""How much the clients of a closed loop ask for depends on the fleet."""

each_scenario = pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)


@cache
def drawn(name: str) -> Traffic:
    return NAMED[name].traffic(0)


def tokens_per_second(traffic: Traffic, since: float, until: float) -> float:
    return sum(one.generated_tokens for one in traffic.requests if since <= one.at_seconds < until) / (until - since)


def worth(scenario: Scenario, speeds: Speeds, shape: Shape) -> float:
    """Return generated tokens a second of one replica, as the planner computes them from the true speeds."""
    few, many = speeds.step_seconds[0], speeds.step_seconds[-1]
    token = (many - few) / (BATCH_LIMIT - 1)
    slo = scenario.fleet.spec.slo
    load = capacity(
        Costs(few - token, token, speeds.prompt_token_seconds),
        shape,
        targets_of(slo, drain_seconds(slo, scenario.fleet.tick_seconds)),
        slots=BATCH_LIMIT,
        most_streams=BATCH_LIMIT,
    )
    assert load is not None
    return load.tokens_per_second


def test_drawn_traffic_has_no_length_that_only_the_part_kept_for_the_report_has() -> None:
    marked = 9_999
    recording = [one._replace(prompt_tokens=marked) if one.at_seconds > 600.0 else one for one in RECORDING]
    drawn_anew = {scenario.name: scenario for scenario in scenarios(recording)}

    assert all(one.prompt_tokens != marked for one in drawn_anew["steady"].traffic(0).requests)
    assert any(one.prompt_tokens == marked for one in drawn_anew["recorded-last-third"].traffic(0).requests)


def test_names_are_unique_and_what_is_held_out_is_among_them() -> None:
    assert len(NAMED) == len(ALL)
    assert set(NAMED) >= HELD_OUT


def test_no_seed_is_both_tuned_on_and_reported_alone() -> None:
    assert not set(TRAINING_SEEDS) & set(REPORTED_SEEDS)


def test_without_a_recording_nothing_is_left_out_but_what_replays_it() -> None:
    assert {scenario.name for scenario in scenarios()} == set(NAMED) - {"recorded", "recorded-last-third"}


@each_scenario
def test_a_scenario_is_the_same_for_a_seed_in_whatever_process(scenario: Scenario) -> None:
    there = pickle.loads(pickle.dumps(scenario))  # noqa: S301 - our own bytes
    assert there.traffic(0).requests == drawn(scenario.name).requests
    assert there.traffic(1).requests != drawn(scenario.name).requests


@each_scenario
def test_a_scenario_lasts_an_hour_at_most_and_its_faults_lie_within_it(scenario: Scenario) -> None:
    faults, seconds = scenario.faults, drawn(scenario.name).seconds
    stocks = (stock for spells in faults.stock.values() for stock in spells)
    moments = [*faults.failures, *(at for spell in (*faults.metrics_lost, *stocks) for at in spell[:2])]
    assert seconds <= 3600
    assert all(0 <= at < seconds for at in moments)


@each_scenario
def test_a_fleet_can_be_launched_and_starts_within_its_bounds(scenario: Scenario) -> None:
    spec = scenario.fleet.spec
    assert runnable_variants(spec) == spec.ladder
    assert [problem for variant in spec.variants for problem in problems(spec, variant)] == []
    assert set(scenario.fleet.variants) == {variant.name for variant in spec.variants}
    assert 0 < sum(scenario.fleet.replicas.values()) <= spec.scaling.max_replicas


@pytest.mark.parametrize("scenario", OPEN_LOOP, ids=lambda scenario: scenario.name)
def test_a_fleet_begins_large_enough_for_the_first_minutes(scenario: Scenario) -> None:
    """What is compared is how fleets follow demand, not how they recover from a bad beginning."""
    ((name, replicas),) = scenario.fleet.replicas.items()
    requests = [one for one in drawn(scenario.name).requests if one.at_seconds < 300.0]
    shape = Shape(
        statistics.mean(one.prompt_tokens for one in requests),
        statistics.mean(one.generated_tokens for one in requests),
    )
    capable = replicas * worth(scenario, scenario.fleet.variants[name].speeds, shape)
    assert tokens_per_second(drawn(scenario.name), 0.0, 300.0) < capable


def test_more_is_demanded_at_noon_than_the_chosen_variant_may_serve_and_less_than_another_can() -> None:
    (scenario,) = (one for one in scenarios() if one.name == "ladder")
    shape = Shape(1155, 211)
    most = scenario.fleet.spec.scaling.max_replicas
    at_noon = tokens_per_second(scenario.traffic(0), 1200.0, 2400.0)
    assert most * worth(scenario, scenario.fleet.variants["bf16"].speeds, shape) < 0.8 * at_noon
    assert most * worth(scenario, scenario.fleet.variants["fp8"].speeds, shape) > 1.2 * at_noon


def test_a_budget_bounds_the_ladder_as_tightly_as_a_number_does() -> None:
    spec = NAMED["ladder-budget"].fleet.spec
    costs = {variant.hourly_cost for variant in spec.variants}
    (cost,) = costs
    assert cost is not None
    assert spec.scaling.max_hourly_cost == cost * NAMED["ladder"].fleet.spec.scaling.max_replicas


def test_prompts_become_four_times_as_long_and_answers_stay() -> None:
    requests = drawn("longer-prompts").requests
    before = [one for one in requests if one.at_seconds < 1200.0]
    after = [one for one in requests if one.at_seconds >= 1200.0]
    prompts = [statistics.mean(one.prompt_tokens for one in part) for part in (before, after)]
    answers = [statistics.mean(one.generated_tokens for one in part) for part in (before, after)]
    assert prompts[1] / prompts[0] == pytest.approx(4.0, rel=0.05)
    assert answers[1] / answers[0] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(("name", "factor"), [("declared-too-fast", 1.5), ("declared-too-slow", 0.5)])
def test_wrong_declarations_are_wrong_by_half_and_only_they(name: str, factor: float) -> None:
    fleet, honest = NAMED[name].fleet, NAMED["steady"].fleet
    wrong, right = fleet.spec.variants[0].expected, honest.spec.variants[0].expected
    for speed in ("stream_tokens_per_second", "generation_tokens_per_second", "prefill_tokens_per_second"):
        assert getattr(wrong, speed) / getattr(right, speed) == pytest.approx(factor, rel=0.02)
    assert wrong.startup_seconds == right.startup_seconds
    assert fleet.variants == honest.variants


def test_sticky_clients_are_few_and_go_so_that_new_pods_get_those_who_come_after() -> None:
    scenario = NAMED["sticky"]
    last_minute = {one.client for one in drawn("sticky").requests if one.at_seconds >= 2640.0}
    first_minute = {one.client for one in drawn("sticky").requests if one.at_seconds < 60.0}
    assert scenario.fleet.spread is Spread.STICKY
    assert len(first_minute) <= 45  # four or five of forty are followed within a minute
    assert not first_minute & last_minute


def test_a_users_own_trace_is_replayed_as_it_came_whatever_the_seed() -> None:
    scenario = replay_of(RECORDING, ALL[0].fleet)
    assert scenario.traffic(1).requests == scenario.traffic(2).requests == RECORDING
    assert scenario.traffic(1).seconds == 900.0


@needs_azure_hour
def test_of_the_recorded_hour_two_thirds_are_for_tuning_and_the_last_third_for_the_report() -> None:
    hour = read_trace(AZURE_HOUR)
    named = {scenario.name: scenario for scenario in scenarios(hour)}
    tuned, held_out = (named[name].traffic(0) for name in ("recorded", "recorded-last-third"))
    assert tuned.seconds == pytest.approx(2 * held_out.seconds)
    assert len(tuned.requests) + len(held_out.requests) == 2 * (len(hour) - 1)  # the last one ends the recording
    assert tokens_per_second(tuned, 0.0, tuned.seconds) == pytest.approx(2 * 1168, rel=0.05)
