from tests.replay.policies.views import fleet, made, pod, scrape, steady, view

from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.view import View

KPA = POLICIES["knative-kpa"]


def seen(at: float, *in_flight: int) -> View:
    """Pods that have had as many requests for a minute; the first half of them queued."""
    return view(
        at,
        *(
            pod(str(number), *steady(at, running=requests - requests // 2, waiting=requests // 2))
            for number, requests in enumerate(in_flight)
        ),
    )


def test_the_total_in_flight_is_shared_at_the_target() -> None:
    assert made(KPA, setting=10).decide(seen(60, 15)) == {"full": 2}


def test_a_documented_concurrency_of_ten_at_seventy_per_cent_means_seven_each() -> None:
    """https://knative.dev/docs/serving/autoscaling/concurrency/#target-utilization: the eighth brings a replica."""
    assert made(KPA, setting=7).decide(seen(60, 7, 7, 7)) == {"full": 3}
    assert made(KPA, setting=7).decide(seen(60, 8, 8, 8)) == {"full": 4}


def test_a_burst_in_the_panic_window_is_not_averaged_away() -> None:
    burst = pod("a", *steady(50, running=0), scrape(59, running=50))
    # The calm window has seen 50 in one scrape of six: 8.3, one pod. The panic window wants 5, of 1 ready.
    assert made(KPA, setting=10).decide(view(60, burst)) == {"full": 5}


def test_nothing_is_taken_away_in_panic_and_for_a_minute_after() -> None:
    policy = made(KPA, setting=10)
    assert policy.decide(seen(60, 40)) == {"full": 4}
    calm = [policy.decide(seen(at, 10, 0, 0, 0))["full"] for at in range(62, 122, 2)]
    assert set(calm) == {4}
    assert policy.decide(seen(122, 10, 0, 0, 0)) == {"full": 2}  # 1 pod is wanted, half of 4 is the furthest


def test_it_begins_in_panic_where_several_pods_run() -> None:
    policy = made(KPA, setting=10)
    assert policy.decide(seen(0, 1, 0, 0)) == {"full": 3}
    assert policy.decide(seen(62, 1, 0, 0)) == {"full": 1}


def test_a_pod_whose_scrapes_fail_is_taken_to_be_as_busy_as_the_others() -> None:
    both = view(60, pod("a", *steady(60, running=12)), pod("b"))
    assert made(KPA, setting=8).decide(both) == {"full": 3}  # 24 / 8


def test_without_data_nothing_changes() -> None:
    assert made(KPA).decide(view(60, pod("a"), pod("b"), lost=True)) == {"full": 2}


def test_bounds_hold() -> None:
    assert made(KPA, fleet(scaling={"maxReplicas": 3}), 1).decide(seen(60, 40)) == {"full": 3}
