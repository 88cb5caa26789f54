"""Writes a report's files: `report.json`, `index.html`, and the plots as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tokenpace.replay.comparison import Case, Replayed, Sweep, price
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.report import figures
from tokenpace.replay.report.page import page
from tokenpace.replay.report.schema import Report

BESIDE: Final = ("tokenpace", "oracle")
"""Policies that every time plot shows, and the best other one beside them."""


def write(
    report: Report,
    replayed: Mapping[Case, Replayed],
    sweep: Sweep,
    training: str,
    folder: Path,
) -> None:
    """Write the files into a folder, which is made where it is missing.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    paretos = {}
    for scenario, found in sweep.items():
        defaults = {name: POLICIES[name].default for name in found}
        figure = figures.pareto(found, defaults, f"Attainment by cost: {scenario or 'all training scenarios'}")
        figures.save(figure, folder / f"pareto{f'-{scenario}' if scenario else ''}.png")
        paretos[scenario] = figures.inline_svg(figure)
    timelines = {}
    for scenario, seed in first_seeds(report):
        shown = _shown([one for case, one in replayed.items() if (case.scenario, case.seed) == (scenario, seed)])
        figure = figures.timeline(f"{scenario}, seed {seed}", [(titled(one.case), one.curves) for one in shown])
        figures.save(figure, folder / f"{scenario}.png")
        timelines[scenario, seed] = figures.inline_svg(figure)
    text = page(report, paretos=paretos, timelines=timelines, training=training)
    (folder / "index.html").write_text(text, encoding="utf-8")


def first_seeds(report: Report) -> list[tuple[str, int]]:
    """Return each scenario with its first seed: one plot says what the others would."""
    first: dict[str, int] = {}
    for one in report.scenarios:
        first.setdefault(one.name, one.seed)
    return list(first.items())


def titled(case: Case) -> str:
    """Return what stands above a policy's column: with its setting, where that is not the default."""
    return case.policy if case.setting == POLICIES[case.policy].default else f"{case.policy} at {case.setting:g}"


def _shown(rows: Sequence[Replayed]) -> list[Replayed]:
    """Return what a plot shows: tokenpace, the oracle, and the peer that does best beside them.

    That is the cheapest of those that attain what tokenpace does, else the one that attains most.
    """
    by_name = {one.case.policy: one for one in rows if one.case.policy in BESIDE}
    peers = [one for one in rows if one.case.policy not in (*BESIDE, *figures.MARKS)]
    ours = by_name.get("tokenpace")
    wanted = (ours.score.attainment or 0.0) if ours else 1.0
    best = max(peers, key=lambda one: _merit(one, wanted), default=None)
    return [*(by_name[name] for name in BESIDE if name in by_name), *([best] if best else [])]


def _merit(one: Replayed, wanted: float) -> tuple[float, float]:
    return min(one.score.attainment or 0.0, wanted), -price(one.score)
