"""What a report of `tokenpace replay --sweep` says of the targets of the comparison: two tables, in Markdown.

python -m benchmarks.replay_targets REPORT    # its report.json
"""

import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.report.schema import PolicyResult, Report

OURS = "tokenpace"
MARKS = ("oracle", "told-of-onset")
"""Policies that know more than any real one can."""

EQUAL_POINTS = 0.5
"""Attainments that are no further apart count as equal in a single replay."""

Rows = Mapping[str, Sequence[PolicyResult]]
"""By scenario, of all its seeds."""


def mean(values: Iterable[float | None]) -> float:
    """Return the mean of what is known."""
    return fmean(value for value in values if value is not None)


def points(ours: Iterable[float | None], others: Iterable[float | None]) -> str:
    """Return by how many points the first attain more, and two standard errors where there are several seeds."""
    pairs = zip(ours, others, strict=True)
    found = [100 * (one - other) for one, other in pairs if one is not None and other is not None]
    if len(found) <= 1:
        return f"{mean(found):+.1f}"
    return f"{fmean(found):+.1f} ± {2 * stdev(found) / math.sqrt(len(found)):.1f}"


def of(rows: Sequence[PolicyResult], name: str) -> list[PolicyResult]:
    """Return a policy's results as it is shipped."""
    return [one for one in rows if one.name == name and not one.tuned]


def in_time(rows: Iterable[PolicyResult]) -> float:
    """Return per cent."""
    return 100 * mean(one.attainment for one in rows)


def reported(rows: Rows) -> None:
    """Print what tokenpace did in each scenario as reported, beside the two marks and the best of the others."""
    print(
        "| scenario | in time | good slots | changes/h | cost by the oracle's | points beside it, told | best other |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        ours, oracle, told = (of(found, policy) for policy in (OURS, *MARKS))
        shares = [[one.attainment for one in rows] for rows in (ours, oracle, told)]
        print(
            f"| `{name}` | {in_time(ours):.1f} % | {100 * mean(one.good_slots for one in ours):.0f} % "
            f"| {mean(one.changes_per_hour for one in ours):.0f} | {mean(one.cost_over_oracle for one in ours):.2f} "
            f"| {points(shares[0], shares[1])}, {points(shares[0], shares[2])} | {best_other(found)} |"
        )


def best_other(found: Sequence[PolicyResult]) -> str:
    """Return the cheapest that attains what tokenpace does, or the one that attains most where none does."""
    ours = of(found, OURS)
    settings: dict[tuple[str, float], list[PolicyResult]] = defaultdict(list)
    for one in found:
        if one.name not in (OURS, *MARKS):
            settings[one.name, one.setting].append(one)
    if not settings:
        return ""
    least, paid = in_time(ours) - EQUAL_POINTS, mean(one.cost_over_oracle for one in ours)
    (name, setting), rows = max(
        settings.items(),
        key=lambda item: (min(in_time(item[1]), least), -mean(one.cost_over_oracle for one in item[1])),
    )
    cost = mean(one.cost_over_oracle for one in rows) / paid
    return f"{name} ({setting:g}): {in_time(rows):.1f} %, {cost:.2f}"


def trained(report: Report) -> None:
    """Print what every other policy can do beside tokenpace, with the setting that suits the scenario best."""
    print("| scenario | cheapest at tokenpace's attainment, by its cost | attains most, beside tokenpace |")
    print("|---|---|---|")
    scenarios = dict.fromkeys(one.scenario for policy in report.policies for one in policy.beside)
    peers = [policy for policy in report.policies if policy.name not in (OURS, *MARKS)]
    for scenario in scenarios:
        beside = [(policy.name, one) for policy in peers for one in policy.beside if one.scenario == scenario]
        equal = [(one.cost_over_tokenpace, name) for name, one in beside if one.cost_over_tokenpace is not None]
        most, by = max((one.attainment_over_tokenpace, name) for name, one in beside)
        cheapest = f"{min(equal)[1]}: {min(equal)[0]:.2f}" if equal else "none attains it"
        name = "all, one setting each" if scenario is None else f"`{scenario}`"
        print(f"| {name} | {cheapest} | {by}: {100 * most:+.1f} points |")


def main() -> None:
    """Print the tables."""
    report = Report.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows: dict[str, list[PolicyResult]] = defaultdict(list)
    for scenario in report.scenarios:
        rows[scenario.name] += scenario.policies
    reported(rows)
    print()
    trained(report)
    print()
    for one in report.summary:
        if one.tuned or one.name == OURS or one.name in MARKS or POLICIES[one.name].default == one.setting:
            attainment = 100 * (one.attainment or 0.0)
            print(f"{one.name} {one.setting:g}{' tuned' if one.tuned else ''}: {attainment:.1f} % in time,", end=" ")
            print(
                f"good slots {100 * (one.good_slots or 0.0):.1f} %, {one.cost_over_oracle:.2f} times the oracle's cost"
            )


if __name__ == "__main__":
    main()
