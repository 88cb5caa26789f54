import math
import random
import statistics
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import NOW, declared, full_reading, observation, pod, reading, serving
from tests.planning.simulation import steps

from tokenpace.api.slo import Traffic
from tokenpace.planning.balance import Costs, Shape, pod_load
from tokenpace.planning.demand import (
    HISTORY_MOMENTS,
    HISTORY_SECONDS,
    Moment,
    Rate,
    TrafficSums,
    backlog_requests,
    offered_tokens_per_second,
    rate,
    with_moment,
)
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Pod
from tokenpace.planning.plan import plan

SHAPE = Shape(12, 32)
WINDOW = 30.0


def moment(at: float, tokens_per_second: float, **other: float) -> Moment:
    values = {"demand_tokens_per_second": 0.0, "window_seconds": WINDOW, "saturated": False, **other}
    return Moment(at_seconds=at, tokens_per_second=tokens_per_second, **values)  # type: ignore[arg-type]


def history(*levels: tuple[float, float], tick: float = 5.0) -> list[Moment]:
    """Moments for so many seconds at each level, without noise; windows average over a step."""
    times = [tokens for seconds, tokens in levels for _ in range(int(seconds))]
    return [
        moment(float(at), sum(times[max(0, at - int(WINDOW)) : at]) / min(at, WINDOW))
        for at in range(int(tick), len(times) + 1, int(tick))
    ]


def rate_of(moments: list[Moment]) -> Rate:
    found = rate(moments, SHAPE, since_seconds=-math.inf)
    assert found is not None
    return found


def test_nothing_seen_is_no_rate_and_not_zero() -> None:
    assert rate([], SHAPE, since_seconds=0.0) is None


def test_the_longer_a_rate_stays_the_better_it_is_known() -> None:
    short, long = rate_of(history((60, 60))), rate_of(history((600, 60)))
    assert long.high - long.low < (short.high - short.low) / 2.5
    assert long.low < 60 < long.high


def windows_of(spread: float) -> list[Moment]:
    """Windows that lie so far above and below 16 tokens/s in turn."""
    return [moment(WINDOW * number, 16.0 + spread * (-1) ** number) for number in range(1, 21)]


def test_a_rate_is_known_the_better_the_less_its_windows_differ() -> None:
    """By chance those of equal lengths differ by 4 tokens/s and those of exponential ones by 6."""
    errors = [found.mean - found.low for found in map(rate_of, map(windows_of, (2.0, 4.0, 6.0)))]
    assert errors[0] < 0.85 * errors[1] < 0.85 * errors[2]


def test_one_step_among_the_windows_is_no_chance() -> None:
    quiet, stepped = history((600, 16)), history((300, 8), (300, 16))
    assert rate_of(stepped).low > 0.75 * rate_of(quiet).low


def test_requests_that_are_counted_are_known_better_than_their_tokens() -> None:
    moments = history((60, 16))
    counted = rate(moments, SHAPE, since_seconds=-math.inf, counted=True)
    assert counted is not None
    assert counted.low > rate_of(moments).low


def test_a_large_step_is_known_after_one_window() -> None:
    stepped = rate_of(history((600, 20), (WINDOW, 200)))
    assert stepped.mean == pytest.approx(200, rel=0.35)
    assert stepped.low > 60


def test_after_a_fall_the_past_is_forgotten() -> None:
    fallen = rate_of(history((600, 200), (60, 10)))
    assert fallen.high < 40


def test_before_a_gap_nothing_is_looked_at() -> None:
    moments = history((300, 200), (300, 100))
    found = rate(moments, SHAPE, since_seconds=450.0)
    assert found is not None
    assert found.counted_seconds <= 150 + WINDOW


def test_a_saturated_rate_is_only_a_lower_bound() -> None:
    saturated = [moment(at, 60.0, saturated=True) for at in range(0, 300, 5)]
    assert rate_of(saturated).high == math.inf


def test_the_true_rate_lies_within_the_bounds_nearly_always() -> None:
    chance = random.Random(5)
    true_rate, tick, hits, tries = 60.0, 5.0, 0, 300
    for _ in range(tries):
        counts = [sum(chance.random() < true_rate / 32 / 100 for _ in range(500)) * 32 / tick for _ in range(66)]
        moments = [moment(tick * at, sum(counts[at - 6 : at]) / 6) for at in range(6, 66)]
        found = rate_of(moments)
        hits += found.low <= true_rate <= found.high
    assert hits / tries > 0.93


REQUEST_TOKENS = 8


def arrivals(requests_per_second: Callable[[float], float], until: float, seed: int) -> tuple[Moment, ...]:
    """Moments of random arrivals of short requests, as llama.cpp shows them: windows of 10 s, a tick each 2 s."""
    chance, tick, window = random.Random(seed), 2, 10
    fastest = max(requests_per_second(at) for at in range(int(until)))
    times, at = [], 0.0
    while at < until:
        at += chance.expovariate(fastest)
        if chance.random() < requests_per_second(at) / fastest:
            times.append(at)
    kept: tuple[Moment, ...] = ()
    for end in range(window, int(until) + 1, tick):
        counted = bisect_left(times, end) - bisect_left(times, end - window)
        rate_of_window = counted * REQUEST_TOKENS / window
        kept = with_moment(kept, moment(end, rate_of_window, window_seconds=float(window)), HISTORY_SECONDS, tick)
    return kept


def median_ratio(requests_per_second: Callable[[float], float], at: float) -> float:
    """Median over seeds of the estimated rate by the true one."""
    found = [rate(arrivals(requests_per_second, at, seed), Shape(4, REQUEST_TOKENS), 0.0) for seed in range(60)]
    estimated = statistics.median(one.mean for one in found if one is not None)
    return estimated / (REQUEST_TOKENS * requests_per_second(at))


@pytest.mark.parametrize("after_seconds", [30, 40, 60, 120])
@pytest.mark.parametrize(("before", "after"), [(2, 4), (1, 3), (1, 6)])
def test_a_step_of_random_arrivals_is_known_without_bias_after_thirty_seconds(
    before: float, after: float, after_seconds: float
) -> None:
    stepped = steps((0.0, before), (400.0, after))
    assert median_ratio(stepped, 400 + after_seconds) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("after_seconds", "error"), [(60, 0.25), (80, 0.2), (100, 0.15), (130, 0.1)])
def test_a_ramp_of_random_arrivals_is_followed(after_seconds: float, error: float) -> None:
    def ramp(at: float) -> float:
        return 1.0 + 3.0 * min(max(at - 400.0, 0.0), 100.0) / 100.0

    assert median_ratio(ramp, 400 + after_seconds) == pytest.approx(1.0, abs=error)


def test_windows_that_overlap_are_counted_once() -> None:
    often = [moment(float(at), 60.0, window_seconds=30.0) for at in range(30, 301)]
    seldom = [moment(float(at), 60.0, window_seconds=30.0) for at in range(30, 301, 30)]
    assert rate_of(often) == rate_of(seldom)


def test_admissions_are_demand_where_the_engine_counts_them() -> None:
    assert offered_tokens_per_second(reading(10.0, requests_per_second=0.5), SHAPE, None) == 16.0


def test_a_growing_queue_is_demand_where_the_engine_counts_nothing() -> None:
    growing = reading(16.0, running=4.0, waiting=6.0)
    assert offered_tokens_per_second(growing, SHAPE, requests_before=4.0) == pytest.approx(16 + 6 / 30 * 32)


def test_a_draining_queue_is_not_demand() -> None:
    draining = reading(16.0, running=4.0, waiting=0.0)
    assert offered_tokens_per_second(draining, SHAPE, requests_before=10.0) == pytest.approx(16 - 6 / 30 * 32)


def test_a_pod_seen_for_the_first_time_has_no_growth() -> None:
    assert offered_tokens_per_second(reading(16.0, running=4.0, waiting=6.0), SHAPE, None) == 16.0


def test_chance_at_capacity_is_no_backlog() -> None:
    load = pod_load(Costs(0.001, 1 / 17, 0.006), SHAPE, 2.6, 4)
    usual = reading(13.5, running=4.0, waiting=load.requests)
    assert backlog_requests([(usual, load)] * 6) == 0.0


def test_what_chance_does_not_explain_is_backlog() -> None:
    load = pod_load(Costs(0.001, 1 / 17, 0.006), SHAPE, 2.6, 4)
    queue = reading(16.0, running=4.0, waiting=50.0)
    assert 20 < backlog_requests([(queue, load)]) < 54


def test_what_waits_at_a_pod_of_unknown_capacity_is_backlog() -> None:
    assert backlog_requests([(reading(16.0, running=4.0, waiting=3.0), None)]) == 3.0


def test_what_pods_that_start_will_serve_is_no_backlog_for_others() -> None:
    def backlog(age_seconds: float) -> float:
        pods = (pod("full", full_reading(waiting=40.0)), pod("starting", created=NOW - age_seconds, ready=False))
        decided, _ = plan(declared(), observation(*pods), Memory(), NOW)
        return decided.numbers["backlog_tokens_per_second"]

    assert backlog(1.0) > backlog(60.0) > 0


def test_the_shape_starts_as_declared_and_becomes_what_is_measured() -> None:
    declared = Traffic(prompt_tokens=512, generated_tokens=256)
    assert TrafficSums().shape(declared) == Shape(512.0, 256.0)
    sums = TrafficSums()
    busy = reading(100.0, prompt_tokens_per_second=1000.0, requests_per_second=1.0, tokens_per_completion=100.0)
    for _ in range(200):
        sums = sums.after([busy], 10.0)
    shape = sums.shape(declared)
    assert shape.generated_tokens == pytest.approx(100, rel=0.1)
    assert shape.prompt_tokens == pytest.approx(1000, rel=0.15)


def test_a_few_short_requests_do_not_bias_the_length() -> None:
    declared = Traffic(prompt_tokens=512, generated_tokens=256)
    short = reading(100.0, requests_per_second=0.5, tokens_per_completion=20.0)
    assert TrafficSums().after([short], 10.0).shape(declared).generated_tokens > 200


def test_an_engine_that_counts_nothing_keeps_the_declared_length() -> None:
    declared = Traffic(prompt_tokens=12, generated_tokens=32)
    assert TrafficSums().after([reading(16.0)] * 3, 10.0).shape(declared).generated_tokens == 32.0


@given(
    st.lists(st.tuples(st.floats(0.1, 100.0), st.floats(0.0, 1e6)), min_size=1, max_size=400),
    st.floats(10.0, 3600.0),
    st.floats(0.5, 60.0),
)
def test_the_history_is_bounded(steps: list[tuple[float, float]], keep: float, tick: float) -> None:
    kept: tuple[Moment, ...] = ()
    at = 0.0
    for elapsed, tokens in steps:
        at += elapsed
        kept = with_moment(kept, moment(at, tokens), keep, tick)
    assert len(kept) <= 2 * HISTORY_MOMENTS + 2
    assert kept[-1].at_seconds == at
    assert all(one.at_seconds >= at - keep for one in kept)


def test_a_coarse_history_keeps_the_mean_rate_and_the_largest_need() -> None:
    kept: tuple[Moment, ...] = ()
    for at in range(3600):
        kept = with_moment(kept, moment(at, at % 2 * 100.0, demand_tokens_per_second=float(at == 1800)), 3600.0, 1.0)
    assert sum(one.tokens_per_second * one.ticks for one in kept) / sum(one.ticks for one in kept) == pytest.approx(50)
    assert max(one.demand_tokens_per_second for one in kept) == 1.0


# --- Pods that come and go


def asked_of(pods: tuple[Pod, ...], memory: Memory, now: float) -> tuple[float, Memory]:
    """Return the rate of arrivals in the latest window."""
    _, memory = plan(declared(), observation(*pods), memory, now)
    return memory.history[-1].tokens_per_second, memory


def test_demand_does_not_go_with_the_pods_that_go() -> None:
    _, memory = asked_of(serving(4, reading(9.0)), Memory(), NOW)
    rate_now, memory = asked_of(serving(2, reading(9.0)), memory, NOW + 5)
    assert rate_now == pytest.approx(4 * 9.0)
    # Two pods are asked for all of it by now, and of those that have left only half of the window is counted.
    rate_now, memory = asked_of(serving(2, reading(13.5, running=1.125)), memory, NOW + 20)
    assert rate_now == pytest.approx(4 * 9.0)


def test_demand_does_not_come_with_the_pods_that_come() -> None:
    new = pod("new", reading(18.0), created=NOW - 20, starts_for=5.0)
    rate_now, _ = asked_of((*serving(1, reading(27.0)), new), Memory(), NOW)
    assert rate_now == pytest.approx(36.0)
