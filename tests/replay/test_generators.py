"""Drawn traffic: the same for a seed, at the rate that was asked for, in the order of its times."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenpace.replay.generators import (
    CONTEXT_TOKENS,
    Curve,
    LogNormalLengths,
    ParetoLengths,
    RecordedLengths,
    closed_loop,
    cut,
    denser,
    drawn,
    flash_crowd,
    longer_prompts,
    on_off,
    overlaid,
    ramp,
    sine_day,
    steady,
    step,
    thinned,
)
from tokenpace.replay.traffic import Request, Traffic

LENGTHS = LogNormalLengths(prompt_mean=100.0, generated_mean=50.0)

CURVES: dict[str, Curve] = {
    "steady": steady(20.0),
    "step": step(5.0, 5.0, at_seconds=120.0),
    "ramp": ramp(5.0, 30.0, since_seconds=60.0, until_seconds=240.0),
    "sine": sine_day(5.0, 30.0, day_seconds=300.0),
    "on-off": on_off(20.0, on_seconds=50.0, off_seconds=50.0, seconds=300.0),
    "flash crowd": flash_crowd(5.0, 5.0, at_seconds=120.0, rise_seconds=20.0, lasts_seconds=60.0),
}

recordings = st.lists(
    st.builds(Request, st.floats(0.0, 299.0), st.integers(1, 5000), st.integers(1, 500)), min_size=1, max_size=50
).map(sorted)
seeds = st.integers(0, 2**32)


def made(seed: int, curve: Curve) -> Traffic:
    return drawn(seed, name="made", curve=curve, lengths=LENGTHS, seconds=300.0)


def rate(traffic: Traffic, since: float, until: float) -> float:
    return sum(since <= request.at_seconds < until for request in traffic.requests) / (until - since)


@settings(max_examples=20)
@given(seed=seeds, curve=st.sampled_from(sorted(CURVES)))
def test_the_same_seed_draws_the_same_traffic_and_another_seed_does_not(seed: int, curve: str) -> None:
    once = made(seed, CURVES[curve])
    assert made(seed, CURVES[curve]) == once
    assert made(seed + 1, CURVES[curve]).requests != once.requests


@settings(max_examples=20)
@given(seed=seeds, curve=st.sampled_from(sorted(CURVES)))
def test_requests_are_in_order_within_the_replay_and_of_possible_lengths(seed: int, curve: str) -> None:
    requests = made(seed, CURVES[curve]).requests
    assert all(before.at_seconds <= after.at_seconds for before, after in pairwise(requests))
    assert all(0.0 <= request.at_seconds < 300.0 for request in requests)
    assert all(1 <= tokens <= CONTEXT_TOKENS for request in requests for tokens in request[1:3])


@settings(max_examples=30)
@given(seed=seeds, curve=st.sampled_from(sorted(CURVES)))
def test_as_many_requests_come_as_the_curve_holds(seed: int, curve: str) -> None:
    """Six standard deviations of a Poisson count: chance exceeds them in two of a thousand million."""
    at, rates = zip(*CURVES[curve], strict=True)
    times = np.linspace(0.0, 300.0, 300_001)
    expected = float(np.interp(times, at, rates).mean() * 300.0)
    assert abs(len(made(seed, CURVES[curve]).requests) - expected) <= 6.0 * expected**0.5


def test_arrivals_at_a_steady_rate_are_spread_like_a_poisson_process() -> None:
    """The variance of counts equals their mean; evenly timed requests would have none, bursts more."""
    times = [request.at_seconds for request in made(1, steady(200.0)).requests]
    counts, _ = np.histogram(times, bins=300, range=(0.0, 300.0))
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(
    ("curve", "quiet", "busy", "factor"),
    [
        (step(20.0, 5.0, at_seconds=150.0), (0.0, 150.0), (150.0, 300.0), 5.0),
        (flash_crowd(20.0, 4.0, at_seconds=100.0, rise_seconds=20.0, lasts_seconds=80.0), (0, 100), (120, 200), 4.0),
        (ramp(20.0, 60.0, since_seconds=100.0, until_seconds=200.0), (0.0, 100.0), (200.0, 300.0), 3.0),
    ],
)
def test_demand_becomes_as_many_times_itself_as_was_said(
    curve: Curve, quiet: tuple[float, float], busy: tuple[float, float], factor: float
) -> None:
    traffic = made(7, curve)
    assert rate(traffic, *busy) / rate(traffic, *quiet) == pytest.approx(factor, rel=0.1)


def test_a_flash_crowd_goes_as_it_came() -> None:
    traffic = made(7, flash_crowd(20.0, 4.0, at_seconds=50.0, rise_seconds=10.0, lasts_seconds=80.0))
    assert rate(traffic, 160.0, 300.0) == pytest.approx(20.0, rel=0.15)


def test_clients_stay_unless_it_is_said_for_how_long() -> None:
    traffic = drawn(3, name="made", curve=steady(20.0), lengths=LENGTHS, seconds=300.0, clients=4)
    assert {request.client for request in traffic.requests} == set(range(4))


def test_each_client_is_followed_by_a_new_one_after_its_stay() -> None:
    traffic = drawn(3, name="made", curve=steady(20.0), lengths=LENGTHS, seconds=300.0, clients=4, stay_seconds=100.0)
    stays: dict[int, list[float]] = {}
    for request in traffic.requests:
        stays.setdefault(request.client, []).append(request.at_seconds)
    assert len(stays) == 4 * 3 + 3  # all but one begin in the middle of a stay
    assert max(max(times) - min(times) for times in stays.values()) < 100.0


def test_silence_is_silent() -> None:
    traffic = made(3, on_off(20.0, on_seconds=50.0, off_seconds=50.0, seconds=300.0))
    spells = {int(request.at_seconds // 50.0) for request in traffic.requests}
    assert spells == {0, 2, 4}


def test_a_sine_day_is_quietest_at_its_ends_and_busiest_in_the_middle() -> None:
    traffic = made(3, sine_day(5.0, 100.0, day_seconds=300.0))
    assert rate(traffic, 0.0, 30.0) < rate(traffic, 60.0, 90.0) < rate(traffic, 135.0, 165.0)
    assert rate(traffic, 270.0, 300.0) < rate(traffic, 210.0, 240.0)


def test_log_normal_lengths_have_the_means_that_were_asked_for() -> None:
    pairs = LogNormalLengths(prompt_mean=1155.0, generated_mean=211.0)(np.random.default_rng(1), 200_000)
    assert pairs.mean(axis=0) == pytest.approx([1155.0, 211.0], rel=0.02)


def test_of_pareto_lengths_few_bring_most_of_the_tokens() -> None:
    lengths = ParetoLengths(prompt_mean=1155.0, generated_mean=211.0)
    pairs = np.sort(lengths(np.random.default_rng(1), 200_000), axis=0)
    even = np.sort(
        LogNormalLengths(prompt_mean=1155.0, generated_mean=211.0)(np.random.default_rng(1), 200_000), axis=0
    )
    longest_share = pairs[-2_000:].sum(axis=0) / pairs.sum(axis=0)
    assert (longest_share > even[-2_000:].sum(axis=0) / even.sum(axis=0)).all()
    assert pairs.max() == CONTEXT_TOKENS
    assert pairs.min(axis=0) == pytest.approx([385, 70], abs=1)


def test_recorded_lengths_stay_in_their_pairs() -> None:
    recorded = [Request(0.0, 4000, 10), Request(1.0, 20, 400)]
    pairs = RecordedLengths.of(recorded)(np.random.default_rng(1), 100)
    assert {tuple(pair) for pair in pairs.tolist()} == {(4000, 10), (20, 400)}


@given(recording=recordings, copies=st.integers(1, 4), seed=seeds)
def test_an_overlay_holds_every_recorded_request_once_a_copy_in_order(
    recording: list[Request], copies: int, seed: int
) -> None:
    traffic = overlaid(seed, name="over", requests=recording, copies=copies, seconds=300.0)
    assert sorted(request[1:3] for request in traffic.requests) == sorted(
        request[1:3] for request in recording * copies
    )
    assert all(before.at_seconds <= after.at_seconds for before, after in pairwise(traffic.requests))
    assert all(0.0 <= request.at_seconds < 300.0 for request in traffic.requests)
    assert overlaid(seed, name="over", requests=recording, copies=copies, seconds=300.0) == traffic


def test_copies_of_an_overlay_begin_at_different_moments() -> None:
    recording = [Request(10.0, 1, 1)]
    traffic = overlaid(5, name="over", requests=recording, copies=3, seconds=300.0)
    assert len({request.at_seconds for request in traffic.requests}) == 3


@given(recording=recordings, factor=st.floats(0.1, 10.0))
def test_a_denser_recording_holds_the_same_requests_in_less_time(recording: list[Request], factor: float) -> None:
    dense = denser(recording, factor)
    assert [request[1:] for request in dense] == [request[1:] for request in recording]
    assert [request.at_seconds * factor for request in dense] == pytest.approx(
        [request.at_seconds for request in recording]
    )


@given(recording=recordings, middle=st.floats(0.0, 300.0))
def test_two_parts_of_a_recording_are_the_whole_and_each_begins_at_zero(
    recording: list[Request], middle: float
) -> None:
    first, second = cut(recording, 0.0, middle), cut(recording, middle, 300.0)
    assert len(first) + len(second) == len(recording)
    assert all(request.at_seconds >= 0.0 for request in (*first, *second))
    assert [request.at_seconds + middle for request in second] == pytest.approx(
        [request.at_seconds for request in recording[len(first) :]]
    )


def test_a_silence_can_be_cut_into_a_recording() -> None:
    recording = Traffic("rec", 300.0, tuple(Request(float(at), 1, 1) for at in range(300)))
    quiet: Curve = ((0.0, 1.0), (100.0, 1.0), (100.0, 0.0), (200.0, 0.0), (200.0, 1.0))
    left = thinned(1, traffic=recording, curve=quiet)
    assert {int(request.at_seconds // 100) for request in left.requests} == {0, 2}
    assert rate(left, 0.0, 99.0) == 1.0


@given(seed=seeds)
def test_longer_prompts_change_nothing_before_their_moment_and_nothing_but_prompts_after(seed: int) -> None:
    before = made(seed, steady(1.0))
    after = longer_prompts(before, 4.0, since_seconds=150.0)
    for old, new in zip(before.requests, after.requests, strict=True):
        prompt = old.prompt_tokens if old.at_seconds < 150.0 else min(4 * old.prompt_tokens, CONTEXT_TOKENS)
        assert new == old._replace(prompt_tokens=prompt)


def clients(seed: int) -> Traffic:
    return closed_loop(seed, name="closed", lengths=LENGTHS, clients=10, think_seconds=5.0, seconds=300.0)


def test_every_client_of_a_closed_loop_begins_once() -> None:
    assert sorted(request.client for request in clients(1).requests) == list(range(10))


def test_a_client_asks_again_only_after_its_answer() -> None:
    traffic = clients(1)
    assert traffic.reply is not None
    following = traffic.reply.after(traffic.requests[0], 50.0)
    assert following is not None
    assert following.client == traffic.requests[0].client
    assert following.at_seconds > 50.0


def test_a_client_sends_nothing_after_the_end() -> None:
    traffic = clients(1)
    assert traffic.reply is not None
    assert traffic.reply.after(traffic.requests[0], 300.0) is None


@given(seed=seeds, ends=st.permutations(range(10)))
def test_what_a_client_asks_next_depends_on_no_other_client(seed: int, ends: list[int]) -> None:
    """Nor on the order of answers: every policy meets the same clients."""
    one, other = clients(seed), clients(seed)
    assert one.reply is not None
    assert other.reply is not None
    in_order = {request.client: one.reply.after(request, 20.0) for request in one.requests}
    first = {request.client: request for request in other.requests}
    assert {client: other.reply.after(first[client], 20.0) for client in ends if client in first} == in_order


def test_a_seeded_generator_is_what_a_scenario_holds() -> None:
    traffic = partial(drawn, name="made", curve=steady(20.0), lengths=LENGTHS, seconds=300.0)
    assert traffic(4) == made(4, steady(20.0))
