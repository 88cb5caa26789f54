from tests.replay.policies.views import fleet, made, pod, scrape, speeds, steady, variant, view

from tokenpace.replay.policies.registry import POLICIES

QUEUE, TOKENS = POLICIES["hpa-queue"], POLICIES["hpa-tokens"]


def test_the_queue_of_each_pod_comes_to_the_target() -> None:
    seen = view(60, pod("a", scrape(55, waiting=25)), pod("b", scrape(58, waiting=15)))
    assert made(QUEUE).decide(seen) == {"full": 4}  # mean 20 at a target of 10


def test_a_pod_whose_last_scrape_failed_is_missing() -> None:
    seen = view(60, pod("a", scrape(58, waiting=30)), pod("b", scrape(40, waiting=30)))
    assert made(QUEUE).decide(seen) == {"full": 3}  # (30 + 0) / 2 = 15, not the 6 replicas of two such queues


def test_pods_on_their_way_out_do_not_count() -> None:
    seen = view(60, pod("a", scrape(58, waiting=20)), pod("b", scrape(58, waiting=99), terminating=True))
    assert made(QUEUE).decide(seen) == {"full": 2}


def test_a_pod_without_a_node_dampens_growth() -> None:
    seen = view(60, pod("a", scrape(58, waiting=60)), pod("b", ready=False, unschedulable=True))
    assert made(QUEUE).decide(seen) == {"full": 6}  # (60 + 0) / 2 = 30: 3.0 of 2 pods


def test_lost_metrics_hold() -> None:
    assert made(QUEUE).decide(view(60, pod("a"), pod("b"), pod("c"), lost=True)) == {"full": 3}


def test_tokens_are_compared_with_a_share_of_the_full_batch() -> None:
    # Four streams: 50 ms a step, and 4 prompts of 320 ms in 128 steps. 4 / 60 ms are 66.7 tokens/s, half of it 33.3.
    seen = view(60, *(pod(name, *steady(60, rates={"generated_tokens": 48})) for name in "ab"))
    assert made(TOKENS, fleet(traffic=(320, 128)), 0.5).decide(seen) == {"full": 3}  # 1.44 of 2 pods


def test_a_target_at_the_peak_is_never_exceeded() -> None:
    seen = view(60, pod("a", *steady(60, rates={"generated_tokens": 66.6}, waiting=500)))
    assert made(TOKENS, setting=1.0).decide(seen) == {"full": 1}


def test_only_the_chosen_variant_is_scaled() -> None:
    of = fleet(variant("full"), variant("half", quality="99"), truth={"full": speeds(), "half": speeds()})
    seen = view(60, pod("a", scrape(58, waiting=40)), pod("b", scrape(58, waiting=99), variant="half"))
    assert made(QUEUE, of).decide(seen) == {"full": 4}
