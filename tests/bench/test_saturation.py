"""How often a point is taken for what it is not: a simulated server of four slots under Poisson arrivals.

Its slots share one CPU, as llama.cpp's do, or are each as fast beside others, as a GPU's nearly are. Requests differ in
length by half. Every run has a seed, so that the shares do not change from one test run to the next.
"""

import math
import random
from collections.abc import Callable
from typing import Final

import pytest

from tokenpace.bench.measure import WARM_UP_SHARE
from tokenpace.bench.point import Window, is_saturated
from tokenpace.bench.stream import End, Stream

SLOTS: Final = 4
RUNS: Final = 100
PREFILL_SHARE: Final = 0.2
"""Of a request's work."""
Speed = Callable[[int], float]
"""Work a second that each of so many requests gets."""
SERVERS: Final[dict[str, Speed]] = {"one CPU": lambda running: 1 / running, "a GPU": lambda _: 1 / SLOTS}


def simulated(load: float, requests: int, speed: Speed, seed: int) -> bool:
    """Return what is said of one point at a share of the capacity, which is one request of mean length a second."""
    randomness, seconds = random.Random(seed), requests / load
    warm_up = WARM_UP_SHARE * seconds
    streams = served(list(arrivals(load, warm_up + 2 * seconds, randomness)), speed)
    window = Window(warm_up, warm_up + seconds)
    lone = PREFILL_SHARE / speed(1)
    return is_saturated(streams, window, offered_requests_per_second=load, lone_first_token_seconds=lone)


def arrivals(rate: float, seconds: float, randomness: random.Random) -> list[tuple[float, float]]:
    """Return moments, with the work of the request that comes then."""
    moments, at = [], 0.0
    while (at := at + randomness.expovariate(rate)) < seconds:
        moments.append((at, randomness.uniform(0.5, 1.5)))
    return moments


def served(due: list[tuple[float, float]], speed: Speed) -> list[Stream]:
    """Return the streams of requests that are worked on in the order in which they came, `SLOTS` at a time."""
    streams = [Stream(scheduled_at=at) for at, _ in due]
    left, waiting, running = [work for _, work in due], list(range(len(due))), list[int]()
    now = 0.0
    while waiting or running:
        each = speed(len(running)) if running else 0.0
        can_start = waiting and len(running) < SLOTS
        starts_at = max(now, due[waiting[0]][0]) if can_start else math.inf
        ends_at = now + min((left[one] for one in running), default=math.inf) / each if running else math.inf
        reached = min(starts_at, ends_at)
        for one in running:
            before, left[one] = left[one], left[one] - each * (reached - now)
            prompt_left = (1 - PREFILL_SHARE) * due[one][1]
            if before > prompt_left >= left[one]:
                streams[one].event_times.append(now + (before - prompt_left) / each)
        now = reached
        if starts_at <= ends_at:
            running.append(waiting.pop(0))
            continue
        one = min(running, key=lambda each: left[each])
        running.remove(one)
        streams[one].event_times.append(now)
        streams[one].end = End.COMPLETE
    return streams


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("load", "requests", "least", "most"),
    [
        (0.8, 25, 0.0, 0.02),
        (1.2, 25, 0.5, 1.0),
        (1.5, 25, 0.8, 1.0),
        (2.0, 25, 0.9, 1.0),
        (0.8, 50, 0.0, 0.02),
        (1.2, 50, 0.8, 1.0),
        (1.5, 50, 0.98, 1.0),
        (2.0, 50, 0.98, 1.0),
    ],
)
def test_points_are_rarely_taken_for_what_they_are_not(
    server: str, load: float, requests: int, least: float, most: float
) -> None:
    full = sum(simulated(load, requests, SERVERS[server], seed) for seed in range(RUNS)) / RUNS
    assert least <= full <= most
