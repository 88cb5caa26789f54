import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import HASH, LARGE_POD, SMALL_POD, full_reading, reading

from tokenpace.api.variant import Expected
from tokenpace.planning.balance import Costs
from tokenpace.planning.belief import OPEN_DEVIATION, Belief
from tokenpace.planning.learning import Learned, learn
from tokenpace.planning.observation import Reading
from tokenpace.planning.prior import declared_belief

TRUTH = Costs(0.029, 0.00026, 0.00011)


def expected(values: dict[str, int]) -> Expected:
    return Expected.model_validate(values)


def costs_of(learned: Learned) -> Costs:
    assert learned.costs is not None
    return learned.costs


def steady(streams: float, ratio: float = 2.0, *, timed: bool = True, truth: Costs = TRUTH) -> Reading:
    """Return what an engine shows in equilibrium with so many streams."""
    seconds = truth.step_seconds + truth.token_seconds * (streams + 1) + truth.prompt_token_seconds * ratio * streams
    generated = streams / seconds
    return reading(
        generated,
        running=streams + truth.prompt_token_seconds * ratio * generated,
        slots=None,
        prompt_tokens_per_second=ratio * generated,
        seconds_per_prompt_token=truth.prompt_token_seconds if timed else None,
        seconds_per_output_token=seconds if timed else None,
    )


def taught(learned: Learned, readings: list[Reading], seconds: float = 1200.0, tick: float = 10.0) -> Learned:
    for number in range(int(seconds / tick)):
        learned = learn(learned, [readings[number % len(readings)]], 256.0, tick)
    return learned


def seconds_per_token(costs: Costs, streams: float, ratio: float = 2.0) -> float:
    return costs.step_seconds + costs.token_seconds * (streams + 1) + costs.prompt_token_seconds * ratio * streams


def test_both_declared_speeds_are_believed() -> None:
    belief = declared_belief(expected(LARGE_POD))
    assert belief is not None
    assert belief.costs.step_seconds + belief.costs.token_seconds == pytest.approx(1 / 34)
    assert belief.costs.step_seconds + 32 * belief.costs.token_seconds == pytest.approx(32 / 860)
    assert belief.costs.prompt_token_seconds == pytest.approx(1 / 9000)


def test_a_pod_that_is_no_slower_with_more_streams_spends_nothing_on_steps() -> None:
    belief = declared_belief(expected(SMALL_POD))
    assert belief is not None
    assert belief.costs.step_seconds < 0.02 * belief.costs.token_seconds


@pytest.mark.parametrize(
    "values", [{"streamTokensPerSecond": 34}, {"generationTokensPerSecond": 860}, {"generationTokensPerSecond": 8}]
)
def test_a_single_declared_speed_is_enough_to_start_with(values: dict[str, int]) -> None:
    assert declared_belief(expected(values)) is not None


def test_contradictory_speeds_leave_costs_positive() -> None:
    belief = declared_belief(expected({"streamTokensPerSecond": 10, "generationTokensPerSecond": 5000, "atStreams": 4}))
    assert belief is not None
    assert min(belief.costs.step_seconds, belief.costs.token_seconds) > 0


def test_nothing_declared_is_nothing_believed() -> None:
    assert Learned.expected(HASH, Expected()).costs is None


@pytest.mark.parametrize("timed", [True, False])
def test_two_loads_tell_steps_from_tokens(timed: bool) -> None:
    wrong = {"streamTokensPerSecond": 20, "generationTokensPerSecond": 400, "atStreams": 32}
    learned = Learned.expected(HASH, expected(wrong | {"prefillTokensPerSecond": 9000}))
    low, high = steady(3.0, timed=timed), steady(30.0, timed=timed)
    for _ in range(12):
        learned = taught(taught(learned, [low], 600), [high], 600)
    for streams in (2.0, 30.0):
        assert seconds_per_token(costs_of(learned), streams) == pytest.approx(
            seconds_per_token(TRUTH, streams), rel=0.05
        )


def test_one_load_keeps_the_declared_division_into_steps_and_tokens() -> None:
    declared = Learned.expected(HASH, expected(LARGE_POD))
    learned = taught(declared, [steady(10.0)], 7200)
    before, after = costs_of(declared), costs_of(learned)
    assert after.token_seconds / before.token_seconds == pytest.approx(
        after.step_seconds / before.step_seconds, rel=0.15
    )


def test_generated_and_prompt_tokens_that_always_come_together_do_no_harm() -> None:
    # No engine clock and a constant r: b and c cannot be told apart, and need not be.
    learned = taught(Learned.expected(HASH, expected(LARGE_POD)), [steady(12.0, timed=False)], 7200)
    assert seconds_per_token(costs_of(learned), 12.0) == pytest.approx(seconds_per_token(TRUTH, 12.0), rel=0.03)
    prior = declared_belief(expected(LARGE_POD))
    assert prior is not None
    assert 0.5 < costs_of(learned).prompt_token_seconds / prior.costs.prompt_token_seconds < 2


def by_chance(chance: random.Random, streams: float = 6.0, ratio: float = 5.5) -> Reading:
    """Return a window of an engine that times no prompts: by chance it is busier than others, and has more prompts."""
    streams *= chance.uniform(0.6, 1.4)
    prompts = ratio * streams / 0.035 * chance.uniform(0.7, 1.3)
    seconds = (TRUTH.step_seconds + TRUTH.token_seconds * streams) / (1.0 - TRUTH.prompt_token_seconds * prompts)
    return reading(
        streams / seconds,
        running=streams + TRUTH.prompt_token_seconds * prompts,
        slots=None,
        window_seconds=60.0,
        prompt_tokens_per_second=prompts,
        seconds_per_output_token=seconds,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_what_chance_gives_to_one_window_tells_prompts_from_tokens(factor: float, seed: int) -> None:
    """Every declared speed is wrong, load is constant, and nothing but the stream's own clock is read."""
    chance = random.Random(seed)
    wrong = {name: round(speed * factor) for name, speed in LARGE_POD.items() if name != "atStreams"}
    learned = Learned.expected(HASH, expected({**wrong, "atStreams": 32}))
    for _ in range(60):  # ten minutes
        learned = learn(learned, [by_chance(chance) for _ in range(7)], 211.0, 10.0)
    assert costs_of(learned).prompt_token_seconds == pytest.approx(TRUTH.prompt_token_seconds, rel=0.1)
    assert costs_of(learned).step_seconds == pytest.approx(TRUTH.step_seconds, rel=0.1)


def test_the_engines_own_prefill_times_are_the_cost_of_a_prompt_token() -> None:
    learned = taught(Learned.expected(HASH, expected(LARGE_POD)), [steady(5.0)], 300)
    assert costs_of(learned).prompt_token_seconds == pytest.approx(TRUTH.prompt_token_seconds, rel=0.02)


def test_a_full_pod_with_a_queue_outweighs_the_model() -> None:
    twice_too_fast = {"streamTokensPerSecond": 34, "generationTokensPerSecond": 34, "atStreams": 4}
    learned = Learned.expected(HASH, expected(twice_too_fast | {"prefillTokensPerSecond": 160}))
    for _ in range(6):  # one window
        learned = learn(learned, [full_reading()], 32.0, 5.0)
    assert learned.saturated
    costs = costs_of(learned)
    full = costs.step_seconds + 4 * (costs.token_seconds + costs.prompt_token_seconds * 12 / 32)
    assert 4 / full == pytest.approx(16, rel=0.08)


def test_an_engine_that_gets_slower_is_followed() -> None:
    slower = Costs(1.3 * TRUTH.step_seconds, 1.3 * TRUTH.token_seconds, 1.3 * TRUTH.prompt_token_seconds)
    learned = taught(Learned.expected(HASH, expected(LARGE_POD)), [steady(12.0)], 7200)
    learned = taught(learned, [steady(12.0, truth=slower)], 1800)
    assert seconds_per_token(costs_of(learned), 12.0) == pytest.approx(seconds_per_token(slower, 12.0), rel=0.05)


@pytest.mark.parametrize(("before", "after"), [(28.0, 3.0), (3.0, 28.0)])
def test_a_window_that_holds_two_loads_teaches_nothing(before: float, after: float) -> None:
    """Its times are those of the busier load, and its streams the mean of both."""
    learned = taught(Learned.expected(HASH, expected(LARGE_POD)), [steady(before)], 1800)
    one, other = steady(before), steady(after)
    for seconds in range(5, 31, 5):  # of the new load, in windows of 30 s
        share = seconds / 30
        tokens = one.generated_tokens_per_second, other.generated_tokens_per_second
        generated = (1 - share) * tokens[0] + share * tokens[1]
        spent = (1 - share) * before + share * after
        mixed = replace(
            steady(spent), generated_tokens_per_second=generated, seconds_per_output_token=spent / generated
        )
        learned = learn(learned, [mixed], 256.0, 5.0)
    learned = taught(learned, [other], 60)
    for streams in (3.0, 12.0, 28.0):
        assert seconds_per_token(costs_of(learned), streams) == pytest.approx(
            seconds_per_token(TRUTH, streams), rel=0.1
        )


def test_pods_that_get_uneven_loads_do_not_seem_slow() -> None:
    """Tokens come from the busy ones, and so do their times; the mean of all pods has half of their streams."""
    uneven = [steady(24.0), steady(23.0), steady(1.0), steady(0.5)]
    learned = Learned.expected(HASH, expected(LARGE_POD))
    for _ in range(120):
        learned = learn(learned, uneven, 256.0, 10.0)
    for streams in (3.0, 12.0, 24.0):
        assert seconds_per_token(costs_of(learned), streams) == pytest.approx(
            seconds_per_token(TRUTH, streams), rel=0.05
        )


def test_idle_pods_teach_nothing() -> None:
    learned = Learned.expected(HASH, expected(SMALL_POD))
    assert costs_of(taught(learned, [reading(0.0)], 3600)) == costs_of(learned)


def test_what_was_never_measured_has_no_integers() -> None:
    assert Learned.expected(HASH, expected(SMALL_POD)).to_integers() is None


@given(
    st.floats(1e-9, 100.0),
    st.floats(1e-9, 100.0),
    st.floats(1e-9, 100.0),
    st.floats(1.0, 999_999.0),
    st.floats(1.0, 999_999.0),
)
def test_what_was_learned_survives_its_integers(
    step: float, token: float, prompt: float, seconds: float, streams: float
) -> None:
    learned = Learned(
        template_hash=HASH,
        belief=Belief.independent(Costs(step, token, prompt), (0.1, 0.1, 0.1)),
        observed_seconds=seconds,
        most_streams=streams,
    )
    integers = learned.to_integers()
    assert integers is not None
    restored = Learned.from_integers(HASH, integers)
    assert restored is not None
    assert restored.to_integers() == integers
    assert costs_of(restored).token_seconds == pytest.approx(token, abs=1e-9)


@pytest.mark.parametrize("integers", [(0, 0, 5, 10, 4), (-1, 5, 5, 10, 4), (10**15, 5, 5, 10, 4), (1, 2, 3, 0, 4)])
def test_integers_that_cannot_be_are_not_restored(integers: tuple[int, int, int, int, int]) -> None:
    assert Learned.from_integers(HASH, integers) is None


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 1.0),
            st.floats(0.0, 1.0),
            st.floats(0.0, 1.0),
            st.floats(-1e6, 1e6),
            st.floats(1e-12, 1e12),
        ),
        max_size=60,
    )
)
def test_beliefs_stay_finite_and_uncertain_whatever_is_measured(measurements: list[tuple[float, ...]]) -> None:
    belief = Belief.independent(TRUTH, (0.5, 0.5, 1.0))
    for step, token, prompt, innovation, noise in measurements:
        belief = belief.corrected(
            shares=(step, token, prompt), opened=(1.0, 1.0, 0.0), innovation=innovation, noise=noise
        )
    values = [belief.costs.step_seconds, belief.costs.token_seconds, belief.costs.prompt_token_seconds]
    assert all(math.isfinite(value) and value > 0 for value in values)
    assert all(belief.covariance[one][one] >= -1e-9 for one in range(3))
    assert all(math.isfinite(entry) for row in belief.covariance for entry in row)


def test_a_measurement_is_never_so_certain_that_the_next_one_is_ignored() -> None:
    belief = Belief.independent(TRUTH, (0.5, 0.5, 0.5))
    for _ in range(1000):
        belief = belief.corrected(shares=(0.8, 0.2, 0.0), opened=(1.0, 1.0, 0.0), innovation=0.0, noise=0.01)
    moved = belief.corrected(shares=(0.8, 0.2, 0.0), opened=(1.0, 1.0, 0.0), innovation=0.1, noise=0.01)
    gain = math.log(moved.costs.step_seconds / belief.costs.step_seconds) / 0.1
    assert gain > OPEN_DEVIATION**2 / (OPEN_DEVIATION**2 + 0.01) * 0.9
