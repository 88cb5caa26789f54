"""Schedules: fixed by their seed, with the rate that they were asked for."""

import random
from itertools import islice, pairwise

import pytest

from tokenpace.bench.arrivals import Poisson, Recorded, around
from tokenpace.traces import Request

POISSON = Poisson(prompt_tokens=100, generated_tokens=20, spread=0.5)


def test_the_same_seed_offers_the_same_and_another_seed_something_else() -> None:
    first, again, other = (list(islice(POISSON.arrivals(3.0, random.Random(seed)), 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_gaps_have_the_mean_and_the_deviation_of_an_exponential() -> None:
    times = [arrival.at_seconds for arrival in islice(POISSON.arrivals(4.0, random.Random(1)), 20_000)]
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.25, rel=0.03)
    assert deviation == pytest.approx(0.25, rel=0.03)


def test_lengths_are_around_their_means() -> None:
    found = list(islice(POISSON.arrivals(1.0, random.Random(1)), 2000))
    prompts = [arrival.prompt_tokens for arrival in found]
    assert (min(prompts), max(prompts)) == (50, 150)
    assert sum(prompts) / len(prompts) == pytest.approx(100, rel=0.03)


def test_without_spread_all_requests_are_alike_and_never_empty() -> None:
    assert {around(7, 0.0, random.Random(seed)) for seed in range(10)} == {7}
    assert around(1, 0.9, random.Random(1)) == 1


def test_a_recording_is_stretched_to_the_rate_and_begins_again() -> None:
    recorded = Recorded((Request(0.0, 10, 5), Request(1.0, 20, 6), Request(4.0, 30, 7)))
    found = list(islice(recorded.arrivals(1.0, random.Random(1)), 6))
    assert [arrival.at_seconds for arrival in found] == pytest.approx([0.0, 0.5, 2.0, 3.0, 3.5, 5.0])
    assert [arrival.prompt_tokens for arrival in found] == [10, 20, 30, 10, 20, 30]
    assert (recorded.prompt_tokens, recorded.generated_tokens) == (20, 6)
