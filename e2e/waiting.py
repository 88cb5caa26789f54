"""Waiting for what must become true, with a deadline and with the last thing seen in the failure."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

Seen = TypeVar("Seen")


class StillWaitingError(AssertionError):
    """The deadline passed. A failed promise, not a broken test: hence an AssertionError."""


def until(
    look: Callable[[], Seen], accept: Callable[[Seen], object], *, what: str, seconds: float, every_seconds: float = 1.0
) -> Seen:
    """Look again and again; return the first thing seen that is accepted.

    Raises:
        StillWaitingError: nothing was accepted within ``seconds``; the message says what was seen last.
    """
    deadline = time.monotonic() + seconds
    while not accept(seen := look()):
        if time.monotonic() > deadline:
            raise StillWaitingError(f"after {seconds:g} s still waiting until {what}; seen last: {seen!r}")
        time.sleep(every_seconds)
    return seen


def throughout(look: Callable[[], Seen], accept: Callable[[Seen], object], *, what: str, seconds: float) -> None:
    """Look for ``seconds`` and fail at the first thing seen that is not accepted."""
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        seen = look()
        if not accept(seen):
            raise AssertionError(f"{what} did not hold after {elapsed:.0f} of {seconds:g} s; seen: {seen!r}")
        time.sleep(1.0)


def seconds_since(moment: datetime) -> float:
    """Return how long ago a moment was."""
    return (datetime.now(UTC) - moment).total_seconds()
