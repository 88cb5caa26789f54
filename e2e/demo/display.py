"""How a running LLMDeployment looks in a terminal, or line by line where there is none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from e2e.recording import Sample

_BAR_WIDTH = 40
_TABLE_ROWS = 24


class Show(Protocol):
    """Takes the samples so far, again and again."""

    def __call__(self, samples: Sequence[Sample]) -> None:
        """Show the newest."""


@contextmanager
def showing(console: Console, full_scale: float) -> Iterator[Show]:
    """Give something to show samples with: a table that redraws itself, or a line each where there is no terminal.

    Args:
        console: where to.
        full_scale: tokens/s at the right end of the bars.
    """
    if not console.is_terminal:
        console.print(_HEAD)
        yield lambda samples: console.print(_line(samples[-1]), soft_wrap=True)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield lambda samples: live.update(_table(samples[-_TABLE_ROWS:], full_scale))


_HEAD = f"{'time':>6} {'demand':>7} {'served':>7} {'capacity':>8} {'ready/wanted':>16}  SLO"


def _line(sample: Sample) -> str:
    return (
        f"{_clock(sample):>6} {_speed(sample.demand):>7} {_speed(sample.served):>7} {_speed(sample.capacity):>8}"
        f" {_replicas(sample):>16}  {_verdict(sample)}"
    )


def _table(samples: Sequence[Sample], full_scale: float) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("time", "demand", "served", "capacity", "ready/wanted"):
        table.add_column(heading, justify="right")
    table.add_column("SLO")
    table.add_column("tokens/s", min_width=_BAR_WIDTH)
    for sample in samples:
        table.add_row(
            _clock(sample),
            _speed(sample.demand),
            _speed(sample.served),
            _speed(sample.capacity),
            _replicas(sample),
            Text(_verdict(sample), style="green" if sample.slo_met else "red"),
            _bar(sample, full_scale),
        )
    key = Text.assemble(("█ served  ", "blue"), ("░ wanted and not served  ", "red"), ("│ capacity", "green"))
    return Group(table, key)


def _bar(sample: Sample, full_scale: float) -> Text:
    def cells(tokens_per_second: float | None) -> int:
        return min(_BAR_WIDTH, round((tokens_per_second or 0.0) / full_scale * _BAR_WIDTH))

    served, demand, capacity = cells(sample.served), cells(sample.demand), cells(sample.capacity)
    bar = Text("█" * served, style="blue").append("░" * max(0, demand - served), style="red")
    bar.pad_right(_BAR_WIDTH + 1 - len(bar))
    return Text.assemble(bar[:capacity], ("│", "green"), bar[capacity + 1 :])


def _clock(sample: Sample) -> str:
    return f"{int(sample.elapsed_seconds) // 60}:{int(sample.elapsed_seconds) % 60:02}"


def _speed(tokens_per_second: float | None) -> str:
    return "?" if tokens_per_second is None else f"{tokens_per_second:.1f}"


def _replicas(sample: Sample) -> str:
    used = [name for name in sample.wanted if sample.wanted[name] or sample.ready.get(name)]
    return ", ".join(f"{name} {sample.ready.get(name, 0)}/{sample.wanted[name]}" for name in used)


def _verdict(sample: Sample) -> str:
    return {True: "met", False: "missed", None: "?"}[sample.slo_met]
