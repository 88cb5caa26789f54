"""How long the replay of one policy takes: a recorded hour, by twelve pods that never change, and by tokenpace.

    python -m benchmarks.replay TRACE    # as for `tokenpace replay --trace`

Exits with 1 if one takes longer than its limit.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tokenpace.replay.llama_fleet import llama_fleet
from tokenpace.replay.outcome import Outcome
from tokenpace.replay.policies.policy import Policy, Unchanging
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.scenarios import replay_of
from tokenpace.replay.simulate import simulate
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100
from tokenpace.replay.truth import Fleet, Prefill, Scenario
from tokenpace.traces import read_trace

LIMIT_SECONDS = 5.0
"""Of the simulator alone, and of a policy that it simulates."""
PODS = 12


def with_prefill(fleet: Fleet, prefill: Prefill) -> Fleet:
    """Return the same fleet, whose engines read prompts so."""
    variants = {
        name: replace(truth, speeds=replace(truth.speeds, prefill=prefill)) for name, truth in fleet.variants.items()
    }
    return replace(fleet, variants=variants)


def measure(what: str, scenario: Scenario, make: Callable[[], Policy]) -> float:
    """Print what one replay has served and how long it took, and return that."""
    begun = time.perf_counter()
    outcome: Outcome = simulate(scenario, make(), seed=0, name=what, setting=1.0)
    seconds = time.perf_counter() - begun
    tokens = sum(request.generated_tokens for request in outcome.requests)
    pods = sum(outcome.pod_seconds.values()) / outcome.seconds
    print(f"{what}: {len(outcome.requests)} requests, {tokens} tokens, {pods:.1f} pods in the mean, in {seconds:.2f} s")
    return seconds


def main() -> None:
    """Print the figures for docs/benchmarks.md."""
    fleet = llama_fleet(LLAMA2_70B_ON_4_H100, "twelve", replicas=PODS)
    trace = read_trace(Path(sys.argv[1]))
    slowest = 0.0
    for prefill in Prefill:
        scenario = replay_of(trace, with_prefill(fleet, prefill))
        slowest = max(slowest, measure(f"unchanging, {prefill.lower()} prefill", scenario, Unchanging))
    scenario = replay_of(trace, fleet)
    kind = POLICIES["tokenpace"]
    traffic = scenario.traffic(0)
    slowest = max(slowest, measure("tokenpace", scenario, lambda: kind.make(fleet, traffic, kind.default)))
    print(f"the slowest took {slowest:.2f} s (limit {LIMIT_SECONDS:.0f} s)")
    sys.exit(slowest > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
