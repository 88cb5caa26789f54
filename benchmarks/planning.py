"""How long planning takes, and how well simulated fleets follow constant random demand.

    python -m benchmarks.planning            # a minute

Run from the repository's root: the fleets are those of the planner's tests. Exits with 1 if planning takes longer than
its limit.
"""

import math
import random
import statistics
import sys
import time
from dataclasses import dataclass

from tests.planning.declared import LARGE_POD, NOW, declared, observation, pod, reading
from tests.planning.simulated_pods import CPU, Lengths
from tests.planning.simulation import World, constant

from tokenpace.planning.balance import Costs, Shape, capacity
from tokenpace.planning.estimate import targets_of
from tokenpace.planning.memory import Memory
from tokenpace.planning.plan import plan
from tokenpace.planning.queueing import drain_seconds

LIMIT_MILLISECONDS = 1.0
VARIANTS = 5
PODS = 64
SETTLING_SECONDS = 600
PROMISES = (
    {"stream": {"tokensPerSecond": 3}},
    {"stream": {"tokensPerSecond": 6}},
    {"timeToFirstToken": {"milliseconds": 5000}},
)


def milliseconds_of_a_plan() -> float:
    """Return the median over 300 ticks of 5 variants and 64 pods whose readings all change."""
    chance = random.Random(1)
    names = [f"v{number}" for number in range(VARIANTS)]
    spec = declared(
        slo={"stream": {"tokensPerSecond": 25}, "timeToFirstToken": {"milliseconds": 3000}},
        variants=[
            {"name": name, "quality": str(100 - place), "expected": LARGE_POD} for place, name in enumerate(names)
        ],
        maxReplicas=PODS,
    )
    memory, taken = Memory(), []
    for tick in range(300):
        pods = []
        for number in range(PODS):
            streams = chance.gauss(20, 3)
            speed = streams / (0.03 + 0.0003 * streams)
            busy = reading(speed, running=streams, slots=64.0, requests_per_second=speed / 256, window_seconds=60.0)
            pods.append(pod(f"pod-{number}", busy, variant="v0"))
        seen = observation(*pods, replicas={"v0": PODS}, tick=10.0, variants=names)
        begun = time.perf_counter()
        _, memory = plan(spec, seen, memory, NOW + 10 * tick)
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


@dataclass
class Following:
    """How fleets followed demand that never changed."""

    hours: int = 0
    right: float = 0.0
    added: int = 0


def follow(*, exponential: bool) -> Following:
    """Simulate an hour of small pods for each promise, fleet and seed, after ten minutes to settle."""
    found = Following()
    for slo in PROMISES:
        spec = declared(slo=slo)
        load = capacity(
            Costs(CPU.step_seconds, CPU.token_seconds, CPU.prompt_token_seconds),
            Shape(12, 32),
            targets_of(spec.slo, drain_seconds(spec.slo, 5.0)),
            slots=CPU.slots,
            most_streams=4.0,
        )
        if load is None:
            raise ValueError(f"{slo} cannot be kept by a small pod")
        for fleet in (1.5, 2.5, 3.5, 4.5, 5.5):
            for seed in range(3):
                lengths = Lengths(exponential=exponential)
                demand = constant(fleet * load.tokens_per_second)
                world = World(spec, CPU, demand, lengths=lengths, replicas=1, seed=seed).run(4200)
                settled = [tick.replicas for tick in world.ticks if tick.at >= SETTLING_SECONDS]
                found.hours += 1
                found.right += statistics.mean(replicas == math.ceil(fleet) for replicas in settled)
                found.added += sum(change > 0 for change in world.changes(SETTLING_SECONDS))
    return found


def main() -> None:
    """Print the figures for docs/benchmarks.md."""
    milliseconds = milliseconds_of_a_plan()
    print(f"one plan, {VARIANTS} variants, {PODS} pods: {milliseconds:.2f} ms in the median")
    for exponential in (False, True):
        found = follow(exponential=exponential)
        kind = "exponential" if exponential else "equal"
        print(
            f"{kind} lengths: {found.hours} simulated hours, the right replicas {found.right / found.hours:.1%} of the "
            f"time, {found.added} added for nothing"
        )
    sys.exit(milliseconds > LIMIT_MILLISECONDS)


if __name__ == "__main__":
    main()
