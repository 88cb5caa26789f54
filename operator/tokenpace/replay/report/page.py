"""The report as one page that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Mapping
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tokenpace.replay.report.figures import MARKS
from tokenpace.replay.report.schema import Beside, Report

NOTHING: Final = "\N{EN DASH}"
"""Where there is no number."""


def page(
    report: Report, *, paretos: Mapping[str | None, str], timelines: Mapping[tuple[str, int], str], training: str
) -> str:
    """Return the page.

    Args:
        report: the figures.
        paretos: by scenario, and over all (None), the plot of the sweep as SVG; empty where nothing was swept.
        timelines: by scenario and seed, the plot of some policies as SVG; not every scenario needs one.
        training: what the sweep ran on, in words.
    """
    environment = Environment(
        loader=PackageLoader("tokenpace.replay", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, times=_times, rate=_rate, plain=_plain, against=_against)
    return environment.get_template("page.html.jinja").render(
        report=report,
        facts=_facts(report),
        kind=_kind,
        paretos=paretos,
        peers=[one for one in report.policies if one.beside and one.name not in MARKS],
        beside=_beside(report),
        timelines={(one.name, one.seed): timelines.get((one.name, one.seed)) for one in report.scenarios},
        training=training,
    )


def _facts(report: Report) -> str:
    scenarios = {one.name for one in report.scenarios}
    seeds = sorted({one.seed for one in report.scenarios})
    return (
        f"{len(report.policies)} policies, {len(scenarios)} {'scenario' if len(scenarios) == 1 else 'scenarios'}, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}; tokenpace {report.tokenpace}; "
        f"{f'recording {report.trace}' if report.trace else 'drawn traffic only'}."
    )


def _beside(report: Report) -> dict[str | None, dict[str, Beside]]:
    """Return what each policy can do beside tokenpace, by scenario and policy; all scenarios (None) first."""
    rows: dict[str | None, dict[str, Beside]] = {}
    for policy in report.policies:
        for one in policy.beside:
            rows.setdefault(one.scenario, {})[policy.name] = one
    return rows


def _against(one: Beside) -> str:
    """Return a cell: the cost at equal attainment, or by how many points it stays behind."""
    if one.cost_over_tokenpace is not None:
        return f"{one.cost_over_tokenpace:.2f} ×"  # noqa: RUF001 - times
    return f"{100 * one.attainment_over_tokenpace:.1f} points"


def _kind(policy: str) -> str:
    return "ours" if policy == "tokenpace" else "mark" if policy in MARKS else ""


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f} %"


def _times(factor: float | None) -> str:
    return NOTHING if factor is None else f"{factor:.2f}"


def _rate(per_hour: float) -> str:
    return f"{per_hour:.1f}"


def _plain(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g}"
