"""What was measured elsewhere is where planning starts; what is seen here is where it ends."""

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import HASH, NOW, SMALL_POD, Idle, declared, observation, pod, reading
from tests.planning.simulated_pods import CPU, GPU, Engine, Lengths
from tests.planning.simulation import World, constant
from tests.planning.speed_cards import speed_card
from tests.planning.test_fleet_follows_demand import (
    CHAT,
    FAST_STREAMS,
    believed_capacity,
    large,
    large_world,
    true_capacity,
)
from tests.planning.test_learning import TRUTH, costs_of, seconds_per_token, steady, taught
from tests.planning.watching import watch

from tokenpace.api.reasons import DecisionReason, SpeedCardReason
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.status import SpeedSource
from tokenpace.api.variant import Expected
from tokenpace.planning.balance import Costs, Shape
from tokenpace.planning.decision import Plan, Verdict
from tokenpace.planning.leadtime import Starts
from tokenpace.planning.learning import Learned
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Wake
from tokenpace.planning.plan import plan
from tokenpace.planning.prior import GUESSED_DEVIATION, fitted_belief, prior_streams
from tokenpace.planning.speed_cards import compare


def scaled(costs: Costs, factor: float) -> Costs:
    return Costs(factor * costs.step_seconds, factor * costs.token_seconds, factor * costs.prompt_token_seconds)


def costs_of_engine(engine: Engine) -> Costs:
    return Costs(engine.step_seconds, engine.token_seconds, engine.prompt_token_seconds)


def from_card(card: LLMSpeedCardSpec) -> Learned:
    return Learned.expected(HASH, Expected(), card)


def test_the_fit_of_a_card_is_believed() -> None:
    assert costs_of(from_card(speed_card(TRUTH))) == TRUTH


def test_a_card_is_believed_more_than_expected() -> None:
    expected = Expected.model_validate(SMALL_POD | {"startupSeconds": 300})
    card = speed_card(TRUTH, startupSeconds=12)
    assert costs_of(Learned.expected(HASH, expected, card)) == TRUTH
    assert Starts(template_hash=HASH).lead_seconds(expected, card) == 12.0


def test_what_a_card_does_not_say_is_taken_from_expected() -> None:
    expected = Expected.model_validate({"startupSeconds": 300})
    assert Starts(template_hash=HASH).lead_seconds(expected, speed_card(TRUTH)) == 300.0


def test_a_card_knows_as_many_streams_as_its_sweep_had() -> None:
    assert prior_streams(Expected(), speed_card(TRUTH, streams=11.5)) == 11.5


@given(st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_a_wider_error_is_a_wider_belief_up_to_that_of_a_guess(one: float, other: float) -> None:
    narrow, wide = (fitted_belief(speed_card(TRUTH, error=error)) for error in sorted((one, other)))
    for cost in range(3):
        assert narrow.covariance[cost][cost] <= wide.covariance[cost][cost] <= GUESSED_DEVIATION**2


@given(factor=st.sampled_from([0.5, 0.7, 1.5, 2.0]), errors=st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 0.5)))
def test_the_wider_the_errors_of_a_card_the_further_it_is_left_at_first_sight(
    factor: float, errors: tuple[float, float]
) -> None:
    def distance(error: float) -> float:
        learned = taught(from_card(speed_card(scaled(TRUTH, factor), error=error)), [steady(12.0, timed=False)], 10)
        return abs(seconds_per_token(costs_of(learned), 12.0) / seconds_per_token(TRUTH, 12.0) - 1.0)

    sure, unsure = sorted(errors)
    assert distance(unsure) <= distance(sure) + 1e-6


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_card_that_admits_no_error_is_left_too(factor: float) -> None:
    learned = taught(from_card(speed_card(scaled(TRUTH, factor), error=0.0)), [steady(12.0)], 1200)
    assert seconds_per_token(costs_of(learned), 12.0) == pytest.approx(seconds_per_token(TRUTH, 12.0), rel=0.05)


# --- Costs that a fit put to nothing


def test_tokens_that_a_fit_put_to_nothing_are_learned_from_two_loads() -> None:
    """The card and the truth agree at 8 streams; at 2 the card is a third too slow, and with 1 ns it stays so."""
    said, truth = Costs(0.04, 0.0, 0.0001), Costs(0.024, 0.002, 0.0001)
    learned = from_card(speed_card(said, error=0.0, streams=8.0))
    low, high = (steady(streams, truth=truth, timed=False) for streams in (2.0, 8.0))
    for _ in range(12):
        learned = taught(taught(learned, [low], 300), [high], 300)
    for streams in (2.0, 8.0):
        found = seconds_per_token(costs_of(learned), streams)
        assert found == pytest.approx(seconds_per_token(truth, streams), rel=0.15)


def test_steps_that_a_fit_put_to_nothing_are_a_guess_of_a_tenth_of_a_lone_streams_time() -> None:
    belief = fitted_belief(speed_card(Costs(0.0, 0.01, 0.0001), error=0.0))
    assert belief.costs.step_seconds == pytest.approx(0.1 * (belief.costs.step_seconds + belief.costs.token_seconds))
    assert belief.covariance[0][0] == GUESSED_DEVIATION**2


def test_streams_that_are_slower_than_a_card_of_free_tokens_said_are_not_unattainable() -> None:
    """An hour at 8 streams of 56 ms a token. With tokens for nothing even a lone stream would be believed too slow."""
    said, truth = Costs(0.04, 0.0, 0.0), Costs(0.04, 0.002, 0.0)
    card = speed_card(said, error=0.0, streams=8.0)
    learned = taught(from_card(card), [steady(8.0, truth=truth, timed=False)], 3600)
    assert 1.0 / seconds_per_token(costs_of(learned), 1.0) > 20.0


@pytest.mark.parametrize("said", [Costs(0.04, 0.0, 0.0001), Costs(0.0, 0.01, 0.0001)])
@pytest.mark.parametrize("streams", [1.0, 8.0, 64.0])
def test_a_card_is_believed_at_its_heaviest_load_whatever_its_fit_put_to_nothing(said: Costs, streams: float) -> None:
    costs = costs_of(from_card(speed_card(said, streams=streams)))
    heaviest = said.step_seconds + said.token_seconds * streams
    assert costs.step_seconds + costs.token_seconds * streams == pytest.approx(heaviest, rel=1e-3)


def test_prompt_tokens_that_a_fit_put_to_nothing_are_guessed_and_not_known() -> None:
    assert from_card(speed_card(TRUTH)).knows_prompts
    learned = from_card(speed_card(replace(TRUTH, prompt_token_seconds=0.0)))
    assert not learned.knows_prompts
    assert costs_of(learned).prompt_token_seconds == pytest.approx(0.4 * TRUTH.token_seconds)


# --- Ten minutes


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("error", [0.0, 0.05, 0.3])
def test_small_pods_with_a_card_wrong_by_two_are_known_within_ten_minutes(factor: float, error: float) -> None:
    spec = declared(slo=FAST_STREAMS, expected={})
    truth = true_capacity(spec, CPU, Lengths())
    cards = {"q8": speed_card(scaled(costs_of_engine(CPU), factor), error=error)}
    errors = []
    for seed in range(3):
        world = World(spec, CPU, constant(4 * 0.6 * truth), replicas=4, seed=seed, held=True, cards=cards).run(630)
        errors.append(believed_capacity(world.ticks[-1]) / truth)
    assert statistics.median(errors) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("error", [0.05, 0.3])
def test_large_pods_with_a_card_wrong_by_two_are_known_within_ten_minutes(factor: float, error: float) -> None:
    spec = large({})
    truth = true_capacity(spec, GPU, CHAT)
    cards = {"q8": speed_card(scaled(costs_of_engine(GPU), factor), error=error, streams=32.0)}
    world = large_world(spec, 2 * 0.6 * truth, 2, cards=cards, held=True).run(660)
    assert believed_capacity(world.ticks[-1]) == pytest.approx(truth, rel=0.1)


def test_a_fleet_that_starts_from_a_right_card_is_never_larger_than_it_needs_to_be() -> None:
    spec = declared(slo=FAST_STREAMS, expected={})
    truth = true_capacity(spec, CPU, Lengths())
    cards = {"q8": speed_card(costs_of_engine(CPU))}
    world = World(spec, CPU, constant(2.5 * truth), replicas=1, cards=cards).run(900)
    assert max(tick.replicas for tick in world.ticks) <= 4
    assert world.ticks[-1].replicas in (3, 4)


# --- What is told


def first_plan(card: LLMSpeedCardSpec | None, **other: object) -> Plan:
    seen = observation(pod("a", Idle(reading())), replicas=1)
    seen = replace(seen, speed_cards={} if card is None else {"q8": card})
    return plan(declared(expected={}, **other), seen, Memory(), NOW)[0]  # type: ignore[arg-type]


def test_capacity_is_predicted_from_a_card_before_any_load() -> None:
    spec = declared(slo=FAST_STREAMS)
    told = first_plan(speed_card(costs_of_engine(CPU), streams=4.0), slo=FAST_STREAMS).speeds["q8"]
    assert told.source is SpeedSource.MEASURED
    assert told.capacity_tokens_per_second == pytest.approx(true_capacity(spec, CPU, Lengths()), rel=0.01)


def test_without_a_card_nothing_is_predicted_and_nothing_is_said_of_cards() -> None:
    made = first_plan(None)
    assert made.speeds["q8"].capacity_tokens_per_second is None
    assert made.speed_cards_accurate.reason == SpeedCardReason.NO_SPEED_CARDS


def test_a_card_that_comes_after_its_variant_is_planned_from_while_nothing_was_learned() -> None:
    seen, spec = observation(pod("a", Idle(reading())), replicas=1), declared(expected=SMALL_POD)
    _, memory = plan(spec, seen, Memory(), NOW)
    with_card = replace(seen, speed_cards={"q8": speed_card(TRUTH)})
    made, memory = plan(spec, with_card, memory, NOW + 5)
    assert made.speeds["q8"].source is SpeedSource.MEASURED
    assert costs_of(memory.learned["q8"]) == TRUTH


def after_ten_minutes(factor: float) -> Plan:
    spec = declared(slo=FAST_STREAMS, expected={})
    cards = {"q8": speed_card(scaled(costs_of_engine(CPU), factor))}
    load = 4 * 0.6 * true_capacity(spec, CPU, Lengths())
    return World(spec, CPU, constant(load), replicas=4, held=True, cards=cards).run(660).ticks[-1].plan


def test_a_card_that_live_traffic_confirms_agrees() -> None:
    found = after_ten_minutes(1.0).speed_cards_accurate
    assert (found.verdict, found.reason) == (Verdict.TRUE, SpeedCardReason.AGREE)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_card_wrong_by_two_disagrees_and_both_numbers_are_told(factor: float) -> None:
    found = after_ten_minutes(factor).speed_cards_accurate
    assert (found.verdict, found.reason) == (Verdict.FALSE, SpeedCardReason.DISAGREES)
    assert found.message.startswith("q8: with ")
    assert found.message.count("tokens/s") == 1
    assert "live traffic" in found.message


def test_a_card_is_not_judged_before_enough_work_was_seen() -> None:
    found = first_plan(speed_card(TRUTH)).speed_cards_accurate
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, SpeedCardReason.NOT_COMPARED)


LIVE = replace(from_card(speed_card(TRUTH)), observed_seconds=3600.0, slots=4.0)


def deviations(factor: float) -> float:
    """Return by how many deviations a card is off whose every cost is so many times what was learned."""
    found = compare("q8", speed_card(scaled(TRUTH, factor)), LIVE, Shape(12, 32))
    assert found is not None
    return found.deviations


def test_a_card_just_beyond_its_errors_is_not_told_to_and_fro() -> None:
    """Found wrong beyond two deviations, and right again only within one."""
    off = next(factor for factor in (1.0 + n / 100 for n in range(200)) if 1.2 < deviations(factor) < 1.8)
    seen = replace(observation(pod("a", Idle(reading()))), speed_cards={"q8": speed_card(scaled(TRUTH, off))})
    for before in (frozenset[str](), frozenset({"q8"})):
        _, after = plan(declared(expected={}), seen, Memory(learned={"q8": LIVE}, disagreeing_cards=before), NOW)
        assert after.disagreeing_cards == before


def test_the_card_of_a_model_that_sleeps_is_one_all_the_same() -> None:
    spec = declared(scaleToZeroAfterSeconds=120, wake={"metricName": "asked"})
    seen = replace(observation(pod("a", Idle(reading()))), speed_cards={"q8": speed_card(TRUTH)}, wake=Wake.SILENT)
    made, _ = watch(spec, seen, 120)
    assert (made.reason, made.speed_cards_accurate.reason) == (DecisionReason.ASLEEP, SpeedCardReason.NOT_COMPARED)


def test_the_card_of_a_variant_that_may_not_run_is_one_all_the_same() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm"}
    variants = [{"name": "today", "engine": None, "scaleTargetRef": reference, "metrics": "VLLM", "maxReplicas": 0}]
    seen = observation(replicas={"today": 3}, variants=("today",))
    made, _ = plan(declared(variants=variants), replace(seen, speed_cards={"today": speed_card(TRUTH)}), Memory(), NOW)
    assert made.speed_cards_accurate.reason == SpeedCardReason.NOT_COMPARED
