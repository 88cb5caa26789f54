"""What the planner's balance leaves out, where it is true: memory, steps that are no line, short prompts, two kinds.

python -m benchmarks.simplifications    # a minute

Prints a table in Markdown: constant demand on one variant, tokenpace beside the oracle, seeds 0 and 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

import numpy as np

from tokenpace.replay.comparison import Case, replay, times_the_cost
from tokenpace.replay.generators import Lengths, LogNormalLengths, Pairs, drawn, steady
from tokenpace.replay.llama_fleet import llama_fleet
from tokenpace.replay.scenarios import GENERATED_TOKENS, PROMPT_TOKENS
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100
from tokenpace.replay.truth import Scenario, Speeds

SEEDS = (0, 1)
SECONDS = 2400.0
TOKENS_PER_SECOND = 1300.0
BEND = 16
"""Streams up to which steps are as measured."""
STEEP_SECONDS = 0.002
"""Of each stream beyond."""


@dataclass(frozen=True, slots=True)
class TwoKinds:
    """Prompts of two lengths, and answers of exponential ones."""

    short_tokens: int
    long_tokens: int
    long_share: float

    def __call__(self, chance: np.random.Generator, count: int) -> Pairs:
        """Draw."""
        prompts = np.where(chance.uniform(size=count) < self.long_share, self.long_tokens, self.short_tokens)
        answers = np.maximum(1.0, np.rint(chance.exponential(GENERATED_TOKENS, size=count)))
        return np.column_stack((prompts, answers)).astype(np.int64)


def worlds(true: Speeds) -> Iterator[tuple[str, Speeds, Lengths, float]]:
    """Yield what is true, the lengths of requests and the demand in tokens/s."""
    usual = LogNormalLengths(prompt_mean=PROMPT_TOKENS, generated_mean=GENERATED_TOKENS)
    short = LogNormalLengths(prompt_mean=100.0, generated_mean=GENERATED_TOKENS)
    steps = true.step_seconds
    slope = (steps[-1] - steps[0]) / (len(steps) - 1)
    line = tuple(steps[0] + slope * further for further in range(len(steps)))
    bent = (*steps[:BEND], *(steps[BEND - 1] + STEEP_SECONDS * more for more in range(1, len(steps) - BEND + 1)))
    yield "as measured", true, usual, TOKENS_PER_SECOND
    for tokens in (30_000, 20_000, 12_000):
        yield f"memory for {tokens:,} tokens", replace(true, kv_tokens=tokens), usual, 1000.0
    yield "steps on a line", replace(true, step_seconds=line), usual, TOKENS_PER_SECOND
    yield f"steps that bend at {BEND} streams", replace(true, step_seconds=bent), usual, TOKENS_PER_SECOND
    for floor in (0.0001, 0.049, 0.2):
        what = f"prompts of 100 tokens, none below {1000 * floor:g} ms"
        yield what, replace(true, shortest_prompt_seconds=floor), short, TOKENS_PER_SECOND
    yield "prompts of one length", true, TwoKinds(1155, 1155, 0.0), TOKENS_PER_SECOND
    yield "prompts of 300, one of ten of 8,850", true, TwoKinds(300, 8850, 0.1), TOKENS_PER_SECOND


def main() -> None:
    """Print the table."""
    print("| true | in time | good slots | cost by the oracle's | the oracle: in time | good slots |")
    print(f"|{'---|' * 6}")
    fleet = llama_fleet(LLAMA2_70B_ON_4_H100, "one", replicas=7)
    ((name, truth),) = fleet.variants.items()
    for what, true, lengths, tokens in worlds(truth.speeds):
        curve = steady(tokens / GENERATED_TOKENS)
        scenario = Scenario(
            name=what,
            about="",
            fleet=replace(fleet, variants={name: replace(truth, speeds=true)}),
            traffic=partial(drawn, name=what, curve=curve, lengths=lengths, seconds=SECONDS),
        )
        ours, oracle = (
            [replay(scenario, Case(what, seed, policy, 1.0)).score for seed in SEEDS]
            for policy in ("tokenpace", "oracle")
        )
        cost = fmean(times_the_cost(one, other) or 0.0 for one, other in zip(ours, oracle, strict=True))
        shares = [
            (100 * fmean(one.attainment or 0.0 for one in scores), 100 * fmean(one.good_slots or 0.0 for one in scores))
            for scores in (ours, oracle)
        ]
        (in_time, good), (best, best_good) = shares
        print(
            f"| {what} | {in_time:.1f} % | {good:.0f} % | {cost:.2f} | {best:.1f} % | {best_good:.0f} % |", flush=True
        )


if __name__ == "__main__":
    main()
