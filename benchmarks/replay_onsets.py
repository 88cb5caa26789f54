"""Whether what is promised holds but for the time that help takes: requests in time outside it, after demand jumps.

python -m benchmarks.replay_onsets TRACE [SEED ...]    # as for `tokenpace replay --trace`; seeds: 100
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenpace.replay.outcome import ClientView
from tokenpace.replay.policies.oracle import lead_seconds
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.scenarios import scenarios
from tokenpace.replay.scoring import meets
from tokenpace.replay.simulate import simulate
from tokenpace.replay.truth import Scenario
from tokenpace.traces import read_trace

ONSETS: Final = {"step": 600.0, "flash-crowd": 900.0}
"""When demand begins to grow, in seconds."""

DETECTION_SECONDS: Final = 40.0
"""A step is seen within 36 s in nine of ten cases (docs/planning.md, Measured), and acted upon at the next tick."""


@dataclass(frozen=True, slots=True)
class Share:
    """Requests, and how many of them were in time."""

    requests: int
    in_time: int

    @property
    def per_cent(self) -> float:
        """Return the share."""
        return 100 * self.in_time / self.requests


def share(scenario: Scenario, requests: Sequence[ClientView]) -> Share:
    """Return how many of the requests met every target."""
    return Share(len(requests), sum(meets(one, scenario.fleet.spec.slo) for one in requests))


def measured(scenario: Scenario, policy: str, seed: int) -> tuple[Share, Share]:
    """Return the share of all requests, and of those outside the time in which help is on its way."""
    kind = POLICIES[policy]
    at_work = kind.make(scenario.fleet, scenario.traffic(seed), kind.default)
    requests = simulate(scenario, at_work, seed=seed, name=policy, setting=kind.default).requests
    onset = ONSETS[scenario.name]
    start_up = max(lead_seconds(scenario.fleet, name) for name in scenario.fleet.variants)
    # What has waited is worked off in a lead time, where `backlogDrainSeconds` is not declared.
    until = onset + DETECTION_SECONDS + 2 * start_up
    outside = [one for one in requests if not onset <= one.at_seconds < until]
    return share(scenario, requests), share(scenario, outside)


def main() -> None:
    """Print the figures for docs/replay.md."""
    trace, *seeds = sys.argv[1:]
    found = {one.name: one for one in scenarios(read_trace(Path(trace)))}
    for name in ONSETS:
        for policy in ("tokenpace", "told-of-onset", "oracle"):
            results = [measured(found[name], policy, seed) for seed in map(int, seeds or ["100"])]
            whole, outside = ([part.per_cent for part in parts] for parts in zip(*results, strict=True))
            means = f"{sum(whole) / len(whole):.1f} % in time, {sum(outside) / len(outside):.1f} % outside"
            print(f"{name}, {policy}: {means} the time that help takes (least of {len(outside)}: {min(outside):.1f} %)")


if __name__ == "__main__":
    main()
