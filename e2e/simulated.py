"""A fleet of real llama.cpp pods beside its simulation under the same requests: `python -m e2e.simulated`.

The simulated engine has the costs that `tokenpace bench` measures of one of the pods *before* the runs, while it is
alone, and nothing else from a run but the moments at which requests came. Those that the operator learns are right at
the load that it sees; how they divide a step and a token is as declared until the load changes. Loads alternate, so
that a machine that gets slower is in both. Ends with an error if a median is further from what was measured than a
tenth and the runs' noise.

The pods are larger than the demo's, and so are the requests. A CPU quota stops a pod for the rest of each 100 ms in
which it is used up; to one of 0.12 CPU that happens within a single step, whose length is then a matter of luck.
"""

import argparse
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from rich.console import Console
from rich.table import Table

from e2e import bench
from e2e.installation import laboratory
from e2e.kubectl import TOOLS, Manifest
from e2e.llmdeployment import SLOTS, START_SECONDS, LLMDeployment, manifest
from e2e.load_pod import Line, moment, start_load
from e2e.recording import recording
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.bench.options import Options
from tokenpace.planning.balance import Costs, Shape
from tokenpace.replay.outcome import ClientView
from tokenpace.replay.policies.policy import Unchanging
from tokenpace.replay.simulate import simulate
from tokenpace.replay.traffic import Request, Traffic
from tokenpace.replay.truth import Fleet, Prefill, Scenario, Speeds, VariantTruth

RUNS = 6
REPLICAS = 2
SHAPE = Shape(16, 48)
RESOURCES = {"requests": {"cpu": "300m"}, "limits": {"cpu": "600m"}}
EXPECTED = {"streamTokensPerSecond": 40, "generationTokensPerSecond": 55, "prefillTokensPerSecond": 135}
"""Five times what a pod of 0.12 CPU does."""
LOADS = (0.5, 0.8)
"""Of the capacity that is reported for the fleet, in turn."""
RUN_SECONDS = 90
FIRST_SECONDS = 120
"""Of load before the first run, at the larger of the two: the operator learns from it."""
TOLERANCE = 0.1
LUCKS = 20
"""Ways to spread the same requests over the pods that are simulated, each as likely as the one that was."""


FIGURES = ("tokens/s", "first token, s", "a stream's tokens/s")


@dataclass(frozen=True, slots=True)
class Seen:
    """What clients saw, as in `FIGURES`."""

    served_tokens_per_second: float
    first_token_seconds: float
    """The median."""
    stream_tokens_per_second: float
    """The median."""

    @classmethod
    def of(cls, first_tokens: Sequence[float], streams: Sequence[float], seconds: float) -> Self:
        """Sum up streams of `SHAPE` that all came to their end."""
        return cls(
            len(first_tokens) * SHAPE.generated_tokens / seconds,
            statistics.median(first_tokens),
            statistics.median(streams),
        )

    def ratios(self, to: Self) -> tuple[float, ...]:
        """Return each figure divided by another's."""
        return (
            self.served_tokens_per_second / to.served_tokens_per_second,
            self.first_token_seconds / to.first_token_seconds,
            self.stream_tokens_per_second / to.stream_tokens_per_second,
        )


def declared(name: str, replicas: int = REPLICAS) -> Manifest:
    """Return the manifest of a fleet that nobody scales."""
    wish = manifest(name, scaling={"mode": "Manual", "maxReplicas": REPLICAS})
    wish["spec"] |= {
        "replicas": replicas,
        "traffic": {"promptTokens": SHAPE.prompt_tokens, "generatedTokens": SHAPE.generated_tokens},
    }
    (variant,) = wish["spec"]["variants"]
    for part, values in RESOURCES.items():
        variant["resources"][part] |= values
    variant["expected"] |= EXPECTED
    return wish


def arrivals(streams: Sequence[Line], begun_at: datetime) -> list[float]:
    """Return when each stream arrived, in seconds since the load began."""
    return sorted(
        (moment(line) - begun_at).total_seconds()
        - line["first_token_seconds"]
        - (line["tokens"] - 1) / line["tokens_per_second"]
        for line in streams
    )


def benchmarked(resource: LLMDeployment) -> Costs:
    """Return what a pod's engine spends its seconds on, while it is the only one."""
    resource.kubectl.apply(declared(resource.name, 1))
    resource.until_ready({"q8": 1}, seconds=START_SECONDS)
    asked = Options(
        url=f"http://{resource.name}",
        model=declared(resource.name)["spec"]["model"]["servedName"],
        prompt_tokens=int(SHAPE.prompt_tokens),
        generated_tokens=int(SHAPE.generated_tokens),
        completions=25,
        bisections=1,
    )
    fit = bench.measured(resource.kubectl, asked, "q8", TOOLS / "e2e").fit
    if fit is None:
        raise RuntimeError("the benchmark met too few requests to fit what they cost")
    return Costs(fit.step_seconds.value, fit.token_seconds.value, fit.prompt_token_seconds.value)


def speeds(costs: Costs) -> Speeds:
    """Return the engine that has these costs.

    The batch that reads a prompt takes the streams that run along and makes the prompt's own first token
    (docs/decisions/0024): a prompt adds that token to a step, and alone it is a step of its own.
    """
    added = costs.token_seconds + costs.prompt_token_seconds * SHAPE.prompt_tokens
    return Speeds(
        step_seconds=tuple(costs.step_seconds + costs.token_seconds * streams for streams in range(1, SLOTS + 1)),
        prompt_token_seconds=added / SHAPE.prompt_tokens,
        shortest_prompt_seconds=costs.step_seconds + added,
        prefill=Prefill.CHUNKED,
    )


def simulated(resource: LLMDeployment, engine: Speeds, arrived: Sequence[float], seed: int) -> Seen:
    """Return what clients would have seen of a simulated fleet."""
    requests = tuple(Request(max(at, 0.0), int(SHAPE.prompt_tokens), int(SHAPE.generated_tokens)) for at in arrived)
    traffic = Traffic("as measured", float(RUN_SECONDS), requests)
    fleet = Fleet(
        name="kind",
        spec=LLMDeploymentSpec.model_validate(declared(resource.name)["spec"]),
        variants={"q8": VariantTruth(speeds=engine, startup_seconds=lambda _: 0.0)},
        replicas={"q8": REPLICAS},
    )
    scenario = Scenario(name="kind", about="Two pods on kind.", fleet=fleet, traffic=lambda _: traffic)
    answers = simulate(scenario, Unchanging(), seed=seed, name="held", setting=0.0).requests
    return Seen.of([_first_token(one) for one in answers], [_stream(one) for one in answers], RUN_SECONDS)


def _first_token(answer: ClientView) -> float:
    assert answer.first_token_at_seconds is not None, "the simulation lost a request"
    return answer.first_token_at_seconds - answer.at_seconds


def _stream(answer: ClientView) -> float:
    assert answer.ended_at_seconds is not None
    assert answer.first_token_at_seconds is not None
    return (answer.generated_tokens - 1) / (answer.ended_at_seconds - answer.first_token_at_seconds)


def measured(resource: LLMDeployment, name: str, tokens_per_second: float, seconds: float) -> tuple[Seen, list[float]]:
    """Put a load on the fleet; return what its clients saw, and when their requests came."""
    load = start_load(resource.kubectl, name, profile=f"{tokens_per_second:.2f}:{seconds}", shape=SHAPE)
    load.wait(seconds + 120)
    streams = load.streams()
    broken = [line["detail"] for line in streams if line["end"] != "complete"]
    if broken:
        raise RuntimeError(f"{len(broken)} streams broke: {broken[0]}")
    seen = Seen.of(
        [line["first_token_seconds"] for line in streams], [line["tokens_per_second"] for line in streams], seconds
    )
    return seen, arrivals(streams, load.begun_at)


def compared(resource: LLMDeployment, engine: Speeds, number: int, tokens_per_second: float) -> tuple[Seen, Seen]:
    """Measure one run and simulate it."""
    seen, arrived = measured(resource, f"run-{number}", tokens_per_second, RUN_SECONDS)
    lucks = [simulated(resource, engine, arrived, seed) for seed in range(LUCKS)]
    likely = Seen(
        statistics.median(one.served_tokens_per_second for one in lucks),
        statistics.median(one.first_token_seconds for one in lucks),
        statistics.median(one.stream_tokens_per_second for one in lucks),
    )
    return seen, likely


@dataclass(frozen=True, slots=True)
class Agreement:
    """One figure, simulated by measured, over all runs."""

    median: float
    error: float
    """Standard error: the noise of the runs."""

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Self:
        """Sum up the ratio of each run."""
        return cls(statistics.median(ratios), statistics.stdev(ratios) / len(ratios) ** 0.5)

    @property
    def holds(self) -> bool:
        """Whether it is as near as asked."""
        return abs(self.median - 1.0) <= TOLERANCE + self.error


def agreements(runs: Sequence[tuple[Seen, Seen]]) -> dict[str, Agreement]:
    """Return by figure how simulated and measured agree."""
    columns = zip(*(likely.ratios(to=seen) for seen, likely in runs), strict=True)
    return {name: Agreement.of(ratios) for name, ratios in zip(FIGURES, columns, strict=True)}


def table(runs: Sequence[tuple[Seen, Seen]], agreed: Mapping[str, Agreement]) -> Table:
    """Return every run, and the median of simulated by measured with its standard error."""
    shown = Table("run", *FIGURES, title="measured / simulated")
    for number, (seen, likely) in enumerate(runs, 1):
        shown.add_row(
            str(number),
            f"{seen.served_tokens_per_second:.2f} / {likely.served_tokens_per_second:.2f}",
            f"{seen.first_token_seconds:.2f} / {likely.first_token_seconds:.2f}",
            f"{seen.stream_tokens_per_second:.2f} / {likely.stream_tokens_per_second:.2f}",
        )
    shown.add_row("simulated by measured", *(f"{one.median:.2f} ± {one.error:.2f}" for one in agreed.values()))
    return shown


def main() -> None:
    """Measure and simulate in turn, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m e2e.simulated", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    flags = parser.parse_args()
    console = Console(width=110)
    with laboratory("simulated") as (namespace, operator):
        resource = LLMDeployment(namespace, "chat")
        engine = speeds(costs := benchmarked(resource))
        console.print(f"a step, a token and a prompt token take {costs}")
        resource.kubectl.apply(declared("chat"))
        resource.until_ready({"q8": REPLICAS}, seconds=START_SECONDS)
        with recording(operator, resource, TOOLS / "e2e" / "simulated.jsonl") as recorded:
            measured(resource, "first", max(LOADS) * REPLICAS * recorded.capacity_of_a_replica(), FIRST_SECONDS)
            runs = []
            for number, share in zip(range(1, flags.runs + 1), itertools.cycle(LOADS), strict=False):
                rate = share * REPLICAS * recorded.capacity_of_a_replica()
                runs.append(compared(resource, engine, number, rate))
                console.print(f"{number} of {flags.runs}")
    agreed = agreements(runs)
    console.print(table(runs, agreed))
    if wrong := [name for name, one in agreed.items() if not one.holds]:
        raise SystemExit(f"not as simulated: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
