"""One replica at work."""

import math
import random

import pytest
from tests.replay.worlds import EASY, speeds

from tokenpace.replay.engine import Answer, Engine
from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Prefill, Speeds
from tokenpace.replay.view import Scrape


class Bench:
    """An engine that requests are put into at their times."""

    def __init__(self, truth: Speeds, *, live: bool = True) -> None:
        self.engine = Engine(truth, counts_tokens_live=live)

    def until(self, seconds: float) -> None:
        while self.engine.run_ends_at_seconds <= seconds:
            self.engine.end_run(self.engine.run_ends_at_seconds)

    def send(self, at: float, *, prompt: int = 0, tokens: int = 11) -> Answer:
        self.until(at)
        answer = Answer(Request(at, prompt, tokens))
        self.engine.submit(answer, at)
        return answer

    def scrape(self, at: float) -> Scrape:
        self.until(at)
        return self.engine.scrape(at)

    def finish(self) -> None:
        while self.engine.run_ends_at_seconds < math.inf:
            self.engine.end_run(self.engine.run_ends_at_seconds)


def test_the_first_token_ends_the_prefill_and_each_further_one_takes_a_step() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01))
    answer = bench.send(1.0, prompt=50, tokens=11)
    bench.finish()
    assert answer.first_token_at_seconds == pytest.approx(1.5)
    assert answer.ended_at_seconds == pytest.approx(2.5)


def test_a_request_of_one_token_ends_with_its_prefill() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01))
    answer = bench.send(0.0, prompt=50, tokens=1)
    bench.finish()
    assert answer.ended_at_seconds == answer.first_token_at_seconds == pytest.approx(0.5)


def test_a_short_prompt_takes_the_least_that_any_prompt_takes() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01, shortest_prompt=0.25))
    assert bench.send(0.0, prompt=1) is not None
    assert bench.engine.run_ends_at_seconds == 0.25


def test_steps_take_longer_the_more_streams_share_them() -> None:
    bench = Bench(speeds(step=0.1, token=0.05))
    alone = bench.send(0.0, tokens=11)
    bench.finish()
    together = [bench.send(10.0, tokens=11) for _ in range(3)]
    bench.finish()
    assert alone.ended_at_seconds == pytest.approx(1.5)
    assert [answer.ended_at_seconds for answer in together] == pytest.approx([12.5] * 3)


def test_a_prompt_waits_for_the_step_in_hand() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01))
    bench.send(0.0, tokens=100)
    late = bench.send(0.32, prompt=10)
    bench.finish()
    assert late.first_token_at_seconds == pytest.approx(0.4 + 0.1)


def test_separate_prefill_holds_every_stream_up() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01))
    stream = bench.send(0.0, tokens=11)
    bench.send(0.5, prompt=300, tokens=1)
    bench.finish()
    assert stream.ended_at_seconds == pytest.approx(1.0 + 3.0)


def test_chunked_prefill_slows_streams_down_and_lets_them_go_on() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01, prefill=Prefill.CHUNKED, chunk=10))
    stream = bench.send(0.0, tokens=11)
    prompt = bench.send(0.5, prompt=300, tokens=1)
    bench.finish()
    assert stream.ended_at_seconds == pytest.approx(0.5 + 5 * 0.2)
    assert prompt.first_token_at_seconds == pytest.approx(0.5 + 5 * 0.2 + 25 * 0.1)


def test_a_chunk_takes_several_short_prompts_along() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01, prefill=Prefill.CHUNKED, chunk=100))
    bench.send(0.0, tokens=100)
    short = [bench.send(0.55, prompt=40) for _ in range(3)]
    bench.finish()
    first, second, third = (answer.first_token_at_seconds for answer in short)
    assert first == second == pytest.approx(0.6 + 0.1 + 1.0)
    assert third == pytest.approx(1.7 + 0.1 + 0.2)


def test_what_finds_the_batch_full_waits_in_order() -> None:
    bench = Bench(speeds(step=0.1, batch=2))
    answers = [bench.send(0.0, tokens=11) for _ in range(5)]
    seen = bench.scrape(0.5)
    bench.finish()
    assert (seen.running, seen.waiting) == (2, 3)
    assert [answer.first_token_at_seconds for answer in answers] == pytest.approx([0, 0, 1, 1, 2])
    assert bench.scrape(9.0).queue_seconds == pytest.approx(1 + 1 + 2)


def test_a_full_memory_holds_requests_in_the_queue_though_the_batch_has_room() -> None:
    bench = Bench(speeds(step=0.1, kv=100))
    large = bench.send(0.0, prompt=70, tokens=11)
    second = bench.send(0.0, prompt=20, tokens=11)
    seen = bench.scrape(0.5)
    bench.finish()
    assert (seen.running, seen.waiting, seen.kv_share) == (1, 1, 0.76)
    assert large.ended_at_seconds == second.first_token_at_seconds == pytest.approx(1.0)


def test_a_request_larger_than_the_memory_runs_alone() -> None:
    bench = Bench(speeds(step=0.1, kv=100))
    answer = bench.send(0.0, prompt=500, tokens=11)
    assert bench.scrape(0.55).kv_share == 1.0
    bench.finish()
    assert answer.ended_at_seconds == pytest.approx(1.0)


def test_tokens_are_counted_as_they_come() -> None:
    bench = Bench(EASY)
    bench.send(0.0, tokens=11)
    assert [bench.scrape(at).generated_tokens for at in (0.05, 0.35, 5.0)] == [1, 4, 11]


def test_an_engine_that_counts_at_the_end_shows_a_long_answer_late() -> None:
    bench = Bench(EASY, live=False)
    bench.send(0.0, tokens=11)
    assert [bench.scrape(at).generated_tokens for at in (0.05, 0.95, 5.0)] == [0, 0, 11]


def test_looking_at_the_counters_changes_nothing() -> None:
    chance = random.Random(1)
    ends = []
    for looks in (False, True):
        bench = Bench(speeds(step=0.03, token=0.007, prompt_token=0.01, batch=4))
        answers = []
        for at in range(50):
            answers.append(bench.send(float(at) / 3, prompt=5, tokens=1 + (at * 7) % 23))
            if looks:
                bench.scrape(at / 3 + chance.random() / 3)
        bench.finish()
        ends.append([answer.ended_at_seconds for answer in answers])
    assert ends[0] == ends[1]


def test_inter_token_seconds_include_the_time_that_prompts_take() -> None:
    bench = Bench(speeds(step=0.1, prompt_token=0.01))
    bench.send(0.0, tokens=11)
    bench.send(0.5, prompt=300, tokens=1)
    bench.finish()
    seen = bench.scrape(9.0)
    assert seen.stream_seconds == seen.ended_stream_seconds == pytest.approx(4.0)
    assert seen.prefill_seconds == pytest.approx(3.0)


def test_an_engine_that_stops_says_what_its_clients_have_got() -> None:
    bench = Bench(speeds(step=0.1, batch=2))
    begun = bench.send(0.0, tokens=11)
    bench.send(0.0, tokens=11)
    waiting = bench.send(0.0, tokens=11)
    bench.until(0.35)
    failed = bench.engine.abort(0.35)
    assert len(failed) == 3
    assert (begun.generated_tokens, waiting.generated_tokens) == (4, 0)
    assert bench.engine.run_ends_at_seconds == math.inf
