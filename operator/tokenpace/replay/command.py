"""`tokenpace replay`: reads what is to be replayed, replays it, and writes the report."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tokenpace.replay.archive import Archive, ArchiveError
from tokenpace.replay.comparison import Case, Mark, Replayed, Source, Sweep, replay_all, swept, tuned
from tokenpace.replay.fleet_file import FleetFileError, read_fleet
from tokenpace.replay.generators import denser
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.report.advice import advice
from tokenpace.replay.report.build import ORACLE, OURS, as_shipped, build
from tokenpace.replay.report.figures import MARKS
from tokenpace.replay.report.schema import Report
from tokenpace.replay.report.write import write
from tokenpace.replay.scenarios import HELD_OUT, TRAINING_SEEDS, replay_of, scenarios
from tokenpace.replay.speeds import SpeedTableError
from tokenpace.replay.truth import Scenario
from tokenpace.traces import TraceError, read_recording

ALL: Final = "all"


class ReplayError(ValueError):
    """What was asked for cannot be replayed; the message names the option and the cure."""


@dataclass(frozen=True, slots=True)
class _Work:
    """How cases are replayed, and where they are kept."""

    source: Source
    processes: int
    archive: Archive
    console: Console

    def replayed(self, cases: Collection[Case], what: str) -> dict[Case, Replayed]:
        """Replay the cases that are not kept yet, behind a progress bar; return all of them."""
        done = self.archive.replayed
        missing = [case for case in cases if case not in done]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(what, total=len(cases), completed=len(cases) - len(missing))

            def keep(one: Replayed) -> None:
                self.archive.keep(one)
                progress.advance(task)

            replay_all(missing, self.source, processes=self.processes, on_done=keep)
        return {case: done[case] for case in cases}


def replay(
    *,
    trace: Path | None,
    fleet: Path | None,
    copies: int = 1,
    faster: float = 1.0,
    scenario: str,
    policy: str,
    seeds: Sequence[int],
    processes: int,
    sweep: bool,
    settings: Path | None,
    resume: bool,
    out: Path,
    console: Console,
) -> Report:
    """Replay and write the report.

    Args:
        trace: recorded traffic.
        fleet: a user's own fleet, on which the trace is replayed; without one the scenarios of the comparison are.
        copies: of the trace, laid over each other.
        faster: how many times as fast as recorded its requests come.
        scenario: names with commas between, or `ALL`.
        policy: likewise.
        seeds: of what is reported.
        processes: that replay at the same time.
        sweep: whether to try every setting of every policy on the training part first.
        settings: a former `report.json`, whose tuned settings are reported beside the defaults.
        resume: whether replays that the folder has already are not done again.
        out: folder of the report.
        console: for the progress and a table of the results.

    Raises:
        ReplayError: what was asked for cannot be replayed.
        OSError: a file cannot be read or written.
    """
    source = partial(read_scenarios, trace, fleet, copies, faster)
    try:
        known = source()
    except (TraceError, FleetFileError, SpeedTableError) as error:
        raise ReplayError(str(error)) from error
    names = _chosen("--scenario", scenario, [one.name for one in known])
    policies = _chosen("--policy", policy, list(POLICIES))
    chosen_scenarios = [one for one in known if one.name in names]
    settled = _settings(settings)
    out.mkdir(parents=True, exist_ok=True)
    try:
        archive = Archive.begin(out, (trace, fleet), reshaped=(copies, faster), resume=resume)
    except ArchiveError as error:
        raise ReplayError(str(error)) from error
    work = _Work(source, processes, archive, console)
    found: Sweep = {}
    training = [one.name for one in chosen_scenarios if one.name not in HELD_OUT]
    training_seeds = TRAINING_SEEDS[: len(seeds)]
    if sweep:
        found = _sweep(training, policies, training_seeds, work)
        settled = _tuned(found[None])
    replayed = work.replayed(_reported(names, seeds, policies, settled), "replaying")
    report = build(
        replayed,
        chosen_scenarios,
        sweep=found,
        tuned=settled,
        trace=None if trace is None else trace.name,
        advice=_advice(chosen_scenarios[0], replayed, seeds[0]) if fleet else (),
    )
    words = f"{', '.join(training)} with seeds {', '.join(map(str, training_seeds))}"
    write(report, replayed, found, words, out)
    console.print(_table(report))
    return report


def read_scenarios(
    trace: Path | None, fleet: Path | None, copies: int = 1, faster: float = 1.0
) -> tuple[Scenario, ...]:
    """Return the scenarios: of the comparison, or a user's own trace on their own fleet.

    Raises:
        ReplayError: a fleet was given, and no trace, or its schedules go by a clock that the trace does not have; or
            the trace is to be reshaped, and there is no fleet.
        TraceError, FleetFileError, SpeedTableError, OSError: a file cannot be read.
    """
    recording = None if trace is None else read_recording(trace)
    if fleet is None:
        if (copies, faster) != (1, 1.0):
            raise ReplayError("--copies, --faster: must be given with --fleet: the scenarios have sizes of their own")
        return scenarios(None if recording is None else recording.requests)
    if recording is None:
        raise ReplayError("--trace: must be given with --fleet: the requests that the fleet is to serve")
    if not 0 < faster < math.inf:
        raise ReplayError(f"--faster: must be above 0, not {faster:g}; with 2 the trace takes half of its time")
    own, faults = read_fleet(fleet)
    begins_at_seconds = recording.begins_at_seconds if (copies, faster) == (1, 1.0) else None
    if own.spec.scaling.schedules and begins_at_seconds is None:
        raise ReplayError(
            f"{fleet}: spec.scaling.schedules: go by the clock, and the requests have none: give a --trace whose times "
            "are dates, without --copies and --faster, or remove them"
        )
    requests = denser(recording.requests, faster)
    return (replay_of(requests, own, faults, copies=copies, begins_at_seconds=begins_at_seconds),)


def _chosen(option: str, text: str, known: Sequence[str]) -> list[str]:
    """Return the names that were asked for, in the order in which they are known."""
    asked = {name.strip() for name in text.split(",") if name.strip()}
    if asked == {ALL}:
        return list(known)
    if unknown := sorted(asked - set(known)):
        raise ReplayError(f"{option}: {', '.join(unknown)}: there is no such; choose of {ALL}, {', '.join(known)}")
    if not asked:
        raise ReplayError(f"{option}: names nothing; choose of {ALL}, {', '.join(known)}")
    return [name for name in known if name in asked]


def _settings(path: Path | None) -> dict[str, float]:
    """Return the tuned settings of a former report."""
    if path is None:
        return {}
    try:
        former = Report.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ReplayError(f"--settings: {path}: is no report.json of this version: run with --sweep anew") from error
    return {one.name: one.tuned for one in former.policies if one.tuned is not None and one.name in POLICIES}


def _sweep(names: Sequence[str], policies: Sequence[str], seeds: Sequence[int], work: _Work) -> Sweep:
    if not names:
        raise ReplayError(f"--scenario: {', '.join(HELD_OUT)}: nothing is tuned on it: name another too with --sweep")
    if ORACLE not in policies or OURS not in policies:
        raise ReplayError(f"--policy: must have {ORACLE} and {OURS} with --sweep: settings are compared with theirs")
    cases = [
        Case(name, seed, policy, setting)
        for name in names
        for seed in seeds
        for policy in policies
        for setting in dict.fromkeys((POLICIES[policy].default, *POLICIES[policy].sweep))
    ]
    return swept(list(work.replayed(cases, "sweeping").values()), ORACLE)


def _tuned(found: Mapping[str, Sequence[Mark]]) -> dict[str, float]:
    """Return the setting that suits each peer best. Ours is reported as it is shipped."""
    ours = as_shipped(found)
    if ours is None:
        return {}
    return {name: tuned(marks, ours.attainment) for name, marks in found.items() if name not in (OURS, *MARKS)}


def _reported(
    names: Collection[str], seeds: Collection[int], policies: Collection[str], settled: Mapping[str, float]
) -> list[Case]:
    """Return every policy as it is shipped, and where another setting suits it better, with that as well."""
    return [
        Case(name, seed, chosen, setting)
        for name in names
        for seed in seeds
        for chosen in policies
        for setting in dict.fromkeys((POLICIES[chosen].default, settled.get(chosen, POLICIES[chosen].default)))
    ]


def _advice(scenario: Scenario, replayed: Mapping[Case, Replayed], seed: int) -> tuple[str, ...]:
    ours = replayed.get(Case(scenario.name, seed, OURS, POLICIES[OURS].default))
    oracle = replayed.get(Case(scenario.name, seed, ORACLE, POLICIES[ORACLE].default))
    return advice(scenario.fleet, ours, oracle) if ours else ()


def _table(report: Report) -> Table:
    table = Table("policy", title="Means over all scenarios")
    for column in ("setting", "in time", "good slots", "cost ÷ oracle", "changes/h"):
        table.add_column(column, justify="right")
    for one in report.summary:
        table.add_row(
            f"{one.name}, tuned" if one.tuned else one.name,
            f"{one.setting:g}",
            "" if one.attainment is None else f"{100 * one.attainment:.1f} %",
            "" if one.good_slots is None else f"{100 * one.good_slots:.1f} %",
            "" if one.cost_over_oracle is None else f"{one.cost_over_oracle:.2f}",
            f"{one.changes_per_hour:.1f}",
        )
    return table
