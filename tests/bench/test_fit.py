"""The fit finds the costs that a simulated engine was given."""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.bench.fit import LEAST_ROWS, Row, crowd_rows, fit, lone_rows
from tokenpace.bench.stream import End, Stream
from tokenpace.planning.balance import Costs

COSTS = Costs(step_seconds=0.02, token_seconds=0.003, prompt_token_seconds=0.0005)


def engine(costs: Costs, rate: float, seed: int, *, requests: int = 150) -> list[Stream]:
    """Simulate an engine that works off one prompt at a time, and else steps with all streams that have begun."""
    chance = random.Random(seed)
    due, waiting = 0.0, []
    for _ in range(requests):
        due += chance.expovariate(rate)
        prompt_tokens, tokens = chance.randint(16, 128), chance.randint(8, 40)
        waiting.append((Stream(scheduled_at=due, sent_at=due, prompt_tokens=prompt_tokens), tokens))
    done, running, now = [], [], 0.0
    while waiting or running:
        if not running and waiting:
            now = max(now, waiting[0][0].scheduled_at)
        if waiting and waiting[0][0].scheduled_at <= now:
            stream, tokens = waiting.pop(0)
            now += costs.prompt_token_seconds * (stream.prompt_tokens or 0)
            running.append((stream, tokens))
        now += costs.step_seconds + costs.token_seconds * len(running)
        for stream, _ in running:
            stream.saw("abcd", now)
        for stream, tokens in running:
            if stream.tokens == tokens:
                stream.end = End.COMPLETE
                done.append(stream)
        running = [(stream, tokens) for stream, tokens in running if stream.end is None]
    return done


def alone(costs: Costs) -> list[Stream]:
    return [engine(costs, 1.0, seed, requests=1)[0] for seed in range(10)]


def rows_of(costs: Costs) -> Sequence[Row]:
    rows = lone_rows(alone(costs))
    for number, rate in enumerate((0.5, 1.0, 2.0, 4.0)):
        rows += crowd_rows(engine(costs, rate, number))
    return rows


def test_the_costs_of_a_simulated_engine_are_found() -> None:
    found = fit(rows_of(COSTS))
    assert found is not None
    assert found.step_seconds.value == pytest.approx(COSTS.step_seconds, rel=0.05)
    assert found.token_seconds.value == pytest.approx(COSTS.token_seconds, rel=0.05)
    assert found.prompt_token_seconds.value == pytest.approx(COSTS.prompt_token_seconds, rel=0.05)
    assert found.relative_residual < 0.05


def test_errors_cover_what_noise_does_to_the_costs() -> None:
    chance = random.Random(1)
    truth = (COSTS.step_seconds, COSTS.token_seconds, COSTS.prompt_token_seconds)
    noisy = [row._replace(seconds=row.seconds * chance.gauss(1, 0.05)) for row in rows_of(COSTS)]
    found = fit(noisy)
    assert found is not None
    for cost, true in zip((found.step_seconds, found.token_seconds, found.prompt_token_seconds), truth, strict=True):
        assert 0 < cost.error < 0.1 * true
        assert abs(cost.value - true) < 4 * cost.error + 0.05 * true


def test_prompts_of_streams_that_were_cut_before_the_server_counted_them_are_as_long_as_the_others() -> None:
    whole = Stream(0.0, event_times=[1.0, 2.0, 3.0, 6.0], tokens=4, prompt_tokens=30, end=End.COMPLETE)
    cut = Stream(1.0, event_times=[4.0, 7.0], tokens=2)
    assert crowd_rows([whole, cut]) == [Row(seconds=5.0, steps=3.0, tokens=4.0, prompt_tokens=30.0)]


def test_too_few_requests_have_no_fit() -> None:
    assert fit([Row(1.0, 1.0, 1.0, 1.0)] * (LEAST_ROWS - 1)) is None


@given(st.floats(1e-4, 0.1), st.floats(1e-5, 0.01), st.floats(1e-6, 1e-3), st.integers(0, 2), st.integers(0, 1000))
def test_exact_rows_give_exact_costs_one_of_which_may_be_nothing(
    step: float, token: float, prompt: float, nothing: int, seed: int
) -> None:
    true = [0.0 if number == nothing else cost for number, cost in enumerate((step, token, prompt))]
    chance, rows = random.Random(seed), []
    for _ in range(LEAST_ROWS):
        met = chance.uniform(5, 50), chance.uniform(5, 500), chance.uniform(0, 2000)
        rows.append(Row(sum(cost * part for cost, part in zip(true, met, strict=True)), *met))
    found = fit(rows)
    assert found is not None
    values = [found.step_seconds.value, found.token_seconds.value, found.prompt_token_seconds.value]
    assert values == pytest.approx(true, rel=1e-4, abs=1e-9)


def test_costs_are_never_negative() -> None:
    rows = [Row(1.0 + 0.1 * number, 10.0 - number % 7, 10.0 + number, 0.0) for number in range(LEAST_ROWS)]
    found = fit(rows)
    assert found is not None
    assert min(found.step_seconds.value, found.token_seconds.value, found.prompt_token_seconds.value) >= 0


def test_the_simulated_engine_makes_no_token_before_its_prompt_is_worked_off() -> None:
    for stream in engine(COSTS, 2.0, 1):
        assert stream.event_times[0] > stream.scheduled_at + COSTS.prompt_token_seconds * (stream.prompt_tokens or 0)
        assert all(before < after for before, after in pairwise(stream.event_times))
