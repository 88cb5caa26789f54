"""Scores of replays that are short enough to judge by hand."""

from dataclasses import replace
from typing import Any

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.replay.outcome import Change, ClientView, Moment, Outcome
from tokenpace.replay.scoring import Score, score


def spec(**slo: Any) -> LLMDeploymentSpec:
    """Two variants, of which the second is cheaper and worse; streams of 10 tokens/s, the first token in a second."""
    return LLMDeploymentSpec.model_validate(
        {
            "model": {
                "servedName": "m",
                "contextTokens": 2048,
                "source": {"volume": {"claimName": "models", "path": "m.gguf"}},
            },
            "slo": {
                "stream": {"tokensPerSecond": 10, "percentile": 90},
                "timeToFirstToken": {"milliseconds": 1000, "percentile": 90},
                **slo,
            },
            "variants": [
                {"name": "bf16", "engine": {"type": "VLLM"}, "quality": "100", "hourlyCost": "4"},
                {"name": "awq", "engine": {"type": "VLLM"}, "quality": "98", "hourlyCost": "2"},
            ],
        }
    )


def served(at: float, *, wait: float = 0.5, pace: float = 20.0, tokens: int = 101, variant: str = "bf16") -> ClientView:
    return ClientView(at, 10, tokens, tokens, at + wait, at + wait + (tokens - 1) / pace, variant)


def failed(at: float, *, tokens: int = 101) -> ClientView:
    return ClientView(at, 10, tokens, 0, None, None, None)


def outcome(*requests: ClientView, seconds: float = 600.0, **other: Any) -> Outcome:
    nothing = Outcome(
        scenario="by hand",
        seed=0,
        policy="none",
        setting=0.0,
        seconds=seconds,
        requests=requests,
        moments=(),
        changes=(),
        pod_seconds={},
    )
    return replace(nothing, **other)


def judged(*requests: ClientView, **other: Any) -> Score:
    return score(outcome(*requests, **other), spec())


def test_a_request_is_attained_when_its_first_token_and_its_stream_were_in_time() -> None:
    assert judged(served(0), served(1, wait=1.5), served(2, pace=9), served(3)).attainment == 0.5


def test_a_request_that_failed_met_nothing() -> None:
    assert judged(served(0), failed(1)).attainment == 0.5


def test_a_request_that_was_cut_short_met_nothing() -> None:
    assert judged(replace_tokens(served(0), 50)).attainment == 0.0


def replace_tokens(request: ClientView, generated: int) -> ClientView:
    return request._replace(generated_tokens=generated)


def test_a_single_token_is_no_stream_and_cannot_be_slow() -> None:
    assert judged(served(0, tokens=1)).attainment == 1.0


def test_nothing_asked_is_no_attainment_and_only_good_slots() -> None:
    idle = judged()
    assert (idle.attainment, idle.worst_minute, idle.degraded_share, idle.good_slots) == (None, None, None, 1.0)


def test_a_slot_is_bad_when_too_many_first_tokens_are_late() -> None:
    punctual = [served(at) for at in range(9)]
    assert judged(*punctual, served(9, wait=2)).good_slots == 1.0
    assert judged(*punctual[1:], served(8, wait=2), served(9, wait=2)).good_slots == 0.9


def test_a_slot_is_bad_when_what_was_wanted_in_it_was_not_served() -> None:
    assert judged(*(served(at) for at in range(40)), *(failed(at) for at in range(3))).good_slots == 0.9


def test_what_is_wanted_beyond_the_promised_tokens_may_go_unserved() -> None:
    crowd = outcome(*(served(at) for at in range(40)), *(failed(at) for at in range(3)))
    promise = spec(generationTokensPerSecond=60, stream=None, timeToFirstToken=None)
    assert score(crowd, promise).good_slots == 1.0


def test_a_request_that_ends_in_the_next_slot_makes_neither_slot_bad() -> None:
    assert judged(*(served(at, pace=10) for at in range(50, 60))).good_slots == 1.0


def test_what_failed_does_not_weigh_on_the_slots_after_it() -> None:
    assert judged(*(failed(at) for at in range(10))).good_slots == 0.9


def test_what_failed_does_not_pass_for_served_in_the_slot_after_it() -> None:
    """A tenth of the second slot's tokens never comes, whatever failed before."""
    first = [failed(30.0, tokens=100) for _ in range(40)]
    second = [*(served(62.0, tokens=100) for _ in range(18)), *(failed(62.0, tokens=100) for _ in range(2))]
    assert judged(*first, *second, seconds=120.0).good_slots == 0.0


def test_recovery_is_the_longest_time_without_a_good_slot() -> None:
    assert judged(failed(0), failed(200), failed(250)).recovery_seconds == 120.0


def test_the_worst_minute_is_that_of_the_fewest_requests_in_time() -> None:
    assert judged(served(0), served(70), failed(80), served(130)).worst_minute == 0.5


def test_cost_is_what_pods_cost_while_they_were_there() -> None:
    found = judged(pod_seconds={"bf16": 3600.0, "awq": 1800.0})
    assert (found.cost, found.replica_hours) == (5.0, 1.5)


def test_a_variant_without_a_price_leaves_the_cost_unknown() -> None:
    assert judged(pod_seconds={"another": 10.0}).cost is None


def test_tokens_below_the_chosen_variant_are_told_and_weighed() -> None:
    found = judged(served(0, tokens=30), served(1, tokens=10, variant="awq"))
    assert (found.degraded_share, found.quality_weighted_tokens) == (0.25, pytest.approx(39.8))


def test_a_switch_is_counted_when_most_ready_pods_are_of_another_variant() -> None:
    fleets = ({"bf16": 2}, {"bf16": 2, "awq": 1}, {"bf16": 0, "awq": 2}, {})
    moments = tuple(Moment(60.0 * at, ready, ready, ready, 0, 0) for at, ready in enumerate(fleets))
    assert judged(seconds=3600.0, moments=moments).switches_per_hour == 1.0


@pytest.mark.parametrize(
    ("counts", "reversals"),
    [
        pytest.param(((0, 1), (60, 2), (120, 3)), 0, id="only up"),
        pytest.param(((0, 1), (60, 2), (120, 1)), 1, id="up and soon down"),
        pytest.param(((0, 1), (60, 2), (900, 1)), 0, id="up and much later down"),
        pytest.param(((0, 2), (60, 1), (120, 2), (180, 1)), 2, id="to and fro"),
    ],
)
def test_a_reversal_is_a_change_the_other_way_soon_after(counts: Any, reversals: int) -> None:
    changes = tuple(Change(float(at), {"bf16": count}) for at, count in counts)
    assert judged(seconds=3600.0, changes=changes).reversals_per_hour == reversals


def test_the_first_change_can_be_reversed_as_any_other() -> None:
    begun = Moment(0.0, {"bf16": 2}, {}, {}, 0, 0)
    changes = (Change(60.0, {"bf16": 5}), Change(120.0, {"bf16": 2}))
    assert judged(seconds=3600.0, moments=(begun,), changes=changes).reversals_per_hour == 1.0
