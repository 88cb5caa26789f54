"""A fleet at work: pods' lives, balancing, faults, and what a policy is shown of it all."""

import math
import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.replay.worlds import Script, arrivals, replay, speeds, world

from tokenpace.replay.outcome import Outcome
from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Faults, Prefill, Spread
from tokenpace.replay.view import View, increase

Q8 = "q8"


def every(seconds: float, *, until: float, tokens: int = 11, clients: int = 1) -> list[Request]:
    return [Request(number * seconds, 0, tokens, client=number % clients) for number in range(int(until / seconds))]


def admitted(view: View) -> dict[str, int]:
    return {pod.name: pod.scrapes[-1].admitted for pod in view.pods if pod.scrapes}


# --- pods ------------------------------------------------------------------------------------------------------------


def test_a_replay_begins_with_one_replica_of_the_best_variant() -> None:
    policy = Script()
    replay(world(variants=["q4", "q8"]), policy)
    assert [(pod.variant, pod.ready_since_seconds is not None) for pod in policy.views[0].pods] == [("q4", True)]
    assert policy.views[0].replicas == {"q4": 1, "q8": 0}


def test_a_new_pod_serves_after_its_own_start_up() -> None:
    policy = Script({10: {Q8: 3}}, every=1.0)
    replay(world(startup=lambda chance: chance.uniform(20, 30)), policy)
    ready = [pod.ready_since_seconds for pod in policy.views[-1].pods]
    assert ready[1] != ready[2]
    assert all(since is not None and 30 <= since <= 40 for since in ready[1:])


def test_pods_cost_from_their_node_to_their_end_within_the_replay() -> None:
    outcome = replay(world(), Script({10: {Q8: 3}, 50: {Q8: 1}}))
    assert outcome.pod_seconds == {Q8: 100 + 2 * 40}


@pytest.mark.parametrize("seed", range(4))
def test_pods_that_do_not_serve_yet_go_first_and_then_those_last_ready(seed: int) -> None:
    policy = Script({10: {Q8: 3}, 50: {Q8: 4}, 60: {Q8: 2}}, every=1.0)
    replay(world(startup=lambda chance: chance.uniform(20, 30)), policy, seed=seed)
    ready = {pod.name: pod.ready_since_seconds or 0.0 for pod in policy.at(49).pods}
    assert {pod.name for pod in policy.at(61).pods} == {"q8-1", min(["q8-2", "q8-3"], key=lambda name: ready[name])}


def test_a_pod_that_is_told_to_go_ends_its_streams_and_gets_no_new_ones() -> None:
    long, new = Request(1.0, 0, 301), Request(40.0, 0, 11)
    policy = Script({20: {Q8: 0}}, every=1.0)
    outcome = replay(world([long, new], drain_seconds=60.0), policy)
    assert outcome.requests[0].ended_at_seconds == pytest.approx(31.0)
    assert outcome.requests[1].ended_at_seconds is None
    assert [pod.terminating for pod in policy.at(25).pods] == [True]
    assert not policy.at(32).pods
    assert outcome.pod_seconds[Q8] == pytest.approx(31.0)


def test_what_a_pod_has_not_ended_when_its_drain_seconds_are_over_fails() -> None:
    outcome = replay(world([Request(1.0, 0, 501)], drain_seconds=10.0), Script({20: {Q8: 0}}))
    failed = outcome.requests[0]
    assert (failed.first_token_at_seconds, failed.ended_at_seconds, failed.variant) == (1.0, None, Q8)
    assert failed.generated_tokens == pytest.approx(1 + 290, abs=1)
    assert outcome.pod_seconds[Q8] == 30.0


def test_an_idle_pod_that_is_told_to_go_is_gone_at_once() -> None:
    assert replay(world(), Script({20: {Q8: 0}})).pod_seconds[Q8] == 20.0


def test_pods_beyond_the_stock_wait_for_a_node_and_cost_nothing() -> None:
    policy = Script({10: {Q8: 3}}, every=1.0)
    outcome = replay(world(faults=Faults(stock={Q8: ((0, 50, 2),)})), policy)
    assert [pod.unschedulable for pod in policy.at(45).pods] == [False, False, True]
    assert {pod.name: pod.ready_since_seconds for pod in policy.at(99).pods}["q8-3"] == 70.0
    assert outcome.pod_seconds[Q8] == 100 + 90 + 50


def test_a_stock_without_end_never_lets_pods_in() -> None:
    policy = Script({10: {Q8: 4}})
    outcome = replay(world(faults=Faults(stock={Q8: ((0, math.inf, 2),)})), policy)
    assert outcome.pod_seconds == {Q8: 100 + 90}


def test_what_runs_stays_when_the_stock_shrinks() -> None:
    policy = Script()
    replay(world(replicas={Q8: 3}, faults=Faults(stock={Q8: ((20, 100, 1),)})), policy)
    assert [pod.ready_since_seconds is not None for pod in policy.at(90).pods] == [True] * 3


def test_a_node_that_a_drained_pod_leaves_goes_to_the_pod_that_waits_for_one() -> None:
    policy = Script({10: {Q8: 0}, 20: {Q8: 1}}, every=1.0)
    replay(world([Request(5.0, 0, 301)], faults=Faults(stock={Q8: ((0, 100, 1),)})), policy)
    assert [pod.unschedulable for pod in policy.at(30).pods] == [False, True]
    assert policy.at(99).pods[0].ready_since_seconds == pytest.approx(35.0 + 20.0)


def test_a_failed_pod_loses_its_requests_and_starts_again_with_counters_at_zero() -> None:
    policy = Script(every=1.0)
    outcome = replay(
        world(
            every(5.0, until=95, tokens=101),
            startup=lambda _: 20.0,
            scrape_seconds=2.0,
            faults=Faults(failures=(42.0,)),
        ),
        policy,
    )
    lost = [request for request in outcome.requests if request.ended_at_seconds is None]
    assert [request.at_seconds for request in lost] == [35.0, 40.0]
    assert policy.at(50).pods[0].ready_since_seconds is None
    (pod,) = policy.at(99).pods
    assert (pod.name, pod.ready_since_seconds) == ("q8-1", 62.0)
    counted = [scrape.ended for scrape in pod.scrapes]
    before, after = counted[: len(counted) // 2], [scrape.ended for scrape in pod.scrapes if scrape.at_seconds > 62]
    assert max(before) > after[0] == 0
    assert not [scrape for scrape in pod.scrapes if 42 < scrape.at_seconds < 62]


# --- requests --------------------------------------------------------------------------------------------------------


def test_requests_that_find_no_pod_wait_in_front_and_all_go_to_the_first() -> None:
    scenario = world(every(1.0, until=30), startup=lambda chance: chance.uniform(20, 30), replicas={Q8: 0})
    policy = Script({10: {Q8: 2}}, every=1.0)
    outcome = replay(scenario, policy)
    first = min(pod.ready_since_seconds or 0.0 for pod in policy.at(99).pods)
    waited = [request for request in outcome.requests if request.at_seconds < first]
    assert {request.first_token_at_seconds for request in waited} == {first}
    assert max(moment.waiting for moment in outcome.moments) >= 20
    assert max(admitted(policy.at(99)).values()) >= len(waited)


def test_random_balancing_spreads_a_client_over_the_pods_unevenly() -> None:
    policy = Script()
    replay(world(every(0.25, until=100), replicas={Q8: 4}), policy)
    counts = admitted(policy.at(95)).values()
    assert min(counts) > 60
    assert max(counts) - min(counts) > 4


def test_least_request_balancing_keeps_the_pods_equally_full() -> None:
    policy = Script(every=1.0)
    replay(
        world(every(0.3, until=100, tokens=31), replicas={Q8: 4}, spread=Spread.LEAST_REQUEST, scrape_seconds=1.0),
        policy,
    )
    counts = admitted(policy.at(95)).values()
    assert max(counts) - min(counts) <= 4
    running = [pod.scrapes[-1].running for pod in policy.at(95).pods]
    assert max(running) - min(running) <= 1


def test_a_sticky_client_stays_with_its_pod_and_new_pods_get_nothing() -> None:
    policy = Script({10: {Q8: 6}})
    requests = every(0.5, until=100, clients=3)
    replay(world(requests, spread=Spread.STICKY, scrape_seconds=1.0), policy)
    counts = admitted(policy.at(95))
    assert counts["q8-1"] > 180
    assert sum(counts.values()) == counts["q8-1"]


def test_a_sticky_client_with_several_connections_uses_several_pods() -> None:
    policy = Script()
    replay(world(every(0.5, until=100), replicas={Q8: 8}, spread=Spread.STICKY, connections_per_client=3), policy)
    assert 1 < len([name for name, count in admitted(policy.at(95)).items() if count]) <= 3


def test_a_sticky_client_turns_to_another_pod_when_its_own_goes() -> None:
    requests = every(0.5, until=100, clients=30)
    policy = Script({50: {Q8: 1}})
    replay(world(requests, replicas={Q8: 4}, spread=Spread.STICKY, scrape_seconds=1.0), policy)
    before, after = admitted(policy.at(50))["q8-1"], admitted(policy.at(95))["q8-1"]
    assert before < 60
    assert after - before >= 85


def test_pods_of_all_variants_are_one_service() -> None:
    outcome = replay(world(every(0.1, until=100), variants=["q8", "q4"], replicas={"q8": 1, "q4": 3}))
    share = Counter(request.variant for request in outcome.requests)["q4"] / len(outcome.requests)
    assert share == pytest.approx(0.75, abs=0.05)


class Clients:
    """Clients that think for a second, and what they were told."""

    def __init__(self) -> None:
        self.ended: list[tuple[int, float]] = []

    def after(self, request: Request, ended_at_seconds: float, /) -> Request | None:
        self.ended.append((request.client, ended_at_seconds))
        return request._replace(at_seconds=ended_at_seconds + 1.0)


def test_clients_that_wait_for_their_answers_send_the_next_one_after_it() -> None:
    outcome = replay(world([Request(0.0, 0, 41, client=7)], reply=Clients()))
    assert [request.at_seconds for request in outcome.requests] == pytest.approx([5.0 * number for number in range(20)])


def test_clients_go_on_after_a_failure() -> None:
    clients = Clients()
    replay(world([Request(0.0, 0, 41)], reply=clients, replicas={Q8: 2}, faults=Faults(failures=(2.0, 2.5))))
    assert clients.ended[0][1] in {2.0, 2.5}
    assert len(clients.ended) > 10


def test_what_is_in_work_at_the_end_is_served_out_by_a_frozen_fleet_and_costs_nothing_more() -> None:
    policy = Script({0: {Q8: 1}, 95: {Q8: 2}})
    outcome = replay(world([Request(1.0, 0, 3001)], startup=lambda _: 50.0), policy)
    assert outcome.requests[0].ended_at_seconds == pytest.approx(301.0)
    assert policy.views[-1].at_seconds == 95.0
    assert outcome.pod_seconds[Q8] == 100 + 5
    assert outcome.moments[-1].at_seconds == 100.0


# --- what a policy sees ----------------------------------------------------------------------------------------------


def test_each_pod_is_scraped_at_moments_of_its_own_one_interval_apart() -> None:
    policy = Script()
    replay(world(replicas={Q8: 3}, scrape_seconds=10.0), policy)
    phases = set()
    for pod in policy.at(95).pods:
        times = [scrape.at_seconds for scrape in pod.scrapes]
        assert len(times) >= 9
        assert times == pytest.approx([times[0] + 10.0 * number for number in range(len(times))])
        phases.add(round(times[0], 6))
    assert len(phases) == 3


def test_a_pod_has_no_scrape_before_it_is_ready() -> None:
    policy = Script({10: {Q8: 2}}, every=1.0)
    replay(world(scrape_seconds=2.0), policy)
    assert policy.pods_at(29)["q8-2"].scrapes == ()
    times = [scrape.at_seconds for scrape in policy.pods_at(60)["q8-2"].scrapes]
    assert 30.0 <= times[0] <= 32.0


def test_a_policy_is_shown_the_last_ten_minutes() -> None:
    policy = Script()
    replay(world(seconds=1500.0), policy)
    (pod,) = policy.at(1490).pods
    assert 890.0 <= pod.scrapes[0].at_seconds <= 900.0


def test_lost_scrapes_are_missing_and_the_counters_go_on() -> None:
    policy = Script()
    requests = every(1.0, until=1000, tokens=2)
    replay(world(requests, seconds=1000.0, scrape_seconds=5.0, faults=Faults(lost_scrape_share=0.5)), policy)
    (pod,) = policy.at(990).pods
    assert 40 < len(pod.scrapes) < 80
    assert increase(pod.scrapes, "ended", 0.0) == pytest.approx(
        pod.scrapes[-1].at_seconds - pod.scrapes[0].at_seconds, abs=1
    )


def test_while_metrics_are_lost_nothing_is_seen_and_nothing_is_scraped() -> None:
    policy = Script()
    replay(world(scrape_seconds=2.0, faults=Faults(metrics_lost=((40.0, 60.0),))), policy)
    assert policy.at(50).metrics_lost
    assert policy.at(50).pods[0].scrapes == ()
    after = policy.at(90)
    assert not after.metrics_lost
    assert not [scrape for scrape in after.pods[0].scrapes if 40 <= scrape.at_seconds < 60]
    assert [scrape for scrape in after.pods[0].scrapes if scrape.at_seconds < 40]


def test_the_last_scrape_of_a_draining_pod_is_still_seen() -> None:
    policy = Script({20: {Q8: 0}}, every=1.0)
    replay(world([Request(1.0, 0, 501)], scrape_seconds=2.0), policy)
    assert policy.at(45).pods[0].scrapes[-1].at_seconds > 42.0


def test_moments_and_changes_tell_what_was_asked_for_and_what_was_there() -> None:
    outcome = replay(world(), Script({10: {Q8: 3}, 40: {Q8: 3}, 60: {Q8: 1}}))
    assert outcome.changes == ((10.0, {Q8: 3}), (60.0, {Q8: 1}))
    shown = {moment.at_seconds: moment for moment in outcome.moments}
    assert len(shown) == 10
    assert (shown[20.0].asked[Q8], shown[20.0].pods[Q8], shown[20.0].ready[Q8]) == (3, 3, 1)
    assert (shown[70.0].asked[Q8], shown[70.0].pods[Q8], shown[70.0].ready[Q8]) == (1, 1, 1)


@pytest.mark.parametrize(("asked", "cure"), [({"q5": 1}, "none of the fleet's: q8"), ({Q8: -1}, "the least is 0")])
def test_a_policy_that_asks_for_the_impossible_is_told_so(asked: Mapping[str, int], cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        replay(world(), Script({0: asked}))


def test_a_client_without_a_connection_is_refused_with_the_fleets_name() -> None:
    with pytest.raises(ValueError, match="fleet made: connections_per_client is 0"):
        replay(world(connections_per_client=0))


# --- everything together ---------------------------------------------------------------------------------------------


def busy(seed: int, script: Mapping[float, Mapping[str, int]], **more: object) -> tuple[Outcome, Script, list[Request]]:
    chance = random.Random(seed)
    requests = arrivals(chance, rate=4.0, count=400, tokens=lambda: chance.randint(1, 60), prompt=100)
    truth = speeds(
        step=0.05, token=0.002, prompt_token=0.001, batch=8, kv=2000, prefill=chance.choice(list(Prefill)), chunk=64
    )
    policy = Script(script)
    outcome = replay(
        world(requests, truth=truth, startup=lambda luck: luck.uniform(5, 15), variants=["q8", "q4"], **more),  # type: ignore[arg-type]
        policy,
        seed=seed,
    )
    return outcome, policy, requests


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    asked=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=8),
    spread=st.sampled_from(list(Spread)),
)
def test_without_failures_every_request_ends_once_and_gets_every_token(
    seed: int, asked: list[tuple[int, int]], spread: Spread
) -> None:
    script = {10.0 * place: {"q8": q8, "q4": q4} for place, (q8, q4) in enumerate(asked)}
    outcome, _, requests = busy(seed, script, spread=spread, drain_seconds=1e6)
    assert [request.at_seconds for request in outcome.requests] == [request.at_seconds for request in requests]
    for request in outcome.requests:
        assert request.generated_tokens == request.demanded_tokens
        assert request.first_token_at_seconds is not None
        assert request.ended_at_seconds is not None
        assert request.at_seconds <= request.first_token_at_seconds <= request.ended_at_seconds
    assert all(moment.ready[variant] <= moment.pods[variant] for moment in outcome.moments for variant in ("q8", "q4"))


class Once:
    """Clients that send one request, and count how often they hear of it."""

    def __init__(self) -> None:
        self.heard: Counter[int] = Counter()

    def after(self, request: Request, _: float, /) -> None:
        self.heard[request.client] += 1


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), failures=st.lists(st.floats(1.0, 99.0), max_size=6))
def test_with_failures_every_client_hears_exactly_once(seed: int, failures: list[float]) -> None:
    clients = Once()
    script = {0.0: {"q8": 3}, 30.0: {"q8": 1, "q4": 1}, 60.0: {"q8": 2, "q4": 0}}
    faults = Faults(failures=tuple(sorted(failures)), lost_scrape_share=0.1)
    outcome, _, requests = busy(seed, script, reply=clients, faults=faults, drain_seconds=5.0)
    assert clients.heard == Counter(range(len(requests)))
    for request in outcome.requests:
        assert 0 <= request.generated_tokens <= request.demanded_tokens
        assert (request.ended_at_seconds is not None) == (request.generated_tokens == request.demanded_tokens)


def test_the_same_seed_gives_the_same_outcome() -> None:
    script = {20.0: {"q8": 3, "q4": 1}, 60.0: {"q8": 1}}
    faults = Faults(failures=(40.0,), lost_scrape_share=0.2)
    first, seen, _ = busy(5, script, faults=faults)
    again, seen_again, _ = busy(5, script, faults=faults)
    assert first == again
    assert seen.views == seen_again.views
    assert first.requests != busy(6, script, faults=faults)[0].requests


def test_the_pod_of_a_name_has_the_same_luck_under_every_policy() -> None:
    starts, times = [], []
    for script in ({10.0: {Q8: 2}}, {20.0: {Q8: 4}, 60.0: {Q8: 2}}):
        policy = Script(script, every=1.0)
        replay(world(startup=lambda chance: chance.uniform(5, 25), scrape_seconds=2.0), policy)
        pod = policy.pods_at(99)["q8-2"]
        assert pod.ready_since_seconds is not None
        starts.append(pod.ready_since_seconds - pod.created_at_seconds)
        times.append([round(scrape.at_seconds, 6) for scrape in pod.scrapes[-5:]])
    assert starts[0] == pytest.approx(starts[1])
    assert times[0] == times[1]


def test_requests_draw_the_same_pods_under_every_policy_that_has_them() -> None:
    requests = every(1.0, until=100, tokens=2)
    seen = []
    for script in ({}, {50.0: {Q8: 4}}):
        policy = Script(script, every=1.0)
        replay(world(requests, replicas={Q8: 3}, scrape_seconds=1.0), policy)
        seen.append(admitted(policy.at(49)))
    assert seen[0] == seen[1]
