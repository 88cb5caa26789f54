"""Lines over time as SVG, without a script: it scales with the page, and its values are told where one points. Pure.

Curves live in a picture of 1000 x 1000 that is stretched over the plot; text does not, so that it keeps its size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, log10

from tokenpace.controller.page.history import POINT_SECONDS, POINTS, Point
from tokenpace.controller.page.markup import Markup, element
from tokenpace.controller.phrases import UNKNOWN

_SIDE = 1000
_LONGEST_SECONDS = POINTS * POINT_SECONDS
_SHORTEST_SECONDS = 600
"""A chart of an operator that has just started is not one point wide."""
_GAP_SECONDS = 2.5 * POINT_SECONDS
"""Points further apart are not joined: nobody knows what was in between."""
_HEADROOM = 1.08
_HOURS = (60, 120, 300, 600, 1800, 3600)
"""Distances of the marks of a time axis, in seconds; the first that needs at most `_MARKS` is taken."""
_MARKS = 6
_LETTER = 0.012
"""Share of a band that a letter of its name may need; a name without room is told where one points."""
_TRIANGLE = "\N{BLACK UP-POINTING TRIANGLE}"
SMALL_POINTS = 60
"""Of a sparkline: 200 of them are one page."""


@dataclass(frozen=True, slots=True)
class Window:
    """The hours that a chart shows, in Unix time."""

    start_seconds: float
    end_seconds: float

    def share(self, at_seconds: float) -> float:
        """Return where a moment is: 0 at the left, 1 at the right."""
        return (at_seconds - self.start_seconds) / (self.end_seconds - self.start_seconds)


@dataclass(frozen=True, slots=True)
class Curve:
    """One number over time. How it looks is its class's affair: line or area, colour and dashes."""

    name: str
    look: str
    read: Callable[[Point], float | None]


DEMAND = Curve("demand", "demand", lambda point: point.demand)
SERVED = Curve("served", "served", lambda point: point.served)
CAPACITY = Curve("capacity", "capacity", lambda point: point.capacity)
STREAM = Curve("stream", "served", lambda point: point.stream)
REPLICAS = Curve("asked for", "capacity", lambda point: point.replicas)
READY = Curve("ready", "served", lambda point: point.ready)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment."""

    at_seconds: float
    text: str


def window(points: Sequence[Point], now: datetime) -> Window:
    """Return the hours to show: as many as are known, between ten minutes and six hours."""
    end = now.timestamp()
    known = end - points[0].at_seconds if points else 0.0
    return Window(end - min(max(known, _SHORTEST_SECONDS), _LONGEST_SECONDS), end)


def sparkline(points: Sequence[Point], shown: Window) -> Markup:
    """Return demand and what is served of it, small enough for a table; `SMALL_POINTS` are enough for it."""
    curves = (SERVED, DEMAND)
    top = _HEADROOM * (_most(points, curves) or 1.0)
    demands = [point.demand for point in points if point.demand is not None]
    told = f"Demand {_plain(min(demands))} to {_plain(max(demands))} tokens/s" if demands else "Demand is not known"
    return element(
        "svg",
        element("title", told),
        *_curves(points, curves, shown, top, gap_seconds=_GAP_SECONDS * POINTS / SMALL_POINTS),
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        preserveAspectRatio="none",
        role="img",
        class_="sparkline",
    )


def chart(
    title: str,
    unit: str,
    points: Sequence[Point],
    curves: Sequence[Curve],
    shown: Window,
    *,
    promised: float | None = None,
    marks: Sequence[Mark] = (),
    small: bool = False,
    least_step: float = 0.0,
) -> Markup:
    """Return curves over time with their axes and a legend.

    Args:
        title: what it shows.
        unit: of every curve.
        points: the oldest first.
        curves: those behind first.
        shown: the hours.
        promised: drawn as a line, where it does not press the curves into the lower half.
        marks: what happened meanwhile, told at the time axis.
        small: half as high.
        least_step: of the numbers at its side: there is no half of a pod.
    """
    most = _most(points, curves)
    line = promised if promised is not None and promised <= 2 * (most or promised) else None
    ticks = _ticks(max(most or 0.0, line or 0.0) * _HEADROOM or 1.0, least_step, 3 if small else 5)
    plot = element(
        "svg",
        *_curves(points, curves, shown, ticks[-1]),
        _level(line, ticks[-1]) if line is not None else None,
        *_pointed_at(points, curves, shown, unit),
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        preserveAspectRatio="none",
        class_="plot",
        width="100%",
        height="100%",
    )
    return element(
        "figure",
        element("figcaption", element("span", title, class_="what"), _legend(points, curves, promised)),
        element(
            "div",
            element(
                "svg", element("title", _told(title, points, curves)), *_grid(ticks), plot, *_heights(ticks), role="img"
            ),
            class_="canvas",
        ),
        _hours(shown, marks),
        class_="small" if small else None,
    )


def ribbon(points: Sequence[Point], shown: Window) -> Markup:
    """Return which variant served, as a band of its names over time."""
    names = list(dict.fromkeys(point.variant for point in points if point.variant is not None))
    served = _bands(points)
    told = ", ".join(f"{name} {_clock(since)} to {_clock(until)}" for name, since, until in served)
    bands, labels = [], []
    for name, since, until in served:
        left, width = shown.share(since), shown.share(until) - shown.share(since)
        text = element("title", f"{name}, {_clock(since)} to {_clock(until)} UTC")
        look = f"band band-{names.index(name) % 3}"
        bands.append(
            element("rect", text, x=f"{100 * left:.2f}%", width=f"{100 * width:.2f}%", height="100%", class_=look)
        )
        if width > _LETTER * len(name):
            labels.append(element("text", name, x=f"{100 * left:.2f}%", dx=6, y=16, class_="tick", aria_hidden="true"))
    return element(
        "figure",
        element("figcaption", element("span", "Variant that serves", class_="what")),
        element(
            "svg",
            element("title", f"Variant that serves: {told or 'none'}"),
            *bands,
            *labels,
            role="img",
            class_="ribbon",
        ),
    )


def _bands(points: Sequence[Point]) -> list[tuple[str, float, float]]:
    """Return each time in which one variant served, up to the first point that says otherwise: its name, its ends."""
    bands: list[tuple[str, float, float]] = []
    before: Point | None = None
    for point in points:
        joined = before is not None and point.at_seconds - before.at_seconds <= _GAP_SECONDS
        served = before.variant if before is not None and joined else None
        if served is not None:
            bands[-1] = (*bands[-1][:2], point.at_seconds)
        if point.variant is not None and point.variant != served:
            bands.append((point.variant, point.at_seconds, point.at_seconds))
        before = point
    return bands


def _told(title: str, points: Sequence[Point], curves: Sequence[Curve]) -> str:
    """Return a chart in a sentence, for those who do not see it."""
    ranges = []
    for curve in curves:
        known = [value for value in map(curve.read, points) if value is not None]
        ranges.append(
            f"{curve.name} {_plain(min(known))} to {_plain(max(known))}" if known else f"{curve.name} unknown"
        )
    return f"{title}: {', '.join(ranges)}"


def _legend(points: Sequence[Point], curves: Sequence[Curve], promised: float | None) -> Markup:
    def entry(look: str, name: str, value: float | None) -> Markup:
        picture = element("svg", element("path", d="M1 6h22", class_=look), viewBox="0 0 24 12", aria_hidden="true")
        return element("li", picture, f"{name} ", element("b", _plain(value)))

    entries = [entry(curve.look, curve.name, curve.read(points[-1]) if points else None) for curve in reversed(curves)]
    if promised is not None:
        entries.append(entry("promised", "promised", promised))
    return element("ul", *entries, class_="legend")


def _curves(
    points: Sequence[Point], curves: Sequence[Curve], shown: Window, top: float, *, gap_seconds: float = _GAP_SECONDS
) -> Iterator[Markup]:
    for curve in curves:
        for run in _runs(points, curve, gap_seconds):
            places = [(_SIDE * shown.share(at), _SIDE * (1 - value / top)) for at, value in run]
            # A point alone has no length; round caps make a dot of it.
            line = (
                "L".join(f"{x:.0f} {y:.0f}" for x, y in places)
                if len(places) > 1
                else "{:.0f} {:.0f}h0".format(*places[0])
            )
            if curve.look == "served":
                left, right = places[0][0], places[-1][0]
                yield element("path", d=f"M{left:.0f} {_SIDE}L{line}L{right:.0f} {_SIDE}Z", class_="served-area")
            yield element("path", d=f"M{line}", class_=curve.look)


def _runs(points: Sequence[Point], curve: Curve, gap_seconds: float) -> list[list[tuple[float, float]]]:
    """Return what is known without a gap, as moment and value."""
    runs: list[list[tuple[float, float]]] = []
    before: float | None = None
    for point in points:
        value = curve.read(point)
        if value is None:
            before = None
            continue
        if before is None or point.at_seconds - before > gap_seconds:
            runs.append([])
        runs[-1].append((point.at_seconds, value))
        before = point.at_seconds
    return runs


def _level(value: float, top: float) -> Markup:
    return element("path", d=f"M0 {_SIDE * (1 - value / top):.0f}h{_SIDE}", class_="promised")


def _pointed_at(points: Sequence[Point], curves: Sequence[Curve], shown: Window, unit: str) -> Iterator[Markup]:
    """Yield a strip around each of the points, or around every third where there are many, that tells its values."""
    for point in points[:: -(-len(points) // 120) or 1]:
        values = ", ".join(f"{curve.name} {_plain(curve.read(point))}" for curve in reversed(curves))
        width = max(_SIDE / 120, _SIDE * POINT_SECONDS / (shown.end_seconds - shown.start_seconds))
        yield element(
            "rect",
            element("title", f"{_clock(point.at_seconds)} UTC: {values} {unit}"),
            x=f"{_SIDE * shown.share(point.at_seconds) - width / 2:.1f}",
            y=0,
            width=f"{width:.1f}",
            height=_SIDE,
        )


def _grid(ticks: Sequence[float]) -> Iterator[Markup]:
    """Yield a line for each tick, from zero at the bottom to the last one at the top."""
    for tick in ticks:
        height = f"{100 * (1 - tick / ticks[-1]):.1f}%"
        yield element("line", x1=0, x2="100%", y1=height, y2=height, class_="grid")


def _heights(ticks: Sequence[float]) -> Iterator[Markup]:
    """Yield the number of each tick but zero, above the curves."""
    for tick in ticks[1:]:
        height = f"{100 * (1 - tick / ticks[-1]):.1f}%"
        yield element("text", _plain(tick), x=4, y=height, dy="1.1em", class_="tick", aria_hidden="true")


def _hours(shown: Window, marks: Sequence[Mark]) -> Markup:
    """Return the time axis, with what happened. Its ends are labelled too; what is near them is not."""
    length = shown.end_seconds - shown.start_seconds
    step = next((step for step in _HOURS if length / step <= _MARKS), _HOURS[-1])
    first = -(-shown.start_seconds // step) * step
    times = [first + number * step for number in range(int((shown.end_seconds - first) // step) + 1)]
    return element(
        "svg",
        *(
            element(
                "text", element("title", one.text), _TRIANGLE, x=_percent(shown, one.at_seconds), y=11, class_="mark"
            )
            for one in marks
            if shown.share(one.at_seconds) >= 0
        ),
        element("text", _clock(shown.start_seconds), x=0, y=26, class_="first"),
        *(element("text", _clock(at), x=_percent(shown, at), y=26) for at in times if 0.1 < shown.share(at) < 0.9),  # noqa: PLR2004
        element("text", _clock(shown.end_seconds), x="100%", y=26, class_="last"),
        class_="hours",
        aria_hidden="true",
    )


def _percent(shown: Window, at_seconds: float) -> str:
    return f"{100 * shown.share(at_seconds):.2f}%"


def _ticks(most: float, least_step: float, count: int) -> list[float]:
    """Return round numbers from zero to at least ``most``, at most ``count`` of them above zero."""
    magnitude = 10.0 ** floor(log10(most))
    steps = (share * magnitude for share in (0.2, 0.5, 1.0, 2.0, 5.0))
    step = max(least_step, next(step for step in steps if count * step >= most))
    return [step * number for number in range(ceil(most / step) + 1)]


def _most(points: Sequence[Point], curves: Sequence[Curve]) -> float | None:
    return max(
        (value for point in points for curve in curves if (value := curve.read(point)) is not None), default=None
    )


def _clock(at_seconds: float) -> str:
    return f"{datetime.fromtimestamp(at_seconds, UTC):%H:%M}"


def _plain(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.6g}"
