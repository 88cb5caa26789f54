"""What each mechanism of the planner brings: replays with it and without it, as a table in Markdown.

    python -m benchmarks.ablations                        # drawn traffic
    python -m benchmarks.ablations --trace TRACE --json FILE --only "back-off"
    python -m benchmarks.ablations --constants            # every listed constant, halved and doubled

Run from the repository's root: the mechanisms are those of the replay's tests. `report.json` has no place for this: a
report is of policies as they ship, and nobody ships a planner with a mechanism off. FILE holds `ablations[]` instead.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.replay.mechanisms import CONSTANTS, MECHANISMS, MODULES, replaced

from tokenpace.api.variant import Expected
from tokenpace.replay.command import read_scenarios
from tokenpace.replay.comparison import Case, Replayed, replay, times_the_cost
from tokenpace.replay.generators import Curve, LogNormalLengths, drawn, flash_crowd, on_off, steady
from tokenpace.replay.llama_fleet import LADDER, llama_fleet
from tokenpace.replay.scenarios import GENERATED_TOKENS, PROMPT_TOKENS
from tokenpace.replay.speeds import LLAMA2_70B_ON_4_H100
from tokenpace.replay.truth import Faults, Fleet, Scenario, Spread

SEEDS = (0, 1)
"""Of the training: mechanisms are chosen by what is found here."""

COLUMNS = ("in time", "good slots", "cost by the oracle's", "changes/h", "switches/h", "below the best")


@dataclass(frozen=True, slots=True)
class Result:
    """Means over the seeds."""

    attainment: float
    good_slots: float
    cost_over_oracle: float
    changes_per_hour: float
    switches_per_hour: float
    degraded_share: float

    def cells(self) -> tuple[str, ...]:
        """Return it in words, in the order of `COLUMNS`."""
        return (
            f"{100 * self.attainment:.1f} %",
            f"{100 * self.good_slots:.0f} %",
            f"{self.cost_over_oracle:.2f}",
            f"{self.changes_per_hour:.1f}",
            f"{self.switches_per_hour:.1f}",
            f"{100 * self.degraded_share:.0f} %",
        )


@dataclass(frozen=True, slots=True)
class Ablation:
    """One mechanism in one scenario."""

    without: str
    scenario: str
    seeds: tuple[int, ...]
    shipped: Result
    ablated: Result
    stays: str


def own_scenarios() -> Iterator[Scenario]:
    """Yield what the comparison has no scenario of, and a mechanism is for."""
    lengths = LogNormalLengths(prompt_mean=PROMPT_TOKENS, generated_mean=GENERATED_TOKENS)
    one, ladder = (partial(llama_fleet, LLAMA2_70B_ON_4_H100, variants=names) for names in (LADDER[:1], LADDER))
    twice: Curve = ((0, 1000), (600, 1000), (700, 2000), (1300, 2000), (1400, 1000), (2000, 1000), (2100, 2000))

    def scenario(name: str, fleet: Fleet, tokens: Curve, faults: Faults | None = None, **of_clients: Any) -> Scenario:
        curve = tuple((float(at), rate / GENERATED_TOKENS) for at, rate in tokens)
        traffic = partial(drawn, name=name, curve=curve, lengths=lengths, seconds=2700.0, **of_clients)
        return Scenario(name=name, about="", fleet=fleet, traffic=traffic, faults=faults or Faults())

    crowd = flash_crowd(800.0, 3.0, at_seconds=900.0, rise_seconds=30.0, lasts_seconds=60.0)
    yield scenario("undeclared", _undeclared(one("undeclared", replicas=4)), steady(700.0))
    yield scenario(
        "metrics-lost-in-a-crowd",
        one("one", replicas=4),
        flash_crowd(600.0, 2.5, at_seconds=600.0, rise_seconds=60.0, lasts_seconds=1500.0),
        Faults(metrics_lost=((700.0, 1600.0),)),
    )
    yield scenario(
        "sticky-few", one("sticky", replicas=8, spread=Spread.STICKY), steady(1000.0), clients=6, stay_seconds=1800.0
    )
    silences = on_off(1000.0, on_seconds=400.0, off_seconds=45.0, seconds=2700.0)
    hasty = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    yield scenario("silences", one("one", replicas=6, scaling=hasty), silences)
    yield scenario("ladder-twice", ladder("ladder", replicas=7, scaling={"maxReplicas": 8}), twice)
    yield scenario(
        "ladder-twice-in-place", ladder("ladder", replicas=7, scaling={"maxReplicas": 8, "maxSurge": 0}), twice
    )
    yield scenario("ladder-crowd", ladder("ladder", replicas=6, scaling={"maxReplicas": 8}), crowd)
    yield scenario(
        "no-room-below",
        ladder("ladder", replicas=6, scaling={"maxReplicas": 8}),
        twice,
        Faults(stock={"fp8": ((0.0, 2700.0, 0),), "awq-int4": ((0.0, 2700.0, 0),)}),
    )
    budget = {"maxReplicas": 8, "degraded": {"maxTokensPercent": 10, "whenSpent": "KeepQuality"}}
    yield scenario("ladder-quality-budget", ladder("ladder", replicas=7, scaling=budget), twice)


def _undeclared(fleet: Fleet) -> Fleet:
    """Return the fleet, of whose speeds nothing is declared."""
    variants = [one.model_copy(update={"expected": Expected()}) for one in fleet.spec.variants]
    return replace(fleet, spec=fleet.spec.model_copy(update={"variants": variants}))


class Laboratory:
    """Replays scenarios with another planner, and remembers what it is compared with."""

    def __init__(self, trace: Path | None) -> None:
        self.scenarios = {one.name: one for one in (*read_scenarios(trace, None), *own_scenarios())}
        self.oracle = cache(partial(self._replay, "oracle"))
        self.shipped = cache(self._result)

    def without(self, values: Mapping[str, Any], scenario: str) -> Result:
        """Return how the planner does with other constants and functions."""
        for seed in SEEDS:
            self.oracle(scenario, seed)  # which plans with the planner's own parts: before they are replaced
        with replaced(values):
            return self._result(scenario)

    def _replay(self, policy: str, scenario: str, seed: int) -> Replayed:
        return replay(self.scenarios[scenario], Case(scenario, seed, policy, 1.0))

    def _result(self, scenario: str) -> Result:
        replayed = [(self._replay("tokenpace", scenario, seed), self.oracle(scenario, seed)) for seed in SEEDS]
        scores = [(ours.score, oracle.score) for ours, oracle in replayed]
        return Result(
            attainment=fmean(score.attainment or 0.0 for score, _ in scores),
            good_slots=fmean(score.good_slots or 0.0 for score, _ in scores),
            cost_over_oracle=fmean(times_the_cost(score, oracle) or 0.0 for score, oracle in scores),
            changes_per_hour=fmean(score.changes_per_hour for score, _ in scores),
            switches_per_hour=fmean(score.switches_per_hour for score, _ in scores),
            degraded_share=fmean(score.degraded_share or 0.0 for score, _ in scores),
        )


def mechanisms(laboratory: Laboratory, only: str) -> Iterator[Ablation]:
    """Yield what comes of each mechanism in each of its scenarios."""
    for mechanism in MECHANISMS:
        if only not in mechanism.name:
            continue
        for name in mechanism.scenarios:
            if name in laboratory.scenarios:  # without a recording nothing is recorded
                shipped = laboratory.shipped(name)
                without = laboratory.without(mechanism.replaced, name)
                yield Ablation(mechanism.name, name, SEEDS, shipped, without, mechanism.stays)


def constants(laboratory: Laboratory, only: str) -> Iterator[Ablation]:
    """Yield what comes of each constant halved and doubled, or as far as it can be."""
    for path, scenarios in CONSTANTS.items():
        if only not in path:
            continue
        module, name = path.split(".")
        value = getattr(MODULES[module], name)
        for scenario in scenarios:
            shipped = laboratory.shipped(scenario)
            doubled = min(2 * value, 1.0) if value < 1 else 2 * value  # a share ends at all
            for other in (type(value)(value / 2), doubled):
                without = laboratory.without({path: other}, scenario)
                yield Ablation(f"{name} = {other:g}", scenario, SEEDS, shipped, without, "")


def rows(of_one: Sequence[Ablation]) -> Iterator[str]:
    """Yield the rows of one mechanism: with it and without it, where that differs, and where nothing does."""
    differ = [one for one in of_one if one.shipped.cells() != one.ablated.cells()]
    for number, one in enumerate(differ):
        pairs = zip(one.shipped.cells(), one.ablated.cells(), strict=True)
        cells = (shipped if shipped == ablated else f"{shipped} → {ablated}" for shipped, ablated in pairs)
        yield f"| {one.without} | `{one.scenario}` | {' | '.join(cells)} | {'' if number else one.stays} |"
    if same := [f"`{one.scenario}`" for one in of_one if one not in differ]:
        stays = "" if differ else of_one[0].stays
        yield f"| {of_one[0].without} | {', '.join(same)} | no difference |{' |' * (len(COLUMNS) - 1)} {stays} |"


def main() -> None:
    """Print the table, a mechanism at a time, and write the file at the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--constants", action="store_true")
    options = parser.parse_args()
    laboratory = Laboratory(options.trace)
    print(f"| without | scenario | {' | '.join(COLUMNS)} | what it is worth, where that is not plain |")
    print(f"|---|---|{'---|' * len(COLUMNS)}---|")
    found: list[Ablation] = []
    measured = (constants if options.constants else mechanisms)(laboratory, options.only)
    for _, together in groupby(measured, key=attrgetter("without")):
        of_one = list(together)
        found += of_one
        print("\n".join(rows(of_one)), flush=True)
    if options.json:
        _write(options.json, found)


def _write(path: Path, found: Sequence[Ablation]) -> None:
    lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in found)
    path.write_text(f'{{"ablations": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
