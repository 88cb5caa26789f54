"""The simulator beside what queueing theory says, and beside a loop over every single step."""

import math
import random
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from tests.replay.worlds import Script, arrivals, replay, speeds, world

from tokenpace.replay.engine import Answer, Engine
from tokenpace.replay.outcome import ClientView, Outcome
from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Prefill, Speeds

STEP = 0.01
BATCHES = 40


def whole(lengths_mean: float, chance: random.Random) -> int:
    """Return tokens whose further steps, after the first token, have an exponential length."""
    return 1 + round(chance.expovariate(1 / lengths_mean))


def in_front(request: ClientView) -> float:
    """Return what it waited before its prefill, which takes no time here."""
    assert request.first_token_at_seconds is not None
    return request.first_token_at_seconds - request.at_seconds


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and its standard error from the means of batches, which hardly depend on each other."""
    size = len(values) // BATCHES
    means = [statistics.fmean(values[place * size : (place + 1) * size]) for place in range(BATCHES)]
    return statistics.fmean(means), statistics.stdev(means) / math.sqrt(BATCHES)


def one_server(requests: Sequence[Request]) -> Outcome:
    truth = speeds(step=STEP, batch=1)
    return replay(
        world(requests, truth=truth, seconds=requests[-1].at_seconds, scrape_seconds=1000.0), Script(every=1e4)
    )


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_exponential_requests_wait_in_one_server_as_in_m_m_1(load: float) -> None:
    chance = random.Random(1)
    requests = arrivals(chance, rate=load, count=20_000, tokens=lambda: whole(100, chance))
    waited, error = mean_and_error([in_front(request) for request in one_server(requests).requests])
    assert error < 0.1 * load / (1 - load)
    assert abs(waited - load / (1 - load)) < 3 * error


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_equal_requests_wait_in_one_server_as_in_m_d_1(load: float) -> None:
    requests = arrivals(random.Random(2), rate=load, count=20_000, tokens=lambda: 101)
    waited, error = mean_and_error([in_front(request) for request in one_server(requests).requests])
    assert error < 0.1 * load / (2 * (1 - load))
    assert abs(waited - load / (2 * (1 - load))) < 3 * error


def test_requests_in_the_fleet_are_their_rate_times_their_time_as_in_littles_law() -> None:
    chance = random.Random(3)
    requests = arrivals(chance, rate=4.0, count=8000, tokens=lambda: whole(40, chance), prompt=200)
    truth = speeds(step=0.02, token=0.004, prompt_token=0.0005, batch=8)
    seconds = requests[-1].at_seconds
    outcome = replay(world(requests, truth=truth, seconds=seconds, scrape_seconds=0.5, replicas={"q8": 3}))
    there = statistics.fmean(moment.running + moment.waiting for moment in outcome.moments)
    spent = sum((request.ended_at_seconds or math.inf) - request.at_seconds for request in outcome.requests)
    assert any(moment.waiting for moment in outcome.moments)
    assert there == pytest.approx(spent / seconds, rel=0.02)


def test_streams_without_limit_have_the_negative_binomial_mean_and_variance() -> None:
    """Source: births at a constant rate, deaths at k / (length * (a + b k)); the load is that which was drawn."""
    chance = random.Random(4)
    step, token = 0.02, 0.002
    requests = arrivals(chance, rate=5.0, count=20_000, tokens=lambda: whole(50, chance))
    seconds = requests[-1].at_seconds
    truth = speeds(step=step, token=token, batch=1000)
    outcome = replay(world(requests, truth=truth, seconds=seconds, scrape_seconds=0.5), Script(every=1e4))
    streams = [moment.running for moment in outcome.moments][100:]
    steps_per_second = sum(request.generated_tokens - 1 for request in requests) / seconds
    idle = 1 - token * steps_per_second
    expected = (step + token) * steps_per_second / idle
    assert statistics.fmean(streams) == pytest.approx(expected, rel=0.02)
    spread, error = mean_and_error([(value - expected) ** 2 for value in streams])
    assert error < 0.1 * expected / idle
    assert abs(spread - expected / idle) < 3 * error


# --- beside a loop over every step ------------------------------------------------------------------------------------


@dataclass
class Stepped:
    """One request in the loop."""

    request: Request
    unread: int
    left: int
    first: float = math.nan
    ended: float = math.nan


def step_by_step(truth: Speeds, requests: Sequence[Request]) -> list[Stepped]:
    """Serve requests one step at a time: slow, and plain enough to be read as the rule."""
    every = [Stepped(request, request.prompt_tokens, request.generated_tokens) for request in requests]
    coming, prompts, streams, now = deque(every), list[Stepped](), list[Stepped](), 0.0
    while coming or prompts or streams:
        if not prompts and not streams:
            now = max(now, coming[0].request.at_seconds)
        while coming and coming[0].request.at_seconds <= now and has_room(truth, prompts, streams, coming[0]):
            prompts.append(coming.popleft())
        chunked = truth.prefill is Prefill.CHUNKED
        decoding = list(streams) if chunked or not prompts else []
        read = shares(prompts, truth.tokens_per_chunk) if chunked else [(one, one.unread) for one in prompts[:1]]
        now += step_seconds(truth, decoding, read)
        for one in decoding:
            one.left -= 1
        for one, tokens in read:
            one.unread -= tokens
            if not one.unread:
                prompts.remove(one)
                one.first, one.left = now, one.left - 1
                streams.append(one)
        for one in [stream for stream in streams if not stream.left]:
            one.ended = now
            streams.remove(one)
    return every


def has_room(truth: Speeds, prompts: list[Stepped], streams: list[Stepped], new: Stepped) -> bool:
    held = [*prompts, *streams, new]
    memory = sum(one.request.prompt_tokens + one.request.generated_tokens for one in held)
    full = truth.prefill is Prefill.CHUNKED and sum(one.unread for one in prompts) >= truth.tokens_per_chunk
    fits = len(held) == 1 or memory <= (truth.kv_tokens or math.inf)
    return fits and not full and len(held) <= len(truth.step_seconds)


def shares(prompts: list[Stepped], room: int) -> list[tuple[Stepped, int]]:
    read = []
    for one in prompts:
        read.append((one, min(room, one.unread)))
        room -= read[-1][1]
    return read


def step_seconds(truth: Speeds, decoding: list[Stepped], read: list[tuple[Stepped, int]]) -> float:
    decode = truth.step_seconds[len(decoding) - 1] if decoding else 0.0
    prompt = truth.prompt_token_seconds * sum(tokens for _, tokens in read)
    return max(truth.shortest_prompt_seconds if read else 0.0, decode + prompt)


def in_runs(truth: Speeds, requests: Sequence[Request]) -> tuple[list[Answer], Engine]:
    """Serve requests by the engine."""
    engine, answers = Engine(truth), [Answer(request) for request in requests]
    for answer in answers:
        while engine.run_ends_at_seconds <= answer.request.at_seconds:
            engine.end_run(engine.run_ends_at_seconds)
        engine.submit(answer, answer.request.at_seconds)
    while engine.run_ends_at_seconds < math.inf:
        engine.end_run(engine.run_ends_at_seconds)
    return answers, engine


@pytest.mark.parametrize("prefill", list(Prefill))
@pytest.mark.parametrize("kv", [None, 3000])
@pytest.mark.parametrize("seed", range(10))
def test_runs_of_equal_steps_give_every_request_the_times_of_single_steps(
    prefill: Prefill, kv: int | None, seed: int
) -> None:
    chance = random.Random(seed)
    truth = speeds(
        step=0.03, token=0.002, prompt_token=0.0003, shortest_prompt=0.045, batch=6, prefill=prefill, chunk=256, kv=kv
    )
    at, requests = 0.0, []
    for _ in range(200):
        at += chance.expovariate(chance.choice([0.5, 5.0]))
        requests.append(Request(at, chance.randint(1, 1500), chance.randint(1, 60)))
    expected = step_by_step(truth, requests)
    answers, engine = in_runs(truth, requests)
    assert [answer.first_token_at_seconds for answer in answers] == pytest.approx([one.first for one in expected])
    assert [answer.ended_at_seconds for answer in answers] == pytest.approx([one.ended for one in expected])
    final = engine.scrape(at + 1e6)
    tokens = sum(request.generated_tokens for request in requests)
    assert (final.running, final.waiting, final.kv_share) == (0, 0, 0.0)
    assert final.generated_tokens == final.ended_generated_tokens == tokens
    assert final.prompt_tokens == final.ended_prompt_tokens == sum(request.prompt_tokens for request in requests)
    assert final.admitted == final.first_tokens == final.ended == len(requests)
    stream_seconds = sum(one.ended - one.first for one in expected)
    assert final.stream_seconds == pytest.approx(stream_seconds)
    assert final.ended_stream_seconds == pytest.approx(stream_seconds)
    assert final.ended_seconds == pytest.approx(sum(one.ended - one.request.at_seconds for one in expected))
    assert final.first_token_seconds == pytest.approx(sum(one.first - one.request.at_seconds for one in expected))
