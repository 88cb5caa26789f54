from tests.replay.policies.views import made, pod, steady, view

from tokenpace.replay.policies.policy import Policy
from tokenpace.replay.policies.registry import POLICIES

RAY = POLICIES["ray-serve"]


def asked(policy: Policy, at: float, *in_flight: int) -> int:
    pods = (pod(str(number), *steady(at, running=requests)) for number, requests in enumerate(in_flight))
    return policy.decide(view(at, *pods))["full"]


def test_replicas_come_when_they_were_wanted_for_30_seconds() -> None:
    policy = made(RAY)
    assert [asked(policy, at, 7) for at in (100, 105, 125, 130)] == [1, 1, 1, 4]  # 7 in flight at 2 each


def test_replicas_go_when_they_were_too_many_for_10_minutes() -> None:
    policy = made(RAY)
    assert [asked(policy, at, 1, 1, 1, 1) for at in (100, 400, 695, 700)] == [4, 4, 4, 2]


def test_a_moment_of_the_other_direction_begins_the_wait_anew() -> None:
    policy = made(RAY)
    assert [asked(policy, at, *load) for at, load in ((100, [7]), (115, [2]), (120, [7]), (145, [7]), (150, [7]))] == [
        1,
        1,
        1,
        1,
        4,
    ]


def test_without_data_nothing_changes() -> None:
    policy = made(RAY)
    held = [policy.decide(view(at, pod("a"), pod("b"), lost=True))["full"] for at in range(0, 1200, 5)]
    assert set(held) == {2}
