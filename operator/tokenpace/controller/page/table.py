"""Tables that are read by row on a wide screen, and as one card a row on a narrow one. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenpace.controller.page.markup import Content, Markup, element


@dataclass(frozen=True, slots=True)
class Column:
    """A column. On a narrow screen its heading stands before each cell."""

    heading: str
    look: str | None = None
    """``number``: to the right; ``wide``: takes the room that is left."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row; its first cell names it."""

    cells: Sequence[Content]
    look: str | None = None


def table(caption: str, columns: Sequence[Column], rows: Iterable[Row]) -> Markup:
    """Return a table. The roles say again what the elements say: cards would take it from them."""
    heads = (element("th", one.heading, scope="col", role="columnheader", class_=one.look) for one in columns)
    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", element("tr", *heads, role="row"), role="rowgroup"),
        element("tbody", *(_row(columns, one) for one in rows), role="rowgroup"),
        role="table",
    )


def _row(columns: Sequence[Column], row: Row) -> Markup:
    (first, *others), (head, *heads) = row.cells, columns
    return element(
        "tr",
        element("th", first, scope="row", role="rowheader", class_=head.look),
        *(
            element("td", cell, role="cell", class_=column.look, data_label=column.heading)
            for column, cell in zip(heads, others, strict=True)
        ),
        role="row",
        class_=row.look,
    )
