"""The leaderboard for a terminal. Nothing depends on colours."""

from collections.abc import Iterator

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tokenpace.leaderboard.board import Board, Entry, Terms
from tokenpace.planning.wording import shown

UNKNOWN = "-"
_ABBREVIATIONS = {"token": "tok", "character": "char"}


def terms_sentence(terms: Terms) -> str:
    """Return what every card was asked, in a sentence."""
    unit, first = terms.unit, terms.first_token_milliseconds
    soon = "" if first is None else f" and 95 % of first tokens within {first} ms"
    return (
        f"What one replica generates while {terms.percentile} % of streams get at least "
        f"{shown(terms.stream_per_second)} {unit}s/s{soon}, of requests with {shown(terms.prompt_units)} {unit}s "
        f"in the prompt and {shown(terms.generated_units)} in the answer."
    )


def headings(board: Board) -> tuple[str, ...]:
    """Return the columns' names."""
    unit = _ABBREVIATIONS[board.terms.unit]
    several = ("MODEL",) if board.terms.unit == "character" else ()
    speeds = (f"{unit.upper()}/S", "STREAMS", f"LONE {unit.upper()}/S", "QUALITY", f"COST/M {unit.upper()}", "PARETO")
    return ("CARD", *several, "QUANTIZATION", "ENGINE", "HARDWARE", *speeds)


def cells(board: Board, one: Entry) -> tuple[str, ...]:
    """Return the columns of a row."""
    several = (one.model,) if board.terms.unit == "character" else ()
    about = "~" if one.extrapolated else ""
    return (
        one.name,
        *several,
        one.quantization,
        f"{one.engine} {one.engine_version}",
        one.hardware,
        UNKNOWN if one.capacity_per_second is None else about + shown(one.capacity_per_second),
        UNKNOWN if one.streams is None else about + shown(one.streams),
        shown(one.lone_stream_per_second),
        UNKNOWN if one.quality_percent is None else f"{one.quality_percent:g}",
        UNKNOWN if one.cost_per_million is None else shown(one.cost_per_million),
        verdict(one),
    )


def verdict(one: Entry) -> str:
    """Return whether an entry is on the front, else what keeps it off, or from being compared."""
    if one.capacity_per_second is None:
        return "misses the target at any load"
    if one.quality_percent is None:
        return "not compared: no quality"
    return "yes" if one.pareto else f"dominated by {', '.join(one.dominated_by)}"


def table(board: Board) -> Group:
    """Return the board."""
    shown_table = Table(box=None, pad_edge=False, header_style="bold")
    names = headings(board)
    numbers = range(len(names) - 6, len(names) - 1)
    for place, name in enumerate(names):
        shown_table.add_column(name, justify="right" if place in numbers else "left", no_wrap=True)
    for one in board.entries:
        shown_table.add_row(*map(Text, cells(board, one)), style="" if one.pareto else "dim")
    return Group(Text(terms_sentence(board.terms)), Text(), shown_table, Text(), *_remarks(board))


def _remarks(board: Board) -> Iterator[Text]:
    for sentence in board.assumptions:
        yield Text(sentence)
