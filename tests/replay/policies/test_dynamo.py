import pytest
from tests.replay.policies.views import fleet, made, pod, speeds, steady, view

from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import PodView

CONSTANT, ARIMA = POLICIES["dynamo-constant"], POLICIES["dynamo-arima"]

# A prompt of 200 tokens takes 0.2 s and comes once in an answer of 40: with n streams a token takes 50 + 5 n ms, and
# the pod generates 18.2, 33.3, 46.2 and 57.1 tokens/s with 1, 2, 3 and 4.
STREAMS_OF_15: Fleet = fleet(slo={"stream": {"tokensPerSecond": 15}}, truth={"full": speeds()})
"""At most 66.7 ms between tokens: three streams."""


def busy(name: str, at: float, *, requests: float, seconds: float, inter_token_seconds: float) -> PodView:
    """A pod that for an interval has ended so many requests of 40 tokens a second."""
    rates = {
        "ended": requests,
        "ended_prompt_tokens": 200 * requests,
        "ended_generated_tokens": 40 * requests,
        "ended_seconds": seconds * requests,
        "ended_stream_seconds": 39 * inter_token_seconds * requests,
    }
    return pod(name, *steady(at, 180, rates=rates))


@pytest.mark.parametrize(
    ("inter_token_seconds", "replicas"),
    [
        (0.065, 2),  # as the profile says of three streams: 80 tokens/s at 46.2 each
        (0.0715, 3),  # a tenth slower, so the target is 60.6 ms: two streams, 33.3 each
    ],
)
def test_the_target_is_corrected_by_what_was_seen(inter_token_seconds: float, replicas: int) -> None:
    # One request a second on each of two pods, 3 s each: three streams on each.
    pods = (busy(n, 180, requests=1, seconds=3, inter_token_seconds=inter_token_seconds) for n in "ab")
    assert made(CONSTANT, STREAMS_OF_15).decide(view(180, *pods)) == {"full": replicas}


def test_idle_is_not_a_number_and_keeps_the_fleet() -> None:
    pods = (pod(name, *steady(180, 180)) for name in "abcd")
    assert made(CONSTANT, STREAMS_OF_15).decide(view(180, *pods)) == {}


def test_a_prometheus_that_does_not_answer_is_no_load_at_all() -> None:
    pods = (pod(name) for name in "abcd")
    assert made(CONSTANT, STREAMS_OF_15).decide(view(180, *pods, lost=True)) == {"full": 1}


def test_nothing_is_decided_before_the_first_interval_is_over() -> None:
    assert made(CONSTANT, STREAMS_OF_15).decide(view(0, pod("a"))) == {}


def test_a_forecast_is_ahead_of_a_ramp() -> None:
    def last_asked(kind_name: str) -> int:
        policy = made(POLICIES[kind_name], STREAMS_OF_15)
        for step in range(1, 9):
            at = 180 * step
            seen = view(at, busy("a", at, requests=step, seconds=3 / step, inter_token_seconds=0.065))
            asked = policy.decide(seen)
        return asked["full"]

    assert last_asked("dynamo-constant") == 7  # 8 requests/s: 320 tokens/s at 46.2 each
    assert last_asked("dynamo-arima") == 8  # 9 requests/s: 360 tokens/s
