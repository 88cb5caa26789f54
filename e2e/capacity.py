"""What the operator predicts of one replica, beside what clients measure of it: `python -m e2e.capacity q8`.

Each run first drives one replica into saturation, where clients are served all that it can do, and then offers exactly
the capacity that the operator had reported before, where clients must get what is promised.

With ``--from-card FILE`` the operator starts from that speed card (``python -u -m e2e.bench``), with a pod of the size
that the card was measured in, and the first line is what it predicts from it before any load.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from e2e.clients_view import ClientsView, served_when_full
from e2e.installation import laboratory
from e2e.kubectl import TOOLS, Manifest
from e2e.llmdeployment import SERVINGS, SLOTS, START_SECONDS, LLMDeployment, manifest, planned_from
from e2e.load_pod import SHAPE, Load, start_load
from e2e.recording import Recording, recording
from e2e.waiting import until
from tokenpace.api.speed_card import LLMSpeedCard
from tokenpace.api.status import SpeedSource
from tokenpace.planning.balance import pod_load
from tokenpace.planning.prior import fitted_belief

RUNS = 5
SATURATION = 1.6
"""Times the reported capacity: a replica's slots are full throughout."""
SATURATED_SECONDS = 45
FILLING_SECONDS = 15
"""From the first arrival until every slot is taken."""
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
    full = served_by_a_full_replica(resource, f"crowd-{number}", SATURATION * capacity)
    begun_at, steady = offered(resource, f"steady-{number}", capacity, STEADY_SECONDS)
    slo = manifest("chat")["spec"]["slo"]
    return Run(
        capacity=capacity,
        saturated=predicted,
        served_saturated=full,
        at_capacity=ClientsView.of([steady], slo, begun_at, datetime.now(UTC)),
    )


def served_by_a_full_replica(resource: LLMDeployment, name: str, tokens_per_second: float) -> float:
    """Offer more than a replica can do; return the tokens/s that clients were served while every slot was taken."""
    begun_at, crowd = offered(resource, name, tokens_per_second, SATURATED_SECONDS)
    filled_at, ended_at = (begun_at + timedelta(seconds=seconds) for seconds in (FILLING_SECONDS, SATURATED_SECONDS))
    return statistics.fmean(served_when_full([crowd], filled_at, ended_at))


def apply_with_card(resource: LLMDeployment, variant: str, card: Manifest) -> None:
    """Apply a card, and the resource with one replica of a variant that is planned from it."""
    resource.kubectl.apply(card, planned_from(card, resource.name, variant))
    resource.until_condition("Ready", "True", seconds=START_SECONDS)


def predicted_from_card(resource: LLMDeployment, card: LLMSpeedCard) -> tuple[float, float]:
    """Return the capacity that the status tells before any load, and what the card says of a full replica."""
    seen = until(
        lambda: resource.status()["variants"][0],
        lambda variant: variant.get("source") == SpeedSource.MEASURED and "learned" not in variant,
        what="capacity is predicted from the card",
        seconds=30,
    )
    full = pod_load(fitted_belief(card.spec).costs, SHAPE, SLOTS, SLOTS)
    return float(seen["capacity"]), full.tokens_per_second


def offered(resource: LLMDeployment, name: str, tokens_per_second: float, seconds: float) -> tuple[datetime, Load]:
    """Offer a load and wait until its last stream has ended; return when it began."""
    load = start_load(resource.kubectl, name, profile=f"{tokens_per_second:.2f}:{seconds}")
    load.wait(seconds + 120)
    return load.begun_at, load


def saturated_tokens_per_second(resource: LLMDeployment) -> float:
    """Return what the status says a replica can do with every slot taken."""
    return pod_load(resource.learned_costs(), SHAPE, SLOTS, SLOTS).tokens_per_second


def table(runs: Sequence[Run], from_card: tuple[float, float] | None) -> Table:
    """Return what was predicted from a card, every run, and the medians of the speeds."""
    shown = Table("run", "capacity", "saturated", "served saturated", "served at capacity", "first token", "stream")
    if from_card is not None:
        shown.add_row("card", *(f"{speed:.2f}" for speed in from_card), *("",) * 4)
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
    parser.add_argument("--from-card", type=Path, help="file with the LLMSpeedCard of this variant")
    flags = parser.parse_args()
    console = Console(width=110)
    with laboratory("capacity") as (namespace, operator):
        resource = LLMDeployment(namespace, "chat")
        from_card: tuple[float, float] | None = None
        if flags.from_card is not None:
            card: Manifest = yaml.safe_load(flags.from_card.read_text(encoding="utf-8"))
            apply_with_card(resource, flags.variant, card)
            from_card = predicted_from_card(resource, LLMSpeedCard.model_validate(card))
            console.print(f"predicted before any load: {from_card[0]:.2f} tokens/s, {from_card[1]:.2f} when full")
        else:
            file = SERVINGS[flags.serving].file
            resource.kubectl.apply(manifest("chat", file=file, variants=(flags.variant,), scaling={"mode": "Manual"}))
            resource.until_condition("Ready", "True", seconds=START_SECONDS)
        runs: list[Run] = []
        with recording(operator, resource, TOOLS / "e2e" / "capacity.jsonl") as recorded:
            offered(resource, "first", 8, 30)
            until(
                lambda: resource.status()["variants"][0].get("learned"), bool, what="something is learned", seconds=90
            )
            for number in range(1, flags.runs + 1):
                runs.append(measure(resource, recorded, number))
                console.print(f"{number} of {flags.runs}")
    console.print(table(runs, from_card))


if __name__ == "__main__":
    main()
