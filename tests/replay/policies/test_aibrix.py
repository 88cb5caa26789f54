import pytest
from tests.replay.policies.views import fleet, made, pod, speeds, steady, view

from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.view import View

APA, DAMPED = POLICIES["aibrix-apa"], POLICIES["aibrix-apa-damped"]
LIMITED = fleet(truth={"full": speeds(kv_tokens=1000)})


def seen(at: float, *shares: float) -> View:
    return view(at, *(pod(str(number), *steady(at, kv_share=share)) for number, share in enumerate(shares)))


@pytest.mark.parametrize(
    ("shares", "replicas"),
    [
        ((0.6, 0.6), 3),  # 1.2 of the target: 2.4 pods
        ((0.9, 0.9), 4),  # 1.8: 3.6 pods
        ((0.5, 0.58), 2),  # 1.08 is within a tenth
        ((0.4, 0.4, 0.4), 3),  # 0.8: 2.4 pods, rounded up
        ((0.01, 0.01, 0.01, 0.01, 0.01), 2),  # no further than half, rounded down
    ],
)
def test_the_mean_share_of_memory_comes_to_the_target(shares: tuple[float, ...], replicas: int) -> None:
    assert made(APA, LIMITED, 0.5).decide(seen(60, *shares)) == {"full": replicas}


def test_replicas_at_most_double() -> None:
    assert made(APA, LIMITED, 0.2).decide(seen(60, 1.0)) == {"full": 2}


def test_the_metric_is_averaged_over_three_minutes() -> None:
    now_full = pod("a", *steady(130, 120, kv_share=0.2), *steady(190, 50, kv_share=0.8))
    # Seven scrapes at 0.8 count after twelve at 0.2: 0.41, with 0.5 as the target 0.83 of one pod.
    assert made(APA, LIMITED, 0.5).decide(view(190, now_full)) == {"full": 1}


def test_scaling_in_takes_the_least_of_five_minutes_as_the_code_does() -> None:
    policy = made(APA, LIMITED, 0.5)
    assert policy.decide(seen(60, 0.2, 0.2)) == {"full": 1}
    assert policy.decide(seen(180, 0.9)) == {"full": 2}
    assert policy.decide(seen(240, *[0.35] * 4)) == {
        "full": 1
    }  # 0.7 of 4 pods is 3: asked for is the 1 of 3 minutes ago


def test_the_damped_one_takes_the_most_of_five_minutes() -> None:
    policy = made(DAMPED, LIMITED, 0.5)
    assert policy.decide(seen(60, *[0.5] * 4)) == {"full": 4}
    assert policy.decide(seen(120, *[0.2] * 4)) == {"full": 4}
    assert policy.decide(seen(361, *[0.2] * 4)) == {"full": 2}


def test_slots_stand_for_memory_where_they_are_scarcer() -> None:
    busy = view(60, pod("a", *steady(60, running=3)))
    for of in (fleet(), fleet(truth={"full": speeds(kv_tokens=1_000_000)})):
        assert made(APA, of, 0.5).decide(busy) == {"full": 2}  # 3 of 4 slots: 1.5 of the target


def test_without_data_nothing_changes() -> None:
    assert made(APA, LIMITED).decide(view(60, pod("a"), pod("b"), lost=True)) == {"full": 2}
