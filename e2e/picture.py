"""Draws a recording: demand, what was served, capacity and replicas over time.

`python -m e2e.picture .tools/e2e/demo.jsonl docs/demo.svg`
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from e2e.recording import Sample, read

INK = "#7d8590"
"""Legible on white and on GitHub's dark page, which show through: the picture has no background of its own."""
DEMAND, SERVED, CAPACITY = "#e8590c", "#1c7ed6", "#2f9e44"
VARIANTS = ("#9c36b5", "#f08c00", "#0ca678", "#495057")


def draw(samples: Sequence[Sample], picture: Path) -> None:
    """Write the picture as SVG, the same bytes for the same samples."""
    style: dict[Any, Any] = {
        "svg.hashsalt": "tokenpace",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "grid.color": INK,
    }
    with mpl.rc_context(style):
        figure, (speeds, replicas) = plt.subplots(
            2, 1, figsize=(10, 5.2), sharex=True, height_ratios=(3, 1), layout="constrained"
        )
        minutes = [sample.elapsed_seconds / 60 for sample in samples]
        _draw_speeds(speeds, minutes, samples)
        _draw_replicas(replicas, minutes, samples)
        figure.savefig(picture, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)


def _draw_speeds(axes: Axes, minutes: Sequence[float], samples: Sequence[Sample]) -> None:
    served = [_or_gap(sample.served) for sample in samples]
    axes.fill_between(minutes, served, color=SERVED, alpha=0.25, linewidth=0)
    axes.plot(minutes, served, color=SERVED, linewidth=1.5, label="served")
    axes.plot(minutes, [_or_gap(sample.demand) for sample in samples], color=DEMAND, linewidth=2, label="demand")
    capacity = [_or_gap(sample.capacity) for sample in samples]
    axes.step(minutes, capacity, color=CAPACITY, linewidth=2, where="post", label="capacity of the ready replicas")
    axes.set_ylabel("tokens/s")
    axes.set_ylim(bottom=0)
    _legend_above(axes)


def _draw_replicas(axes: Axes, minutes: Sequence[float], samples: Sequence[Sample]) -> None:
    """Draw the ready replicas of each variant on top of each other, in the order in which variants were first used."""
    used = dict.fromkeys(name for sample in samples for name, count in sample.ready.items() if count)
    counts = [[sample.ready.get(name, 0) for sample in samples] for name in used]
    axes.stackplot(minutes, counts, labels=used, colors=VARIANTS, alpha=0.5, linewidth=0, step="post")
    wanted = [sample.wanted_replicas for sample in samples]
    axes.step(minutes, wanted, color=INK, linewidth=1.5, where="post", label="wanted")
    axes.set_ylabel("ready replicas")
    axes.set_xlabel("minutes")
    axes.set_ylim(0, max((*wanted, *(sample.ready_replicas for sample in samples)), default=1) + 1)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, frameon=False, ncols=4)


def _or_gap(speed: float | None) -> float:
    """What is not known leaves a gap in the line: it is not zero."""
    return float("nan") if speed is None else speed


def main() -> None:
    """Read the two paths from the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m e2e.picture", description=__doc__)
    parser.add_argument("recording", type=Path, help="JSON lines of a run, as `make demo` leaves them")
    parser.add_argument("picture", type=Path, help="SVG file to write")
    paths = parser.parse_args()
    draw(read(paths.recording), paths.picture)


if __name__ == "__main__":
    main()
