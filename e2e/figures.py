"""Figures of a run, for people to quote: printed as a table when the run ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Figures:
    """Rows of figures in the order in which they were found, each with what was expected of it where there is such."""

    rows: list[Mapping[str, str]] = field(default_factory=list)

    def note(self, what: str, value: float, unit: str, remark: str = "") -> None:
        """Keep one figure."""
        self.rows.append({"what": what, "value": f"{value:.3g}", "unit": unit, "remark": remark})

    def table(self) -> str:
        """Return the figures as a plain table."""
        table = Table("what", "value", "unit", "remark", box=None, pad_edge=False)
        for row in self.rows:
            table.add_row(*row.values())
        console = Console(width=110, no_color=True)
        with console.capture() as capture:
            console.print(table)
        return capture.get()
