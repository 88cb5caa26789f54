"""Switches, scale changes and kills of the operator under one load, and what clients lost: `python -m e2e.upheaval`."""

import argparse
import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from e2e.installation import laboratory
from e2e.kubectl import Manifest
from e2e.llmdeployment import SERVINGS, START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import seconds_since, until

SWITCHES = 20
SCALE_CHANGES = 50
KILLS = 10
FEWEST, MOST = 2, 3
"""Replicas between which it scales."""
LOAD = 1.2
"""Replicas' worth of the slower variant: two of either are enough."""
CHANGES_A_LOAD = 8
"""Loads end by themselves after half an hour, so that another one takes over, before the first is stopped."""
LONGEST_PAUSE_SECONDS = 12.0
"""From a change to the kill: a tick and a bit, so that it hits any moment of one."""
RESTART_SECONDS = 360
"""The kubelet waits up to five minutes before it starts again what dies often."""
CHANGE_SECONDS = RESTART_SECONDS + 240


class Wish(NamedTuple):
    """What is asked for."""

    variant: str
    replicas: int


FIRST = Wish("q8", FEWEST)


def main() -> int:
    """Turn a fleet over again and again, say what clients lost, and fail if that is anything."""
    parser = argparse.ArgumentParser(prog="python -m e2e.upheaval", description=__doc__)
    parser.add_argument("--switches", type=int, default=SWITCHES)
    parser.add_argument("--scale-changes", type=int, default=SCALE_CHANGES)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serving", choices=SERVINGS, default="llama-cpp")
    flags = parser.parse_args()
    with laboratory("upheaval") as (namespace, operator):
        lost = turn_over(LLMDeployment(namespace, "chat"), operator, Console(width=110), flags)
    return int(bool(lost))


def wishes(switches: int, scale_changes: int, chance: random.Random) -> Iterator[Wish]:
    """Yield what is asked for, one change after another: the other variant, or the other number of replicas."""
    variants, sizes = itertools.cycle(("q4", "q8")), itertools.cycle((MOST, FEWEST))
    variant, replicas = FIRST
    kinds = ["switch"] * switches + ["scale"] * scale_changes
    chance.shuffle(kinds)
    for kind in kinds:
        if kind == "switch":
            variant = next(variants)
        else:
            replicas = next(sizes)
        yield Wish(variant, replicas)


def turn_over(
    resource: LLMDeployment, operator: RunningOperator, console: Console, flags: argparse.Namespace
) -> list[str]:
    """Carry out every change under load, killing the operator after some; return what clients lost."""
    chance = random.Random(flags.seed)
    changes = list(wishes(flags.switches, flags.scale_changes, chance))
    fatal = set(chance.sample(range(len(changes)), min(flags.kills, len(changes))))
    serving = SERVINGS[flags.serving]
    declared = partial(manifest_of, file=serving.file, most=max(wish.replicas for wish in (FIRST, *changes)))
    taken_seconds: list[float] = []
    with told(resource, declared(FIRST), operator, keep_alive=serving.keep_alive) as story:
        resource.until_ready({FIRST.variant: FIRST.replicas}, seconds=START_SECONDS)
        tokens_per_second = LOAD * story.recording.capacity_of_a_replica()
        for number, wish in enumerate(changes):
            if number % CHANGES_A_LOAD == 0:
                take_over(story, tokens_per_second)
            begun_at = datetime.now(UTC)
            if number in fatal:
                kill_after(operator, partial(resource.kubectl.apply, declared(wish)), chance)
            else:
                resource.kubectl.apply(declared(wish))
            resource.until_ready({wish.variant: wish.replicas}, seconds=CHANGE_SECONDS)
            taken_seconds.append(seconds_since(begun_at))
            done = f"{number + 1}: {wish.replicas} of {wish.variant} in {taken_seconds[-1]:.0f} s"
            killed = ", operator killed" if number in fatal else ""
            console.print(f"{done}{killed}; {len(story.broken_streams())} streams lost")
        for name in list(story.offered):
            story.end_load(name)
        streams = sum(len(load.streams()) for load in story.loads.values())
        lost = story.broken_streams()
    console.print(
        f"{flags.serving}: {flags.switches} switches, {flags.scale_changes} scale changes, {len(fatal)} kills (seed "
        f"{flags.seed}), {statistics.median(taken_seconds):.0f} s each (median); {streams} streams, {len(lost)} failed "
        "or cut"
    )
    for line in lost:
        console.print(line)
    return lost


def manifest_of(wish: Wish, *, file: Path, most: int) -> Manifest:
    """Return the manifest with which a person asks for a fleet, and never for more replicas than ``most``."""
    scaling = {"mode": "Manual", "variant": wish.variant, "maxReplicas": most}
    body = manifest("chat", file=file, variants=("q8", "q4"), scaling=scaling)
    body["spec"]["replicas"] = wish.replicas
    return body


def take_over(story: Story, tokens_per_second: float) -> None:
    """Begin a fresh load, and then end the one before."""
    before = list(story.offered)
    story.add_load(f"load-{len(story.loads)}", tokens_per_second)
    for name in before:
        story.end_load(name)


def kill_after(operator: RunningOperator, change: Callable[[], None], chance: random.Random) -> None:
    """Make a change, and kill the operator at a random moment of what it then does; wait until it is back."""
    with operator.armed() as trigger:
        change()
        time.sleep(chance.uniform(0.0, LONGEST_PAUSE_SECONDS))
        trigger.pull()
        until(
            operator.restarts,
            lambda seen: seen > trigger.restarts,
            what="the operator was killed and is back",
            seconds=RESTART_SECONDS,
        )


if __name__ == "__main__":
    sys.exit(main())
