"""The plots: as files with a white ground, and within the page in the colours of its light or dark theme."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tokenpace.replay.comparison import Mark
from tokenpace.replay.curves import Curves

INK: Final = "#101114"
"""Of text and axes: in the page it becomes the page's own colour of text."""

FAINT: Final = "#c9ccd2"
"""Of grids, likewise."""

ACCENT: Final = "#d1495b"
"""tokenpace."""

PALETTE: Final = ("#4c78a8", "#e08e2b", "#54a24b", "#b279a2", "#2a9d8f", "#9d755d", "#7a7fd1", "#c7589a", "#8c9a2f")
"""Others: of a middle lightness, to be read on white and on black."""

STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "font.size": 9.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "tokenpace",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

MARKS: Final[Mapping[str, str]] = {"oracle": ":", "told-of-onset": "--"}
"""Policies that know more than any real one can, and how their curves are dashed."""


def pareto(marks: Mapping[str, Sequence[Mark]], defaults: Mapping[str, float], title: str) -> Figure:
    """Return attainment by cost: a curve a policy over the settings of its knob, and its default as a larger point."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(marks.items()):
            colour = _colour(name, number)
            curve = sorted(points, key=lambda one: one.setting)
            axes.plot(
                [one.cost for one in curve],
                [100 * one.attainment for one in curve],
                color=colour,
                linewidth=2.4 if name == "tokenpace" else 1.2,
                linestyle=MARKS.get(name, "-"),
                marker="o",
                markersize=3,
                label=name,
                zorder=3 if name == "tokenpace" else 2,
            )
            for one in points:
                if one.setting == defaults.get(name):
                    axes.plot([one.cost], [100 * one.attainment], "o", color=colour, markersize=8, zorder=4)
        axes.set_xlabel("cost, as a multiple of the oracle's")
        axes.set_ylabel("requests in time, %")
        axes.set_title(title, loc="left")
        if any(one.cost > 4 for points in marks.values() for one in points):  # noqa: PLR2004 - beyond, points crowd
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("{x:g}")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def timeline(title: str, shown: Sequence[tuple[str, Curves]]) -> Figure:
    """Return what some policies did in one scenario, side by side: tokens, pods and queue by the minute."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(shown) + 1.0, 6.0), layout="constrained")
        rows = figure.subplots(3, len(shown), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2, 1.3))
        for column, (name, curves) in enumerate(shown):
            minutes = [slot * curves.slot_seconds / 60 for slot in range(len(curves.demand))]
            _tokens(rows[0][column], minutes, curves)
            _pods(rows[1][column], minutes, curves)
            rows[2][column].fill_between(minutes, curves.waiting, step="post", color=ACCENT, alpha=0.6, linewidth=0)
            rows[0][column].set_title(name, loc="left")
            rows[2][column].set_xlabel("minutes")
        rows[0][0].set_ylim(0, max(_tokens_shown(curves) for _, curves in shown))
        rows[1][0].set_ylim(0, max(_pods_shown(curves) for _, curves in shown))
        for axes, label in zip(rows[:, 0], ("tokens/s", "pods", "waiting"), strict=True):
            axes.set_ylabel(label)
        rows[0][-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        rows[1][-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.suptitle(title, x=0.01, ha="left")
        return figure


def _tokens(axes: Axes, minutes: Sequence[float], curves: Curves) -> None:
    axes.step(minutes, curves.demand, where="post", color=INK, linewidth=1.0, label="demand")
    axes.step(minutes, curves.served, where="post", color=PALETTE[4], linewidth=1.4, label="served")
    axes.step(
        minutes, curves.capacity, where="post", color=ACCENT, linewidth=1.2, linestyle="--", label="capacity in time"
    )


def _tokens_shown(curves: Curves) -> float:
    """Return how far the axis goes: a fleet that is far too large would flatten what matters."""
    asked = max((*curves.demand, *curves.served, 1.0))
    return 1.05 * max(asked, min(max(curves.capacity, default=0.0), 2.2 * asked))


def _pods_shown(curves: Curves) -> float:
    columns = zip(*curves.ready.values(), curves.starting, strict=True)
    return 1.05 * max((sum(column) for column in columns), default=1.0) or 1.0


def _pods(axes: Axes, minutes: Sequence[float], curves: Curves) -> None:
    names = [*curves.ready, "not serving"]
    colours = [*(PALETTE[number % 4] for number in range(len(curves.ready))), FAINT]
    axes.stackplot(
        minutes, *curves.ready.values(), curves.starting, labels=names, colors=colours, linewidth=0, step="post"
    )


def _colour(name: str, number: int) -> str:
    if name == "tokenpace":
        return ACCENT
    return INK if name in MARKS else PALETTE[number % len(PALETTE)]


def save(figure: Figure, path: Path) -> None:
    """Write a plot as a PNG file."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, dpi=130, facecolor="white", metadata={"Software": None})


def inline_svg(figure: Figure) -> str:
    """Return a plot as SVG that takes its ink from the page's style (`--ink`, `--line`)."""
    text = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(INK, "var(--ink)").replace(FAINT, "var(--line)")
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", drawn, count=1)
