import pytest
from tests.replay.policies.views import fleet, made, pod, speeds, steady, view

from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.policies.wva_throughput import Learned, Reading, Shape, ThroughputAnalyzer
from tokenpace.replay.truth import VariantTruth
from tokenpace.replay.view import PodView

SHAPE = Shape(200, 100)
"""Holds 250 tokens on average: 10,000 tokens of memory hold 40 of it."""
TRUE_SPEEDS = speeds(step_seconds=(0.05,) * 40, kv_tokens=10_000)


def analyzer() -> ThroughputAnalyzer:
    truth = VariantTruth(speeds=TRUE_SPEEDS, startup_seconds=lambda _: 60.0)
    return ThroughputAnalyzer({"full": TRUE_SPEEDS}, {"full": truth}, 10.0)


def reading(share: float, seconds: float, *, shape: Shape = SHAPE, generated: float = 0.0) -> Reading:
    return Reading(share, seconds, shape, 1.0, generated)


def running(share: float, latency: float, *, waiting: int = 0) -> PodView:
    """A pod that ends two requests of the shape a second, with so much between two tokens of a stream."""
    rates = {
        "admitted": 2.0,
        "first_tokens": 2.0,
        "ended": 2.0,
        "ended_prompt_tokens": 400.0,
        "ended_generated_tokens": 200.0,
        "generated_tokens": 200.0,
        "stream_seconds": 198.0 * latency,
    }
    return pod("a", *steady(60, rates=rates, kv_share=share, waiting=waiting))


def learned_from(*readings: Reading) -> Learned:
    learned = Learned()
    for number, one in enumerate(readings):
        learned.observe(15.0 * number, one.shape, [one])
    return learned


RISING = [reading(0.2 + 0.05 * number, 0.010 + 0.04 * (0.2 + 0.05 * number)) for number in range(10)]
"""Ten observations on the line 10 ms + 40 ms * share."""


def test_latency_is_a_line_over_memory() -> None:
    line = learned_from(*RISING).line([])
    assert line == pytest.approx((0.040, 0.010))


def test_too_few_observations_give_a_line_through_the_default_base() -> None:
    line = Learned().line([reading(0.5, 0.026)])
    assert line == pytest.approx((0.040, 0.006))  # (26 - 6) ms / 0.5


def test_the_fitted_base_outlives_a_change_of_shape() -> None:
    learned = learned_from(*RISING)
    learned.line([])
    learned.observe(200, Shape(400, 100), [])
    assert learned.line([]) is None
    assert learned.line([reading(0.5, 0.035)]) == pytest.approx((0.050, 0.010))


def test_a_line_that_gives_other_tokens_than_seen_is_forgotten_at_the_third_time() -> None:
    learned = learned_from(*RISING)
    line = learned.line([])
    assert line is not None
    off = [reading(0.5, 0.030, generated=500)]  # 0.5 * 40 streams / 30 ms = 667 tokens/s
    for expected in (10, 10, 0):
        learned.check(line, 40, off)
        assert len(learned.observations) == expected


def test_observations_count_for_half_an_hour() -> None:
    learned = learned_from(*RISING)
    learned.observe(15.0 * 9 + 1800, SHAPE, [])
    assert len(learned.observations) == 1


def test_capacity_is_the_speed_at_85_percent_of_memory() -> None:
    found = analyzer()(view(60, running(0.5, 0.026)))
    assert found is not None
    # 6 ms + 40 ms * 0.85 = 40 ms between tokens of 0.85 * 40 streams.
    assert found.capacity["full"] == pytest.approx(34 / 0.040)
    assert found.demand == pytest.approx(200)  # two arrivals a second, 100 tokens each


def test_a_queue_is_demand_that_must_be_worked_off() -> None:
    found = analyzer()(view(60, running(0.5, 0.026, waiting=8)))
    assert found is not None
    assert found.demand == pytest.approx(200 + 8 / (2 * 0.040))


def test_without_metrics_the_fleet_holds() -> None:
    assert analyzer()(view(60, pod("a"), lost=True)) is None
    policy = made(POLICIES["wva-throughput"], fleet())
    assert policy.decide(view(60, pod("a"), pod("b"), lost=True)) == {"full": 2}
