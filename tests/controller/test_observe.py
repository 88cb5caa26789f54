"""What the cluster holds, what Prometheus says and what canaries have shown become one picture."""

from typing import Any

import pytest

from tokenpace.api import names
from tokenpace.controller.mirrors import Holdings
from tokenpace.controller.observe import observe
from tokenpace.planning.observation import Canary, Idle, Live, Pod, Reading, Sample
from tokenpace.probing.outcome import Failed, Outcome, Passed, Slow, Unknown
from tokenpace.prometheus.samples import MetricsAnswer

PASSED = Passed(seconds_to_first_token=0.1, tokens=8, tokens_per_second=20.0)


def reading(generated_tokens_per_second: float) -> Reading:
    return Reading(
        window_seconds=60.0,
        generated_tokens_per_second=generated_tokens_per_second,
        prompt_tokens_per_second=0.0,
        running_streams=1.0,
        waiting_requests=0.0,
    )


def seen(outcome: Outcome | None, sample: Sample | None = None) -> Pod:
    pod: dict[str, Any] = {
        "metadata": {
            "name": "chat-q4-x",
            "namespace": "shop",
            "uid": "u",
            "creationTimestamp": "2026-11-23T08:00:00Z",
            "labels": {names.VARIANT_LABEL: "q4"},
        },
        "status": {},
    }
    observation = observe(
        "shop",
        Holdings(deployments=(), others=(), pods=(pod,)),
        MetricsAnswer(samples={("shop", "chat-q4-x"): sample} if sample else {}, problems={}),
        replicas={},
        hashes={},
        slots={},
        dialects=(),
        canaries={"u": outcome} if outcome else {"another": PASSED},
        tick_seconds=10.0,
        speed_cards={},
    )
    return observation.pods[0]


def canary(outcome: Outcome | None, sample: Sample | None = None) -> tuple[Canary, str | None]:
    pod = seen(outcome, sample)
    return pod.canary, pod.canary_message


def test_a_pod_that_nobody_has_asked_is_untried() -> None:
    assert canary(None) == (Canary.UNTRIED, None)


def test_a_pod_that_generated_has_passed() -> None:
    assert canary(PASSED) == (Canary.PASSED, None)


def test_a_pod_that_cannot_generate_has_failed_in_its_own_words() -> None:
    assert canary(Failed("CUDA error")) == (Canary.FAILED, "CUDA error")


def test_a_pod_that_could_not_be_asked_is_untried_and_it_is_said_why() -> None:
    assert canary(Unknown("no route")) == (Canary.UNTRIED, "no route")


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(None, id="no series"),
        pytest.param(Idle(reading(0.0)), id="idle"),
        pytest.param(Live(reading(6 / 60)), id="the six tokens that the canary got out of it"),
    ],
)
def test_a_slow_pod_that_generates_for_nobody_has_failed(sample: Sample | None) -> None:
    assert canary(Slow("60 s"), sample) == (Canary.FAILED, "60 s")


def test_a_slow_pod_that_generates_for_clients_is_untried() -> None:
    assert canary(Slow("60 s"), Live(reading(5.0))) == (Canary.UNTRIED, "60 s")
