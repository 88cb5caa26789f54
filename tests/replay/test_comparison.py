"""Comparisons that are small enough to check by hand, and the same in one process and in two."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.planning.declared import LARGE_POD, declared
from tests.replay.own import manifest, trace
from tests.replay.test_scoring import judged
from tests.replay.worlds import speeds

from tokenpace.replay.command import read_scenarios
from tokenpace.replay.comparison import Case, Mark, Replayed, cheapest, marks, replay_all, tuned
from tokenpace.replay.curves import Curves
from tokenpace.replay.generators import LogNormalLengths, drawn, steady
from tokenpace.replay.truth import Fleet, Scenario, VariantTruth

NO_CURVES = Curves(slot_seconds=60.0, demand=(), served=(), capacity=(), ready={}, starting=(), waiting=())


def small_scenarios() -> tuple[Scenario, ...]:
    """Three minutes of two requests a second."""
    spec = declared(
        slo={"stream": {"tokensPerSecond": 20, "percentile": 90}},
        variants=[
            {
                "name": "bf16",
                "engine": {"type": "VLLM"},
                "source": {"volume": {"claimName": "models", "path": "m"}},
                "hourlyCost": "2",
                "expected": LARGE_POD,
            }
        ],
    )
    truth = VariantTruth(
        speeds=speeds(step=0.03, token=0.0005, prompt_token=1e-4, batch=32), startup_seconds=lambda _: 30.0
    )
    traffic = partial(
        drawn,
        name="small",
        curve=steady(2.0),
        lengths=LogNormalLengths(prompt_mean=200.0, generated_mean=100.0),
        seconds=180.0,
    )
    fleet = Fleet(name="small", spec=spec, variants={"bf16": truth})
    return (Scenario(name="small", about="Small.", fleet=fleet, traffic=traffic),)


CASES = tuple(Case("small", seed, policy, 1.0) for seed in (0, 1) for policy in ("tokenpace", "oracle"))


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    """Other processes are started anew: they know the scenarios by where they come from."""
    source = partial(read_scenarios, trace(tmp_path), manifest(tmp_path))
    cases = [Case("recording", seed, "tokenpace", 1.0) for seed in (0, 1)]
    alone = replay_all(cases, source, processes=1)
    assert list(alone) == cases
    assert replay_all(cases, source, processes=2) == alone


def test_every_case_is_told_when_it_is_done() -> None:
    done: list[Replayed] = []
    found = replay_all(CASES[:2], small_scenarios, processes=1, on_done=done.append)
    assert done == list(found.values())


def test_curves_hold_a_value_for_each_minute_and_all_the_tokens() -> None:
    (found,) = replay_all(CASES[:1], small_scenarios, processes=1).values()
    curves = found.curves
    assert {len(one) for one in (curves.demand, curves.served, curves.capacity, curves.waiting)} == {3}
    assert sum(curves.demand) * 60 == pytest.approx(found.score.demanded_tokens)
    assert sum(curves.served) <= sum(curves.demand)


def done(policy: str, setting: float, attainment: float, cost: float, scenario: str = "small") -> Replayed:
    found = replace(judged(), attainment=attainment, cost=cost)
    case = Case(scenario, 0, policy, setting)
    return Replayed(case=case, score=found, curves=NO_CURVES, fluid_cost=None, told=())


def test_costs_are_compared_with_the_oracles_in_the_same_scenario() -> None:
    found = marks(
        [
            done("oracle", 1.0, 0.9, 10.0, "small"),
            done("oracle", 1.0, 0.9, 100.0, "large"),
            done("tokenpace", 1.0, 0.8, 20.0, "small"),
            done("tokenpace", 1.0, 1.0, 100.0, "large"),
        ],
        "oracle",
    )
    assert found["tokenpace"] == [Mark(setting=1.0, attainment=pytest.approx(0.9), cost=pytest.approx(1.5))]


def test_a_scenario_in_which_the_oracle_paid_nothing_does_not_count() -> None:
    assert marks([done("oracle", 1.0, 1.0, 0.0), done("tokenpace", 1.0, 1.0, 5.0)], "oracle") == {}


def test_money_is_never_compared_with_replica_hours() -> None:
    """A fleet ran a variant without a price, the oracle's did not."""
    unpriced = done("tokenpace", 1.0, 1.0, 0.0)
    unpriced = replace(unpriced, score=replace(unpriced.score, cost=None, replica_hours=3.0))
    oracle = done("oracle", 1.0, 1.0, 40.0)
    oracle = replace(oracle, score=replace(oracle.score, replica_hours=2.0))
    assert marks([oracle, unpriced], "oracle")["tokenpace"] == [Mark(setting=1.0, attainment=1.0, cost=1.5)]


SETTINGS: Mapping[float, tuple[float, float]] = {1.0: (0.99, 3.0), 2.0: (0.95, 2.0), 3.0: (0.80, 1.0)}
MARKS = [Mark(setting=setting, attainment=share, cost=cost) for setting, (share, cost) in SETTINGS.items()]


@pytest.mark.parametrize(
    ("attainment", "setting"),
    [
        pytest.param(0.94, 2.0, id="the cheapest of those that attain so much"),
        pytest.param(0.9505, 2.0, id="or as good as so much"),
        pytest.param(0.5, 3.0, id="of all, if all do"),
        pytest.param(0.999, 1.0, id="the one that attains most, if none does"),
    ],
)
def test_a_setting_is_chosen_in_the_policys_favour(attainment: float, setting: float) -> None:
    assert tuned(MARKS, attainment) == setting


def test_there_is_no_cheapest_of_those_that_attain_more_than_any() -> None:
    assert cheapest(MARKS, 0.999) is None
