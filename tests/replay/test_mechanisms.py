"""Each of these mechanisms does what it is for: a quarter of a simulated hour with it and without it."""

import math
from functools import partial

import pytest
from tests.replay.mechanisms import MECHANISMS, MODULES, NAMED, Mechanism, replaced

from tokenpace.replay.comparison import Case, replay
from tokenpace.replay.generators import (
    CLIENTS,
    Curve,
    LogNormalLengths,
    drawn,
    flash_crowd,
    longer_prompts,
    on_off,
    steady,
    step,
)
from tokenpace.replay.llama_fleet import LADDER, LogNormalSeconds, llama_fleet
from tokenpace.replay.scoring import Score
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Faults, Fleet, Scenario, Spread

SECONDS = 900.0
CHAT = LogNormalLengths(prompt_mean=400.0, generated_mean=250.0)
SOON = LogNormalSeconds(60.0, 0.1)

one = partial(llama_fleet, LLAMA2_70B_ON_4_H100, "one", startup=SOON)
ladder = partial(llama_fleet, LLAMA2_70B_ON_4_H100, "ladder", variants=LADDER, startup=SOON)


def played(
    fleet: Fleet,
    tokens: Curve,
    *,
    faults: Faults | None = None,
    clients: int = CLIENTS,
    prompts_longer_from_seconds: float = math.inf,
    without: str = "",
) -> Score:
    """Replay a curve of generated tokens a second, with a mechanism switched off."""
    curve = tuple((at, rate / CHAT.generated_mean) for at, rate in tokens)

    def traffic(seed: int) -> Traffic:
        chat = drawn(seed, name="made", curve=curve, lengths=CHAT, seconds=SECONDS, clients=clients)
        return longer_prompts(chat, 4.0, since_seconds=prompts_longer_from_seconds)

    scenario = Scenario(name="made", about="", fleet=fleet, traffic=traffic, faults=faults or Faults())
    with replaced(NAMED[without].replaced if without else {}):
        return replay(scenario, Case("made", 0, "tokenpace", 1.0)).score


def share(score: Score) -> float:
    assert score.attainment is not None
    return score.attainment


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda one: one.name)
def test_a_mechanism_is_whole_again_after_it_was_off(mechanism: Mechanism) -> None:
    before = {name: dict(vars(module)) for name, module in MODULES.items()}
    with replaced(mechanism.replaced):
        pass
    assert {name: dict(vars(module)) for name, module in MODULES.items()} == before


def test_what_is_not_the_planners_cannot_be_switched_off() -> None:
    with pytest.raises(AttributeError, match="NO_SUCH"), replaced({"demand.NO_SUCH": 1.0}):
        pass


def test_a_stockout_is_not_met_by_asking_for_the_same_again_and_again() -> None:
    stockout = partial(
        played,
        ladder(replicas=3),
        step(600.0, 4.3, at_seconds=200.0),
        faults=Faults(stock={"bf16": ((0.0, SECONDS, 4),)}),
    )
    with_it, without = stockout(), stockout(without="back-off")
    assert with_it.replica_hours < 0.95 * without.replica_hours
    assert share(with_it) >= share(without)


def test_behind_sticky_connections_no_pods_are_added_that_nobody_would_reach() -> None:
    sticky = partial(played, one(replicas=6, spread=Spread.STICKY), steady(900.0), clients=6)
    assert sticky().changes_per_hour < sticky(without="nothing added while requests miss pods").changes_per_hour


def test_behind_sticky_connections_nothing_wrong_is_learned_of_capacity() -> None:
    sticky = partial(played, one(replicas=6, spread=Spread.STICKY), steady(900.0), clients=6)
    assert sticky().replica_hours < 0.95 * sticky(without="nothing learned of uneven pods").replica_hours


def test_longer_prompts_are_planned_for_before_the_old_ones_have_faded() -> None:
    longer = partial(
        played,
        ladder(replicas=5, scaling={"maxReplicas": 6}),
        steady(1400.0),
        prompts_longer_from_seconds=300.0,
    )
    assert share(longer()) > share(longer(without="longer prompts end the old shape")) + 0.05


def test_while_metrics_are_lost_nothing_is_taken_for_idle() -> None:
    lost = partial(played, one(replicas=5), steady(800.0), faults=Faults(metrics_lost=((400.0, 700.0),)))
    assert lost().changes_per_hour < lost(without="missing is not idle").changes_per_hour


def test_a_silence_shorter_than_the_stabilization_window_takes_nothing_away() -> None:
    silence = on_off(900.0, on_seconds=300.0, off_seconds=150.0, seconds=SECONDS)
    pausing = partial(played, one(replicas=5), silence)
    assert share(pausing()) > share(pausing(without="stabilization window")) + 0.1


@pytest.mark.parametrize(("mechanism", "points"), [("change points", 30), ("backlog", 2)])
def test_a_flash_crowd_is_told_from_what_was_before_and_its_queue_is_worked_off(mechanism: str, points: int) -> None:
    crowd = flash_crowd(500.0, 4.0, at_seconds=300.0, rise_seconds=30.0, lasts_seconds=300.0)
    met = partial(played, one(replicas=3), crowd)
    assert share(met()) > share(met(without=mechanism)) + points / 100


def test_demand_that_no_allowed_fleet_of_the_best_variant_serves_is_served_by_a_faster_one() -> None:
    busier = partial(played, ladder(replicas=5, scaling={"maxReplicas": 6}), step(800.0, 4.0, at_seconds=200.0))
    with_it, without = busier(), busier(without="away at once to what is enough")
    assert with_it.degraded_share
    assert not without.degraded_share
    assert share(with_it) > share(without) + 0.05


def test_speeds_that_are_declared_half_as_fast_are_unlearned() -> None:
    declared = partial(played, one(replicas=5, declared_factor=0.5), steady(900.0))
    believed = declared(without="declared speeds may be off (believed to 5 %)")
    assert 2 * declared().replica_hours < believed.replica_hours


def test_where_memory_ends_before_the_batch_limit_pods_are_added_for_what_fits() -> None:
    small = partial(played, one(replicas=4, memory=6_000), steady(900.0))
    assert share(small()) > share(small(without="fewer slots where memory ends first")) + 0.1
