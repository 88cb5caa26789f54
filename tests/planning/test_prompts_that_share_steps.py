"""An engine that takes running streams along while it reads a prompt, and times the two together, as llama.cpp does."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tokenpace.api.variant import Expected
from tokenpace.planning.balance import Shape, Targets, capacity
from tokenpace.planning.learning import Learned, learn, prompt_token_seconds
from tokenpace.planning.observation import Reading

STEP_SECONDS, TOKEN_SECONDS, PROMPT_TOKEN_SECONDS = 0.03, 0.075, 0.033
"""SmolLM2-135M q8_0 under llama.cpp at 120m CPU."""
SHAPE, SLOTS, WINDOW_SECONDS = Shape(prompt_tokens=4, generated_tokens=8), 4, 30.0
TARGETS = Targets(
    stream_seconds_per_token=1.0,
    stream_deviations=1.28,
    first_token_seconds=8.0,
    late_share=0.1,
    mean_wait_seconds=30.0,
)
EXPECTED = Expected(
    stream_tokens_per_second=8, generation_tokens_per_second=11, at_streams=4, prefill_tokens_per_second=17
)


@dataclass
class Stream:
    started_at: float
    tokens: int = 0
    first_token_at: float = 0.0


@dataclass
class SharingPod:
    """Step by step: streams that run get a token, prompts that found a slot are read and get their first."""

    chance: random.Random
    requests_per_second: float
    at: float = 0.0
    arrival: float = 0.0
    waiting: int = 0
    running: list[Stream] = field(default_factory=list)

    def readings(self, seconds: float) -> Iterator[Reading]:
        while self.at < seconds:
            yield self.window()

    def window(self) -> Reading:
        begin, tokens, prompts, prompt_seconds, ended, ended_seconds, stream_seconds = self.at, 0, 0, 0.0, 0, 0.0, 0.0
        while self.at < begin + WINDOW_SECONDS:
            new = self.admit()
            before = self.at
            self.step(new)
            stream_seconds += (self.at - before) * len(self.running)
            tokens, prompts = tokens + len(self.running), prompts + len(new)
            prompt_seconds += sum(stream.first_token_at - stream.started_at for stream in new)
            over = [stream for stream in self.running if stream.tokens >= SHAPE.generated_tokens]
            ended, ended_seconds = ended + len(over), ended_seconds + sum(self.at - s.first_token_at for s in over)
            self.running = [stream for stream in self.running if stream not in over]
        window = self.at - begin
        return Reading(
            window_seconds=window,
            generated_tokens_per_second=tokens / window,
            prompt_tokens_per_second=prompts * SHAPE.prompt_tokens / window,
            running_streams=stream_seconds / window,
            waiting_requests=self.waiting,
            slots=SLOTS,
            seconds_per_prompt_token=prompt_seconds / (prompts * SHAPE.prompt_tokens) if prompts else None,
            prompts_share_steps=True,
            seconds_per_output_token=ended_seconds / (ended * SHAPE.generated_tokens) if ended else None,
        )

    def admit(self) -> list[Stream]:
        if not self.running and not self.waiting:
            self.at = max(self.at, self.arrival)
        while self.arrival <= self.at:
            self.waiting += 1
            self.arrival += self.chance.expovariate(self.requests_per_second)
        new = [Stream(self.at) for _ in range(min(self.waiting, SLOTS - len(self.running)))]
        self.waiting -= len(new)
        return new

    def step(self, new: Sequence[Stream]) -> None:
        prompt = TOKEN_SECONDS + PROMPT_TOKEN_SECONDS * SHAPE.prompt_tokens
        self.at += STEP_SECONDS + TOKEN_SECONDS * len(self.running) + prompt * len(new)
        for stream in new:
            stream.first_token_at = self.at
        self.running.extend(new)
        for stream in self.running:
            stream.tokens += 1


def learned_capacity(*requests_per_second: float, seed: int) -> list[float]:
    """Tokens/s of a replica, as believed after ten minutes at each load in turn."""
    learned, believed = Learned.expected("inputs", EXPECTED), []
    for number, rate in enumerate(requests_per_second):
        for reading in SharingPod(random.Random(f"{seed} {number}"), rate).readings(600.0):
            learned = learn(learned, [reading], SHAPE.generated_tokens, reading.window_seconds)
        assert learned.costs is not None
        load = capacity(learned.costs, SHAPE, TARGETS, slots=SLOTS, most_streams=SLOTS)
        assert load is not None
        believed.append(load.tokens_per_second)
    return believed


@pytest.mark.parametrize("seed", range(4))
def test_capacity_is_the_same_whether_it_was_learned_from_a_half_full_pod_or_a_nearly_full_one(seed: int) -> None:
    half_full, nearly_full = learned_capacity(0.5, 0.9, seed=seed)
    assert half_full == pytest.approx(nearly_full, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_a_load_that_comes_and_goes_leaves_the_capacity_where_it_was(seed: int) -> None:
    before, _, after = learned_capacity(0.5, 0.9, 0.5, seed=seed)
    assert after == pytest.approx(before, rel=0.05)


def test_the_step_that_a_prompt_shares_is_not_the_prompts() -> None:
    # Two prompts of ten tokens a second; of y = 0.1 s, 0.08 s are the step and 0.02 s what prompts add: c·p = 0.2.
    reading = Reading(
        window_seconds=30.0,
        generated_tokens_per_second=20.0,
        prompt_tokens_per_second=20.0,
        running_streams=2.0,
        waiting_requests=0.0,
        seconds_per_prompt_token=(0.1 + 0.08) / 10,
        prompts_share_steps=True,
        seconds_per_output_token=0.1,
    )
    assert prompt_token_seconds(reading, request_tokens=10.0) == pytest.approx(0.01)


def test_prompts_that_seem_to_be_all_steps_still_cost_something() -> None:
    reading = Reading(
        window_seconds=30.0,
        generated_tokens_per_second=20.0,
        prompt_tokens_per_second=20.0,
        running_streams=4.0,
        waiting_requests=9.0,
        seconds_per_prompt_token=0.02,
        prompts_share_steps=True,
        seconds_per_output_token=0.6,
    )
    assert prompt_token_seconds(reading, request_tokens=10.0) == pytest.approx(0.002)
