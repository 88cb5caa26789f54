"""How long a replay of one policy takes: an hour of recorded conversations over twelve pods that never change.

    python -m benchmarks.replay TRACE.csv    # Azure's columns: TIMESTAMP, ContextTokens, GeneratedTokens

Exits with 1 if it takes longer than its limit.
"""

import csv
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tests.planning.declared import LARGE_POD, declared

from tokenpace.replay.simulate import simulate
from tokenpace.replay.traffic import Request, Traffic
from tokenpace.replay.truth import Fleet, Prefill, Scenario, Speeds, VariantTruth
from tokenpace.replay.view import View

LIMIT_SECONDS = 5.0
PODS = 12


class Unchanging:
    """A policy that looks, and leaves everything as it is."""

    interval_seconds = 10.0

    def decide(self, _: View, /) -> Mapping[str, int]:
        """Return nothing."""
        return {}


def recorded(path: Path) -> Traffic:
    """Read the recorded requests; their times count from the first."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    requests = [
        Request(at - times[0], int(row["ContextTokens"]), max(1, int(row["GeneratedTokens"])))
        for at, row in zip(times, rows, strict=True)
    ]
    return Traffic("recorded", times[-1] - times[0], tuple(sorted(requests)))


def main() -> None:
    """Print the figures for docs/benchmarks.md."""
    traffic = recorded(Path(sys.argv[1]))
    slowest = 0.0
    for prefill in Prefill:
        speeds = Speeds(
            step_seconds=tuple(0.029 + 0.00026 * streams for streams in range(1, 65)),
            prompt_token_seconds=0.00011,
            shortest_prompt_seconds=0.04,
            prefill=prefill,
            kv_tokens=200_000,
        )
        fleet = Fleet(
            name="twelve",
            spec=declared(expected=LARGE_POD),
            variants={"q8": VariantTruth(speeds=speeds, startup_seconds=lambda _: 60.0)},
            replicas={"q8": PODS},
        )
        scenario = Scenario(name="recorded", about="A recorded hour.", fleet=fleet, traffic=lambda _: traffic)
        begun = time.perf_counter()
        outcome = simulate(scenario, Unchanging(), seed=0, name="unchanging", setting=0.0)
        seconds = time.perf_counter() - begun
        slowest = max(slowest, seconds)
        tokens = sum(request.generated_tokens for request in outcome.requests)
        print(
            f"{prefill.lower()} prefill: {len(outcome.requests)} requests and {tokens} tokens over {PODS} pods "
            f"in {seconds:.2f} s (limit {LIMIT_SECONDS:.0f} s)"
        )
    sys.exit(slowest > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
