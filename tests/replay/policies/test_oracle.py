"""Autoscalers that are told what nobody can know."""

import random
from typing import Any

import pytest
from tests.planning.declared import declared
from tests.replay.worlds import arrivals, speeds

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.balance import Shape
from tokenpace.replay.known import fluid_cost, know, shape_of
from tokenpace.replay.policies.oracle import BIN_SECONDS, lead_seconds, true_rates
from tokenpace.replay.policies.policy import Policy
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.traffic import Request, Traffic
from tokenpace.replay.truth import Fleet, VariantTruth
from tokenpace.replay.view import PodView, View

FAST, SLOW = speeds(step=0.01, token=0.001, batch=32), speeds(step=0.02, token=0.002, batch=32)


def spec(**other: Any) -> LLMDeploymentSpec:
    variants = [
        {"name": "best", "quality": "100", "hourlyCost": "2"},
        {"name": "worse", "quality": "90", "hourlyCost": "2"},
    ]
    return declared(slo={"stream": {"tokensPerSecond": 20}}, variants=variants, **other)


def fleet(**scaling: Any) -> Fleet:
    """The best variant is half as fast as the worse one; both take a minute to start."""
    truths = {
        name: VariantTruth(speeds=one, startup_seconds=lambda _: 60.0)
        for name, one in (("best", SLOW), ("worse", FAST))
    }
    return Fleet(name="made", spec=spec(**scaling), variants=truths)


def drawn(*parts: tuple[float, float], seed: int = 1) -> Traffic:
    """Poisson traffic of 100 tokens a request: (requests/s, seconds) one after the other."""
    requests, begin = [], 0.0
    for rate, seconds in parts:
        found = arrivals(random.Random(seed), rate=rate, count=int(2 * rate * seconds) + 10, tokens=lambda: 100)
        requests += [one._replace(at_seconds=begin + one.at_seconds) for one in found if one.at_seconds < seconds]
        begin += seconds
    return Traffic("drawn", begin, tuple(requests))


def view(at: float, replicas: dict[str, int], *pods: PodView) -> View:
    return View(at_seconds=at, replicas=replicas, pods=pods, metrics_lost=False)


def serving(name: str, variant: str) -> PodView:
    return PodView(name, variant, -100.0, -50.0, terminating=False, unschedulable=False, scrapes=())


def policy(name: str, traffic: Traffic, **scaling: Any) -> Policy:
    return POLICIES[name].make(fleet(**scaling), traffic, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_random_arrivals_at_one_rate_have_one_rate(seed: int) -> None:
    assert len(set(true_rates(drawn((3.0, 1800.0), seed=seed)))) == 1


def test_a_step_is_found_where_it_is() -> None:
    rates = true_rates(drawn((1.0, 600.0), (6.0, 600.0)))
    change = next(at for at, rate in enumerate(rates) if rate > 300)
    assert change * BIN_SECONDS == pytest.approx(600.0, abs=2 * BIN_SECONDS)


def test_a_single_long_request_is_no_change_of_the_rate() -> None:
    steady = drawn((3.0, 900.0))
    long = Request(450.0, 10, 5000)
    requests = sorted((*steady.requests, long))
    assert len(set(true_rates(Traffic("long", 900.0, tuple(requests))))) == 1


def test_silence_has_no_rate() -> None:
    assert set(true_rates(Traffic("silent", 60.0, ()))) == {0.0}


def test_the_oracle_grows_a_start_up_before_the_onset_and_not_sooner() -> None:
    oracle = policy("oracle", drawn((1.0, 600.0), (8.0, 600.0)))
    before, ahead = (sum(oracle.decide(view(at, {"best": 1, "worse": 0})).values()) for at in (480.0, 540.0))
    assert before < ahead


def test_who_is_told_of_the_onset_grows_when_it_has_come() -> None:
    told = policy("told-of-onset", drawn((1.0, 600.0), (8.0, 600.0)))
    before, after = (sum(told.decide(view(at, {"best": 1, "worse": 0})).values()) for at in (580.0, 610.0))
    assert before < after


def test_the_oracle_takes_the_worse_variant_where_no_fleet_of_the_best_is_enough() -> None:
    oracle = policy("oracle", drawn((14.0, 900.0)), maxReplicas=4)
    assert oracle.decide(view(10.0, {"best": 0, "worse": 0}))["worse"] > 0


def test_what_serves_stays_until_its_successor_does() -> None:
    oracle = policy("oracle", drawn((14.0, 900.0)), maxReplicas=4)
    asked = oracle.decide(view(10.0, {"best": 2, "worse": 0}, serving("a", "best"), serving("b", "best")))
    assert asked["best"] == 2
    successors = [serving(f"w{number}", "worse") for number in range(asked["worse"])]
    assert oracle.decide(view(20.0, dict(asked), *successors))["best"] == 0


def test_a_start_up_is_reckoned_with_that_hardly_any_exceeds() -> None:
    truth = VariantTruth(speeds=FAST, startup_seconds=lambda chance: 100.0 * chance.random())
    odd = Fleet(name="odd", spec=spec(), variants={"best": truth, "worse": truth})
    assert 85.0 < lead_seconds(odd, "best") < 100.0


def test_the_fluid_bound_lies_below_what_the_planner_would_pay() -> None:
    shape = Shape(12.0, 100.0)
    known = know(fleet(), shape, {"best": 60.0, "worse": 60.0})
    bound = fluid_cost(fleet(), shape, 3600.0 * 1000.0)
    planned = known.ladder.best(1000.0, ("worse",))
    assert bound is not None
    assert 0 < bound < planned.hourly_cost


def test_the_shape_of_no_requests_is_the_declared_one() -> None:
    assert shape_of((), spec()) == Shape(12.0, 32.0)
