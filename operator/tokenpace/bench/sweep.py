"""Which rates are measured: doubled until the server is full, then the last step is halved."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from tokenpace.bench.errors import NotAnsweringError
from tokenpace.bench.result import Point

MOST_POINTS: Final = 16
"""From half a stream at a time on, that is 32,000 streams: more than any one server takes."""

Measure = Callable[[float], Awaitable[Point]]
"""Measures the point of one rate, in requests a second."""


async def sweep(measure: Measure, first_rate: float, *, bisections: int) -> tuple[Point, ...]:
    """Return the points from ``first_rate`` to saturation, in the order of their rates.

    A point that the generator could not drive ends the doubling as saturation does: what lies above it is beyond this
    generator. A server that stops answering after a point ends the sweep.

    Args:
        measure: measures one rate.
        first_rate: in requests a second; halved first where the server is full at it.
        bisections: of the step between the highest rate that is served and the lowest that is not.

    Raises:
        NotAnsweringError: the server did not even answer before the first point.
    """
    found = [await measure(first_rate)]
    with suppress(NotAnsweringError):
        await _go_on(measure, found, bisections=bisections)
    return tuple(sorted(found, key=lambda one: one.offered_requests_per_second))


async def _go_on(measure: Measure, found: list[Point], *, bisections: int) -> None:
    """Append to the points found."""
    while _is_over(found[-1]) and len(found) < MOST_POINTS:
        found.append(await measure(found[-1].offered_requests_per_second / 2))
    if len(found) == 1:
        while not _is_over(found[-1]) and len(found) < MOST_POINTS:
            found.append(await measure(found[-1].offered_requests_per_second * 2))
    for _ in range(bisections):
        served = [one.offered_requests_per_second for one in found if not _is_over(one)]
        over = [one.offered_requests_per_second for one in found if _is_over(one)]
        if not served or not over:
            break
        found.append(await measure((max(served) + min(over)) / 2))


async def declared(measure: Measure, rates: Sequence[float]) -> tuple[Point, ...]:
    """Return the points of rates that were given, up to the one after which the server stopped answering.

    Raises:
        NotAnsweringError: that was before the first.
    """
    first, *others = sorted(rates)
    found = [await measure(first)]
    with suppress(NotAnsweringError):
        for rate in others:
            found.append(await measure(rate))  # noqa: PERF401 (those before an error are kept)
    return tuple(found)


def _is_over(one: Point) -> bool:
    return one.saturated or one.refused is not None
