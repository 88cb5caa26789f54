"""The balance against queues solved exactly, state by state."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.simulated_pods import CPU, GPU, Engine, Lengths, SimulatedPod

from tokenpace.planning.balance import (
    Costs,
    Shape,
    Targets,
    capacity,
    late_share,
    lone_stream_seconds,
    pod_load,
    stream_quantile_seconds,
)

SMALL = Costs(0.001, 1 / 17, 0.006)
LARGE = Costs(0.029, 0.00026, 0.00011)
NO_TARGET = Targets(
    stream_seconds_per_token=None,
    stream_deviations=0.0,
    first_token_seconds=None,
    late_share=1.0,
    mean_wait_seconds=math.inf,
)


def targets(**changes: float) -> Targets:
    return Targets(**{**{name: getattr(NO_TARGET, name) for name in Targets.__slots__}, **changes})


def exact_equilibrium(step: float, token: float, slots: int, tokens_per_second: float) -> tuple[float, float, float]:
    """Solve the birth and death process: mean streams, seconds per token, and the time in which all slots are taken.

    Work leaves at rate n/(a + b·n) tokens/s while n ≤ K streams run, at that of K above.
    """
    weights = [1.0]
    for requests in range(1, 20_000):
        streams = min(requests, slots)
        weights.append(weights[-1] * tokens_per_second * (step + token * streams) / streams)
        if weights[-1] < 1e-12 * max(weights):
            break
    total = sum(weights)
    mean = sum(min(requests, slots) * weight for requests, weight in enumerate(weights)) / total
    return mean, mean / tokens_per_second, sum(weights[slots:]) / total


@pytest.mark.parametrize("slots", [4, 6, 16])
@pytest.mark.parametrize(("step", "token"), [(0.001, 0.06), (0.03, 0.03), (0.2, 0.002)])
@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8, 0.9])
def test_time_per_token_is_that_of_the_exact_queue(step: float, token: float, slots: int, utilisation: float) -> None:
    tokens_per_second = utilisation * slots / (step + token * slots)
    streams, seconds_per_token, full = exact_equilibrium(step, token, slots, tokens_per_second)
    load = pod_load(Costs(step, token, 0.0), Shape(1.0, 32.0), streams, slots)
    assert load.seconds_per_token == pytest.approx(seconds_per_token, rel=0.03)
    assert load.full_share > full - 0.07


@given(st.floats(1e-4, 0.1), st.floats(1e-4, 0.1), st.floats(0.05, 0.9))
def test_without_slots_streams_are_negative_binomial(step: float, token: float, utilisation: float) -> None:
    tokens_per_second = utilisation / token
    mean = (step + token) * tokens_per_second / (1 - token * tokens_per_second)
    load = pod_load(Costs(step, token, 0.0), Shape(1.0, 256.0), mean, slots=None)
    assert load.tokens_per_second == pytest.approx(tokens_per_second)
    assert load.spread == pytest.approx(1 / (1 - utilisation))


@pytest.mark.parametrize(("engine", "lengths"), [(CPU, Lengths()), (GPU, Lengths(512, 256))])
def test_time_per_token_is_that_of_simulated_requests(engine: Engine, lengths: Lengths) -> None:
    costs = SMALL if engine is CPU else LARGE
    shape = Shape(lengths.prompt, lengths.output)
    chance, simulated = random.Random(1), SimulatedPod("pod", engine, created_at=0.0, ready_at=0.0)
    rate = 0.35 if engine is CPU else 1.6
    arrivals = itertools.accumulate(itertools.repeat(rate), lambda at, rate: at + chance.expovariate(rate))
    seconds, streams = 20_000, 0.0
    arrival = next(arrivals)
    for second in range(seconds):
        while arrival < second:
            simulated.submit(arrival, lengths.prompt, lengths.output)
            arrival = next(arrivals)
        simulated.advance(second)
        streams += len(simulated.streams) / seconds
    load = pod_load(costs, shape, streams, engine.slots)
    assert load.seconds_per_token == pytest.approx(simulated.ended_seconds / simulated.ended_tokens, rel=0.03)
    assert load.tokens_per_second == pytest.approx(simulated.tokens / seconds, rel=0.03)


def test_a_pod_whose_steps_cost_nothing_is_not_promised_all_its_throughput() -> None:
    # The rule without chance, C = (1 - a·s)/b, would promise 17 tokens/s, at which the queue has no end.
    load = capacity(
        Costs(1e-9, 1 / 17, 0.0), Shape(12, 32), targets(stream_seconds_per_token=1 / 6), slots=None, most_streams=9
    )
    assert load is not None
    assert load.tokens_per_second == pytest.approx(17 - 6, rel=1e-3)


def test_a_large_pod_has_nearly_the_capacity_of_streams_that_never_leave() -> None:
    shape = Shape(0.0, 256.0)
    load = capacity(LARGE, shape, targets(stream_seconds_per_token=0.04), slots=None, most_streams=64)
    assert load is not None
    assert load.tokens_per_second == pytest.approx((1 - LARGE.step_seconds / 0.04) / LARGE.token_seconds, rel=0.03)


def test_a_percentile_costs_capacity() -> None:
    shape = Shape(512.0, 256.0)
    loads = [
        capacity(
            LARGE,
            shape,
            targets(stream_seconds_per_token=0.04, stream_deviations=deviations),
            slots=None,
            most_streams=64,
        )
        for deviations in (0.0, 1.645)
    ]
    assert all(loads)
    median, tail = (load.tokens_per_second for load in loads if load)
    assert tail == pytest.approx(0.71 * median, rel=0.05)


def test_least_request_balancing_pools_the_spread_of_all_pods() -> None:
    tail = targets(stream_seconds_per_token=0.04, stream_deviations=1.645)
    alone, pooled = (
        capacity(LARGE, Shape(512.0, 256.0), tail, slots=None, most_streams=64, pool=pods) for pods in (1, 8)
    )
    assert alone is not None
    assert pooled is not None
    assert pooled.tokens_per_second > 1.1 * alone.tokens_per_second


def test_a_stream_speed_beyond_that_of_a_lone_stream_is_unattainable() -> None:
    impossible = targets(stream_seconds_per_token=0.99 * lone_stream_seconds(SMALL))
    assert capacity(SMALL, Shape(12, 32), impossible, slots=4, most_streams=4) is None
    assert impossible.attainable(SMALL, Shape(12, 32)).stream_seconds_per_token is None


def test_a_first_token_sooner_than_a_lone_prompt_is_unattainable() -> None:
    impossible = targets(first_token_seconds=0.1, late_share=0.05)
    assert capacity(SMALL, Shape(12, 32), impossible, slots=4, most_streams=4) is None


def test_capacity_goes_no_further_than_half_as_many_streams_again_as_were_seen() -> None:
    load = capacity(LARGE, Shape(0.0, 256.0), NO_TARGET, slots=None, most_streams=8)
    assert load is not None
    assert load.streams == pytest.approx(12)


def test_without_any_latency_target_the_queue_bounds_capacity() -> None:
    load = capacity(SMALL, Shape(12, 32), targets(mean_wait_seconds=5.0), slots=4, most_streams=4)
    assert load is not None
    assert load.mean_wait_seconds == pytest.approx(5.0, rel=1e-3)
    plateau = 1 / (SMALL.token_seconds + SMALL.prompt_token_seconds * 12 / 32 + SMALL.step_seconds / 4)
    assert 0.7 * plateau < load.tokens_per_second < 0.9 * plateau


@given(
    st.floats(1e-9, 0.2),
    st.floats(1e-6, 0.2),
    st.floats(1e-9, 0.02),
    st.floats(0.01, 1.0),
    st.floats(0.0, 2.3),
    st.none() | st.integers(1, 64),
)
def test_what_is_promised_holds_at_capacity(  # noqa: PLR0917 (hypothesis hands them over by position)
    step: float, token: float, prompt: float, target: float, deviations: float, slots: int | None
) -> None:
    costs, shape = Costs(step, token, prompt), Shape(64.0, 64.0)
    promised = targets(stream_seconds_per_token=target, stream_deviations=deviations, mean_wait_seconds=10.0)
    load = capacity(costs, shape, promised, slots=slots, most_streams=32)
    if load is not None:
        assert stream_quantile_seconds(costs, shape, load, deviations, slots) <= target * (1 + 1e-9)
        assert load.mean_wait_seconds <= 10.0 * (1 + 1e-9)


@given(st.floats(1e-3, 20.0), st.floats(1e-3, 20.0), st.floats(0.05, 3.9))
def test_fewer_first_tokens_are_late_the_later_they_may_come(sooner: float, later: float, streams: float) -> None:
    load = pod_load(SMALL, Shape(12, 32), streams, 4)
    shares = [late_share(SMALL, Shape(12, 32), load, seconds) for seconds in sorted((sooner, later))]
    assert 0.0 <= shares[1] <= shares[0] <= 1.0
