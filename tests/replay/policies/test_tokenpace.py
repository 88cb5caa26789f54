"""The operator's planner on what the replay shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.planning.declared import LARGE_POD, declared
from tests.replay.worlds import speeds, world

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType
from tokenpace.engines.registry import ADAPTERS
from tokenpace.engines.window import Scrape as Seen
from tokenpace.engines.window import Window
from tokenpace.planning.observation import Canary, Idle, Live, Missing, Stale
from tokenpace.replay.policies.tokenpace import SIGNALS, Tokenpace, tokenpace
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet, VariantTruth
from tokenpace.replay.view import PodView, Scrape, View

NOTHING = Scrape(*([0] * len(Scrape._fields)))


def spec(engine: str = "VLLM", **slo: Any) -> LLMDeploymentSpec:
    targets = {
        "stream": {"tokensPerSecond": 20, "percentile": 90},
        "timeToFirstToken": {"milliseconds": 2000, "percentile": 95},
    }
    source = {"volume": {"claimName": "models", "path": "m.gguf" if engine == "LlamaCpp" else "m"}}
    variant = {"name": "bf16", "engine": {"type": engine}, "expected": LARGE_POD, "source": source}
    return declared(slo={**targets, **slo}, variants=[variant])


def planner(engine: str = "VLLM", *, setting: float = 1.0) -> Tokenpace:
    truth = VariantTruth(speeds=speeds(step=0.03, token=0.0003), startup_seconds=lambda _: 60.0)
    fleet = Fleet(name="made", spec=spec(engine), variants={"bf16": truth})
    return tokenpace(fleet, Traffic("none", 100.0, ()), setting)


def at_work(at: float) -> Scrape:
    """Ten streams of 20 tokens/s since the beginning, in requests of 100 tokens and 500 prompt tokens."""
    requests = int(2 * at)
    return NOTHING._replace(
        at_seconds=at,
        running=10,
        generated_tokens=200 * at,
        prompt_tokens=1000 * at,
        admitted=requests + 10,
        first_tokens=requests + 10,
        ended=requests,
        ended_generated_tokens=100.0 * requests,
        ended_prompt_tokens=500.0 * requests,
        prefill_seconds=0.1 * requests,
        stream_seconds=4.95 * requests,
        ended_seconds=5.05 * requests,
        ended_stream_seconds=4.95 * requests,
    )


def pod(scrapes: Sequence[Scrape], **other: Any) -> PodView:
    serving = PodView("bf16-1", "bf16", -700.0, -600.0, terminating=False, unschedulable=False, scrapes=scrapes)
    return replace(serving, **other)


def view(*pods: PodView, at: float = 600.0, lost: bool = False) -> View:
    return View(at_seconds=at, replicas={"bf16": len(pods)}, pods=pods, metrics_lost=lost)


def minute(until: float = 600.0) -> list[Scrape]:
    return [at_work(at) for at in range(int(until) - 590, int(until) + 1, 10)]


@pytest.mark.parametrize("engine", SIGNALS)
def test_a_pod_at_work_is_read_by_the_adapter_of_its_engine(engine: EngineType) -> None:
    sample = planner(engine)._observed(view(pod(minute()))).pods[0].sample
    assert isinstance(sample, Live)
    assert sample.reading.window_seconds == 60.0
    assert sample.reading.generated_tokens_per_second == pytest.approx(200.0)
    assert sample.reading.prompt_tokens_per_second == pytest.approx(1000.0)
    assert sample.reading.running_streams == pytest.approx(10.0, rel=0.03)  # TGI: and two prefills of 0.1 s a second
    assert sample.reading.seconds_per_output_token == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("engine", [EngineType.VLLM, EngineType.TGI])
def test_requests_are_counted_where_the_engine_counts_them(engine: EngineType) -> None:
    sample = planner(engine)._observed(view(pod(minute()))).pods[0].sample
    assert isinstance(sample, Live)
    assert sample.reading.requests_per_second == pytest.approx(2.0, rel=0.05)
    assert sample.reading.tokens_per_completion == pytest.approx(100.0)


@pytest.mark.parametrize("engine", SIGNALS)
def test_a_scrape_holds_every_signal_without_which_the_adapter_reads_nothing(engine: EngineType) -> None:
    seen = tuple(Seen(at, SIGNALS[engine](at_work(at))) for at in (0.0, 10.0))
    assert ADAPTERS[engine].read(Window(seen)) is not None


@pytest.mark.parametrize(
    ("scrapes", "kind"),
    [
        pytest.param([], Missing, id="without a scrape"),
        pytest.param([at_work(600.0)], Missing, id="with a single scrape"),
        pytest.param([at_work(545.0), at_work(550.0)], Stale, id="with old scrapes"),
        pytest.param([at_work(100.0), at_work(110.0)], Missing, id="with scrapes from before the window"),
        pytest.param([NOTHING._replace(at_seconds=at) for at in (590.0, 600.0)], Idle, id="that does nothing"),
    ],
)
def test_what_is_known_of_a_pod_is_what_the_operator_would_know(scrapes: list[Scrape], kind: type) -> None:
    assert isinstance(planner()._observed(view(pod(scrapes))).pods[0].sample, kind)


def test_an_engine_that_does_not_tell_its_slots_has_those_that_it_was_launched_with() -> None:
    sample = planner()._observed(view(pod(minute()))).pods[0].sample
    assert isinstance(sample, Live)
    assert sample.reading.slots == 32.0


def test_a_pod_that_finds_no_node_is_in_trouble() -> None:
    pending = pod((), ready_since_seconds=None, unschedulable=True)
    assert planner()._observed(view(pending)).pods[0].hindrance_message == "Unschedulable"


def test_while_prometheus_is_silent_the_fleet_is_held() -> None:
    policy = planner()
    policy.decide(view(pod(minute()), pod(minute(), name="bf16-2"), at=600.0))
    blind = view(pod(()), pod((), name="bf16-2"), at=610.0, lost=True)
    assert policy.decide(blind) == {"bf16": 2}
    assert policy.told[-1].reason == "MetricsMissing"


EIGHT_TO_NINE = {"name": "mornings", "start": "0 8 * * *", "end": "0 9 * * *", "minReplicas": 3}
HALF_PAST_SEVEN = 1_700_033_400.0
"""On 15 November 2023, in UTC."""


@pytest.mark.parametrize(("at", "replicas"), [(1790.0, 1), (1800.0, 3), (5390.0, 3), (5400.0, 1)])
def test_schedules_hold_at_the_hours_of_the_trace(at: float, replicas: int) -> None:
    scheduled = declared(schedules=[EIGHT_TO_NINE], variants=[{"name": "bf16", "engine": {"type": "VLLM"}}])
    fleet = replace(world().fleet, spec=scheduled)
    policy = tokenpace(fleet, Traffic("dated", 7200.0, (), begins_at_seconds=HALF_PAST_SEVEN), 1.0)
    assert policy.decide(view(pod(minute(at)), at=at)) == {"bf16": replicas}


def test_a_canary_that_is_asked_for_passes() -> None:
    policy = planner()
    policy.passed.add("bf16-1")
    assert policy._observed(view(pod(minute()))).pods[0].canary is Canary.PASSED


def test_what_was_said_is_kept_once_as_long_as_it_stays_the_same() -> None:
    policy = planner()
    for at in (600.0, 610.0, 620.0):
        policy.decide(view(pod(minute(at)), at=at))
    assert [one.at_seconds for one in policy.told] == [600.0]


@pytest.mark.parametrize(
    ("setting", "percentiles"),
    [
        pytest.param(1.0, (90, 95), id="as declared"),
        pytest.param(0.2, (98, 99), id="a fifth may miss"),
        pytest.param(2.0, (80, 90), id="twice as many may miss"),
        pytest.param(20.0, (1, 1), id="beyond what can be declared"),
    ],
)
def test_the_knob_is_how_many_requests_may_miss_their_targets(setting: float, percentiles: tuple[int, int]) -> None:
    slo = planner(setting=setting).spec.slo
    assert slo.stream
    assert slo.time_to_first_token
    assert (slo.stream.percentile, slo.time_to_first_token.percentile) == percentiles


def test_an_engine_whose_metrics_are_not_replayed_is_refused_by_name() -> None:
    fleet = world().fleet
    (variant,) = fleet.spec.variants
    assert variant.engine
    odd = variant.model_copy(update={"engine": variant.engine.model_copy(update={"type": EngineType.OPENVINO})})
    with pytest.raises(ValueError, match="variant q8: metrics of OpenVINO cannot be replayed yet"):
        tokenpace(replace(fleet, spec=fleet.spec.model_copy(update={"variants": (odd,)})), Traffic("", 1.0, ()), 1.0)
