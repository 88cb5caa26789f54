"""What the commands share: how a manifest comes in, how tables go out, and how a failure is told."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console


def read_manifest(manifest: Path) -> str:
    """Return the text of a file; of standard input where it is called ``-``.

    Raises:
        OSError: it cannot be read.
    """
    return sys.stdin.read() if str(manifest) == "-" else manifest.read_text(encoding="utf-8")


def console_of_width(plain_columns: int) -> Console:
    """Return a console as wide as the terminal; where there is none, with so many columns."""
    console = Console()
    if not console.is_terminal:
        console.width = plain_columns
    return console


@contextmanager
def told_in_a_line(command: str, *foreseen: type[Exception]) -> Iterator[None]:
    """End the command with an error's own words and status 1, where it is one that a person can mend."""
    try:
        yield
    except foreseen as error:
        typer.echo(f"tokenpace {command}: {error}", err=True)
        raise typer.Exit(1) from error
