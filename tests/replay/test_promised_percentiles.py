"""Whether as many streams are as fast as was promised when pods are loaded to what they are planned for."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from tokenpace.replay.generators import LogNormalLengths, drawn, steady
from tokenpace.replay.known import know, shape_of
from tokenpace.replay.llama_fleet import llama_fleet
from tokenpace.replay.policies.policy import Unchanging
from tokenpace.replay.scoring import keeps_pace
from tokenpace.replay.simulate import simulate
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Scenario

PODS = 4
SETTLED_SECONDS = 120.0


def fast_share(precision: str, lengths: LogNormalLengths, percentile: int) -> float:
    """The share of streams of 25 tokens/s, on four pods that are loaded to their capacity."""
    fleet = llama_fleet(LLAMA2_70B_ON_4_H100, "calibration", variants=(precision,), replicas=PODS)
    stream = fleet.spec.slo.stream
    assert stream is not None
    stream = stream.model_copy(update={"percentile": percentile})
    slo = fleet.spec.slo.model_copy(update={"stream": stream, "time_to_first_token": None})
    fleet = replace(fleet, spec=fleet.spec.model_copy(update={"slo": slo}))
    traffic: Callable[..., Traffic] = partial(drawn, name="calibration", lengths=lengths, seconds=2400.0)
    shape = shape_of(traffic(0, curve=steady(5.0)).requests, fleet.spec)
    load = know(fleet, shape, {precision: 0.0}).variants[precision].planned_load(1)
    assert load is not None
    arrivals = partial(traffic, curve=steady(PODS * load.requests_per_second))
    scenario = Scenario(name="calibration", about="", fleet=fleet, traffic=arrivals)
    outcome = simulate(scenario, Unchanging(), seed=0, name="unchanging", setting=1.0)
    judged = [keeps_pace(one, slo) for one in outcome.requests if one.at_seconds > SETTLED_SECONDS]
    return sum(judged) / len(judged)


@pytest.mark.parametrize("precision", ["bf16", "fp8"])
@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param(LogNormalLengths(prompt_mean=1155.0, generated_mean=211.0), id="chat"),
        pytest.param(LogNormalLengths(prompt_mean=2000.0, generated_mean=100.0), id="long prompts"),
    ],
)
def test_streams_are_as_fast_as_promised_to_nine_of_ten(precision: str, lengths: LogNormalLengths) -> None:
    """To three points. With answers of one length taken for granted it is 84 of 100 in FP8."""
    assert fast_share(precision, lengths, 90) >= 0.87


def test_streams_are_as_fast_as_promised_to_three_of_four() -> None:
    assert fast_share("bf16", LogNormalLengths(prompt_mean=1155.0, generated_mean=211.0), 75) >= 0.75
