"""What the operator predicts of one replica, beside what clients measure of it: `python -m e2e.capacity q8`.

Each run first drives one replica into saturation, where clients are served all that it can do, and then offers exactly
the capacity that the operator had reported before, where clients must get what is promised.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from e2e.clients_view import ClientsView
from e2e.crowd import SATURATION, offered, served_by_a_full_replica
from e2e.installation import laboratory
from e2e.kubectl import TOOLS
from e2e.llmdeployment import SERVINGS, SLOTS, START_SECONDS, LLMDeployment, manifest
from e2e.load_pod import SHAPE
from e2e.recording import Recording, recording
from e2e.waiting import until
from tokenpace.planning.balance import pod_load

RUNS = 5
STEADY_SECONDS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One prediction and what became of it. Speeds in tokens/s."""

    capacity: float
    """At which targets hold, as reported before the run."""
    saturated: float
    """With every slot taken, by the costs in the status before the run."""
    served_saturated: float
    """As clients counted it."""
    at_capacity: ClientsView
    """What clients saw when exactly the reported capacity was offered."""


def measure(resource: LLMDeployment, recorded: Recording, number: int) -> Run:
    """Saturate the one replica, let its queue drain, and offer its capacity."""
    capacity, predicted = recorded.capacity_of_a_replica(), saturated_tokens_per_second(resource)
    full = served_by_a_full_replica(resource, f"crowd-{number}", SATURATION * capacity, SHAPE)
    steady = offered(resource, f"steady-{number}", capacity, STEADY_SECONDS, SHAPE)
    slo = manifest("chat")["spec"]["slo"]
    return Run(
        capacity=capacity,
        saturated=predicted,
        served_saturated=full,
        at_capacity=ClientsView.of([steady], slo, steady.begun_at, datetime.now(UTC)),
    )


def saturated_tokens_per_second(resource: LLMDeployment) -> float:
    """Return what the status says a replica can do with every slot taken."""
    return pod_load(resource.learned_costs(), SHAPE, SLOTS, SLOTS).tokens_per_second


def table(runs: Sequence[Run]) -> Table:
    """Return every run, and the medians of the speeds."""
    shown = Table("run", "capacity", "saturated", "served saturated", "served at capacity", "first token", "stream")
    for number, run in enumerate(runs, 1):
        in_time = (run.at_capacity.first_token_percent_in_time, run.at_capacity.stream_percent_in_time)
        shown.add_row(str(number), *(f"{speed:.2f}" for speed in speeds(run)), *(f"{share:.0f} %" for share in in_time))
    medians = (statistics.median(column) for column in zip(*map(speeds, runs), strict=True))
    shown.add_row("median", *(f"{speed:.2f}" for speed in medians))
    return shown


def speeds(run: Run) -> tuple[float, ...]:
    return run.capacity, run.saturated, run.served_saturated, run.at_capacity.served_tokens_per_second


def main() -> None:
    """Measure one replica several times and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m e2e.capacity", description=__doc__)
    parser.add_argument("variant", help="of the demo's manifest")
    parser.add_argument("--serving", choices=SERVINGS, default="llama-cpp")
    parser.add_argument("--runs", type=int, default=RUNS)
    flags = parser.parse_args()
    console = Console(width=110)
    with laboratory("capacity") as (namespace, operator):
        resource = LLMDeployment(namespace, "chat")
        record = TOOLS / "e2e" / f"{namespace.namespace}.jsonl"
        file = SERVINGS[flags.serving].file
        resource.kubectl.apply(manifest("chat", file=file, variants=(flags.variant,), scaling={"mode": "Manual"}))
        resource.until_condition("Ready", "True", seconds=START_SECONDS)
        runs: list[Run] = []
        with recording(operator, resource, record) as recorded:
            offered(resource, "first", 8, 30, SHAPE)
            until(
                lambda: resource.status()["variants"][0].get("learned"), bool, what="something is learned", seconds=90
            )
            for number in range(1, flags.runs + 1):
                runs.append(measure(resource, recorded, number))
                console.print(f"{number} of {flags.runs}")
    console.print(table(runs))


if __name__ == "__main__":
    main()
