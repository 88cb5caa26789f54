"""From what was replayed to `report.json`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from statistics import fmean
from typing import Final

from tokenpace.replay.comparison import Case, Mark, Replayed, Sweep, cheapest, times_the_cost
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.report.schema import (
    Beside,
    Point,
    PolicyAbout,
    PolicyResult,
    Report,
    ScenarioResult,
    SpeedSource,
    Summary,
)
from tokenpace.replay.scenarios import HELD_OUT
from tokenpace.replay.truth import Fleet, Scenario

ORACLE: Final = "oracle"

OURS: Final = "tokenpace"


def build(
    replayed: Mapping[Case, Replayed],
    scenarios: Sequence[Scenario],
    *,
    sweep: Sweep,
    tuned: Mapping[str, float],
    trace: str | None,
    advice: Sequence[str] = (),
) -> Report:
    """Return the report.

    Args:
        replayed: what is reported, of the scenarios and of no others.
        scenarios: in the order of the report.
        sweep: how each setting did in the training; empty where nothing was swept.
        tuned: by policy, the setting that was chosen in its favour.
        trace: name of the recording.
        advice: sentences for the owner of the fleet.
    """
    results = tuple(
        _scenario(scenario, seed, replayed, tuned)
        for scenario in scenarios
        for seed in sorted({case.seed for case in replayed if case.scenario == scenario.name})
    )
    names = sorted({case.policy for case in replayed}, key=list(POLICIES).index)
    return Report(
        tokenpace=version("tokenpace"),
        trace=trace,
        oracle=ORACLE if ORACLE in names else None,
        summary=_summaries(results),
        scenarios=results,
        policies=tuple(_about(POLICIES[name], sweep, tuned.get(name)) for name in names),
        speeds=_speeds(scenario.fleet for scenario in scenarios),
        advice=tuple(advice),
    )


def _scenario(
    scenario: Scenario, seed: int, replayed: Mapping[Case, Replayed], tuned: Mapping[str, float]
) -> ScenarioResult:
    rows = [one for case, one in replayed.items() if (case.scenario, case.seed) == (scenario.name, seed)]
    oracle = replayed.get(Case(scenario.name, seed, ORACLE, POLICIES[ORACLE].default))
    return ScenarioResult(
        name=scenario.name,
        about=scenario.about,
        seed=seed,
        fleet=scenario.fleet.name,
        held_out=scenario.name in HELD_OUT,
        fluid_cost=rows[0].fluid_cost if rows else None,
        policies=tuple(
            PolicyResult(
                name=one.case.policy,
                tuned=is_tuned(one.case, tuned),
                setting=one.case.setting,
                cost_over_oracle=None if oracle is None else times_the_cost(one.score, oracle.score),
                **asdict(one.score),
            )
            for one in sorted(rows, key=lambda one: (list(POLICIES).index(one.case.policy), is_tuned(one.case, tuned)))
        ),
    )


def is_tuned(case: Case, tuned: Mapping[str, float]) -> bool:
    """Tell whether a case has the setting that was chosen in its policy's favour, and not just the default."""
    return case.setting == tuned.get(case.policy) and case.setting != POLICIES[case.policy].default


def _summaries(results: Iterable[ScenarioResult]) -> tuple[Summary, ...]:
    rows: dict[tuple[str, bool, float], dict[str, list[PolicyResult]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for one in result.policies:
            rows[one.name, one.tuned, one.setting][result.name].append(one)

    def mean(
        by_scenario: Mapping[str, Sequence[PolicyResult]], value: Callable[[PolicyResult], float | None]
    ) -> float | None:
        means = [
            fmean(known)
            for of_one in by_scenario.values()
            if (known := [number for one in of_one if (number := value(one)) is not None])
        ]
        return fmean(means) if means else None

    return tuple(
        Summary(
            name=name,
            tuned=tuned,
            setting=setting,
            attainment=mean(found, lambda one: one.attainment),
            good_slots=mean(found, lambda one: one.good_slots),
            cost_over_oracle=mean(found, lambda one: one.cost_over_oracle),
            degraded_share=mean(found, lambda one: one.degraded_share),
            changes_per_hour=mean(found, lambda one: one.changes_per_hour) or 0.0,
            reversals_per_hour=mean(found, lambda one: one.reversals_per_hour) or 0.0,
            switches_per_hour=mean(found, lambda one: one.switches_per_hour) or 0.0,
        )
        for (name, tuned, setting), found in rows.items()
    )


def _about(kind: PolicyKind, sweep: Sweep, tuned: float | None) -> PolicyAbout:
    return PolicyAbout(
        name=kind.name,
        source=kind.source,
        knob=kind.knob,
        default=kind.default,
        tuned=tuned,
        sweep=tuple(
            Point(scenario=scenario, setting=mark.setting, attainment=mark.attainment, cost_over_oracle=mark.cost)
            for scenario, found in sweep.items()
            for mark in found.get(kind.name, ())
        ),
        beside=tuple(
            _beside(scenario, found[kind.name], ours)
            for scenario, found in sweep.items()
            if kind.name != OURS and kind.name in found and (ours := as_shipped(found)) is not None
        ),
    )


def as_shipped(found: Mapping[str, Sequence[Mark]]) -> Mark | None:
    """Return how tokenpace did as it is shipped; None where it did not take part."""
    return next((mark for mark in found.get(OURS, ()) if mark.setting == POLICIES[OURS].default), None)


def _beside(scenario: str | None, candidates: Sequence[Mark], ours: Mark) -> Beside:
    equal = cheapest(candidates, ours.attainment)
    return Beside(
        scenario=scenario,
        cost_over_tokenpace=equal.cost / ours.cost if equal is not None and ours.cost > 0 else None,
        attainment_over_tokenpace=max(mark.attainment for mark in candidates) - ours.attainment,
    )


def _speeds(fleets: Iterable[Fleet]) -> tuple[SpeedSource, ...]:
    """Return where speeds come from, each fleet of a name once."""
    found = {
        (fleet.name, variant.name): SpeedSource(
            fleet=fleet.name,
            variant=variant.name,
            hourly_cost=None if variant.hourly_cost is None else float(variant.hourly_cost),
            source=fleet.variants[variant.name].speeds.source,
        )
        for fleet in fleets
        for variant in fleet.spec.ladder
    }
    return tuple(found.values())
