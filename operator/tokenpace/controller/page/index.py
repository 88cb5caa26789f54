"""Every LLMDeployment on one page, trouble on top. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tokenpace.controller.overview import Line
from tokenpace.controller.page.badge import badge, slo_badge
from tokenpace.controller.page.chart import SMALL_POINTS, sparkline, window
from tokenpace.controller.page.frame import Occasion, page
from tokenpace.controller.page.history import Past
from tokenpace.controller.page.markup import Markup, element
from tokenpace.controller.page.table import Column, Row, table
from tokenpace.controller.phrases import UNKNOWN

MOST_ROWS = 500
"""More are found by their names: a page must not keep the operator from its work."""

_COLUMNS = (
    Column("LLMDeployment"),
    Column("State", "wide"),
    Column("SLO"),
    Column("Variant"),
    Column("Ready", "number"),
    Column("Demand", "number"),
    Column("Served", "number"),
    Column("Capacity", "number"),
    Column("Promised", "number"),
    Column("Demand and served", "trend"),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One LLMDeployment of the list, with its last hours."""

    line: Line
    past: Past


def index_page(everything: Sequence[Listed], search: str, occasion: Occasion) -> Markup:
    """Return the list of every LLMDeployment whose namespace or name contains ``search``."""
    found = sorted(
        (one for one in everything if search.lower() in _address(one.line)), key=lambda one: _place(one.line)
    )
    shown = found[:MOST_ROWS]
    return page(
        "LLMDeployments",
        occasion,
        element("h1", "LLMDeployments"),
        _summary([one.line for one in everything]),
        _search(search) if search or len(everything) > 10 else None,  # noqa: PLR2004 (a screen shows ten)
        _missing(len(everything), len(found), len(shown)),
        table("Speeds in tokens per second", _COLUMNS, (_row(one, occasion) for one in shown)) if shown else None,
    )


def _address(line: Line) -> str:
    return f"{line.namespace}/{line.name}"


def _place(line: Line) -> tuple[int, str, str]:
    """Return where a line stands: what somebody should look at, missed SLOs, what nobody knows, and the rest."""
    urgency = 0 if line.alarming else 1 if line.slo == "missed" else 2 if line.state is None else 3
    return urgency, line.namespace, line.name


def _summary(lines: Sequence[Line]) -> Markup:
    counts = {
        "in all": len(lines),
        "to look at": sum(line.alarming for line in lines),
        "missing their SLO": sum(line.slo == "missed" for line in lines),
        "meeting their SLO": sum(line.slo == "met" for line in lines),
    }
    looks = {"to look at": "bad", "missing their SLO": "bad"}
    tiles = (
        element("div", element("dt", text), element("dd", str(count), class_=looks.get(text) if count else None))
        for text, count in counts.items()
    )
    return element("dl", *tiles, class_="tiles")


def _search(search: str) -> Markup:
    return element(
        "form",
        element("label", "Namespace or name", for_="search"),
        element("input", id="search", type="search", name="search", value=search),
        element("button", "Find", type="submit"),
        element("a", "all", href="?") if search else None,
        role="search",
    )


def _missing(all_of_them: int, found: int, shown: int) -> Markup | None:
    if shown < found:
        return element("p", f"The first {shown} of {found} are shown, trouble first. Find the others by name.")
    if not all_of_them:
        return element("p", "There is no LLMDeployment that this operator serves.")
    return None if found else element("p", "None has such a namespace or name.")


def _row(one: Listed, occasion: Occasion) -> Row:
    line = one.line
    link = element("a", line.name, href=f"{quote(line.namespace, safe='')}/{quote(line.name, safe='')}")
    points = one.past.points(SMALL_POINTS)
    ready = UNKNOWN if line.ready is None else f"{line.ready}/{_told(line.replicas)}"
    return Row(
        (
            element("span", element("span", f"{line.namespace}/", class_="quiet"), link),
            _state(line),
            slo_badge(line.slo),
            _told(line.variant),
            ready,
            *map(_told, (line.demand, line.served, line.capacity, line.target)),
            sparkline(points, window(points, occasion.now)),
        ),
        look="trouble" if line.alarming or line.slo == "missed" else None,
    )


def _state(line: Line) -> Markup:
    look = "bad" if line.alarming else "unknown" if line.state is None else "plain"
    sentence = element("span", line.message, class_="sentence") if line.alarming or line.state is None else None
    return element("span", badge(line.state or "not reported", look), sentence)


def _told(value: object) -> str:
    return UNKNOWN if value is None else str(value)
