"""Requests failed and streams cut over many switches of variant under load: `python -m e2e.switches`."""

import argparse
import itertools
import statistics
from datetime import UTC, datetime

from rich.console import Console

from e2e.installation import laboratory
from e2e.llmdeployment import SERVINGS, START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import told

SWITCHES = 10
REPLICAS = 2
LOAD = 1.2
"""Replicas' worth of the slower variant: two of either are enough."""
SWITCH_SECONDS = 240


def main() -> None:
    """Go up and down a ladder of two again and again, and say what clients lost."""
    parser = argparse.ArgumentParser(prog="python -m e2e.switches", description=__doc__)
    parser.add_argument("--switches", type=int, default=SWITCHES)
    parser.add_argument("--serving", choices=SERVINGS, default="llama-cpp")
    flags = parser.parse_args()
    console = Console(width=110)
    with laboratory("switches") as (namespace, operator):
        switch_and_tell(LLMDeployment(namespace, "chat"), operator, console, flags)


def switch_and_tell(
    resource: LLMDeployment, operator: RunningOperator, console: Console, flags: argparse.Namespace
) -> None:
    """Put load on a fleet of two and send it to and fro."""
    serving = SERVINGS[flags.serving]

    def on(variant: str) -> None:
        """Ask for one variant, as a person would."""
        wish = manifest(
            "chat",
            file=serving.file,
            variants=("q8", "q4"),
            scaling={"mode": "Manual", "variant": variant, "maxReplicas": REPLICAS},
        )
        wish["spec"]["replicas"] = REPLICAS
        resource.kubectl.apply(wish)
        resource.until_ready({variant: REPLICAS}, seconds=SWITCH_SECONDS)

    first = manifest(
        "chat", file=serving.file, variants=("q8", "q4"), scaling={"mode": "Manual", "maxReplicas": REPLICAS}
    )
    with told(resource, first, operator, keep_alive=serving.keep_alive) as story:
        resource.until_condition("Ready", "True", seconds=START_SECONDS)
        on("q8")
        story.add_load("load", LOAD * story.recording.capacity_of_a_replica())
        taken = []
        for number, variant in zip(range(1, flags.switches + 1), itertools.cycle(("q4", "q8")), strict=False):
            begun_at = datetime.now(UTC)
            on(variant)
            taken.append((datetime.now(UTC) - begun_at).total_seconds())
            console.print(f"{number}: to {variant} in {taken[-1]:.0f} s; {len(story.broken_streams())} streams broken")
        story.end_load("load")
        streams = len(story.loads["load"].streams())
        broken = story.broken_streams()
    console.print(
        f"{flags.serving}: {flags.switches} switches, {statistics.median(taken):.0f} s each (median); "
        f"{streams} streams, {len(broken)} failed or cut"
    )
    for line in broken:
        console.print(line)


if __name__ == "__main__":
    main()
