from tests.replay.policies.views import made, pod, scrape, steady, view

from tokenpace.replay.policies.bounds import Bounds
from tokenpace.replay.policies.horizontal import DOWN, UP
from tokenpace.replay.policies.keda import Trigger, scaled_object
from tokenpace.replay.policies.registry import POLICIES

PRODUCTION_STACK, KAITO = POLICIES["keda-production-stack"], POLICIES["keda-kaito"]


def test_the_trigger_that_wants_most_holds_and_one_pod_a_minute_comes() -> None:
    # 12 running / 5 = 3 pods; 150 generated tokens/s / 100 = 2 pods; 390 prompt tokens/s / 100 = 4 pods.
    policy = made(PRODUCTION_STACK)

    def asked(at: float, pods: int) -> int:
        rates = {"generated_tokens": 150, "prompt_tokens": 390}
        return policy.decide(view(at, pod("a", *steady(at, running=12, rates=rates)), full=pods))["full"]

    assert [asked(60, 1), asked(105, 2), asked(120, 2), asked(180, 3), asked(240, 4)] == [2, 2, 3, 4, 4]


def test_thresholds_grow_by_the_multiple() -> None:
    seen = view(60, pod("a", *steady(60, running=12, rates={"generated_tokens": 150, "prompt_tokens": 390})))
    assert made(PRODUCTION_STACK, setting=4).decide(seen) == {"full": 1}


def test_pods_that_end_their_last_streams_have_series_still() -> None:
    going = pod("b", *steady(60, running=5), terminating=True)
    assert made(PRODUCTION_STACK).decide(view(60, pod("a", *steady(60, running=5)), going)) == {"full": 2}


def test_a_fleet_whose_series_are_gone_is_scaled_in() -> None:
    policy = made(PRODUCTION_STACK)
    asked = [dict(policy.decide(view(at, pod("a"), pod("b"), pod("c"))))["full"] for at in (0, 285, 300)]
    assert asked == [3, 3, 2]


def test_a_prometheus_that_does_not_answer_holds() -> None:
    policy = made(PRODUCTION_STACK)
    asked = [dict(policy.decide(view(at, pod("a"), pod("b"), lost=True)))["full"] for at in range(0, 1200, 15)]
    assert set(asked) == {2}


def test_kaito_waits_a_minute_and_adds_one_pod_in_five() -> None:
    policy = made(KAITO)

    def asked(at: float, pods: int) -> int:
        return policy.decide(view(at, pod("a", scrape(at - 1, waiting=45)), full=pods))["full"]

    assert [asked(0, 1), asked(45, 1), asked(60, 1), asked(345, 2), asked(360, 2)] == [1, 1, 2, 2, 3]


def test_kaito_takes_one_pod_in_ten_minutes() -> None:
    policy = made(KAITO)

    def asked(at: float, pods: int) -> int:
        return policy.decide(view(at, *(pod(str(number), scrape(at - 1)) for number in range(pods))))["full"]

    assert [asked(0, 4), asked(300, 4), asked(885, 3), asked(900, 3)] == [4, 3, 3, 2]


def test_the_first_replica_comes_with_activity_and_goes_five_minutes_after_it() -> None:
    scaled = scaled_object(Bounds(0, 10), UP, DOWN)
    assert scaled.replicas(0, 0, [Trigger(0.0, 1)]) == 0
    assert scaled.replicas(15, 0, [Trigger(3.0, 1)]) == 1
    assert scaled.replicas(30, 1, [Trigger(0.0, 1)]) == 1
    assert scaled.replicas(300, 1, [Trigger(0.0, 1)]) == 1
    assert scaled.replicas(315, 1, [Trigger(0.0, 1)]) == 0


def test_failed_queries_take_no_last_replica() -> None:
    scaled = scaled_object(Bounds(0, 10), UP, DOWN)
    assert scaled.replicas(900, 1, [Trigger(None, 1)]) == 1
