"""Requests as they reach the service: recorded, drawn, or sent by clients that wait for each answer.

Times are seconds since the start of the replay.
"""

from dataclasses import dataclass, field
from typing import Protocol

from tokenpace.traces import Request

__all__ = ["Reply", "Request", "Traffic"]


class Reply(Protocol):
    """What clients that wait for their answers do next."""

    def after(self, request: Request, ended_at_seconds: float, /) -> Request | None:
        """Return the client's next request, at or after the end of this one; None when it sends no more."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that arrives in one replay."""

    name: str
    seconds: float
    """Length of the replay. Requests still in work at its end are served to their end, and scored."""
    requests: tuple[Request, ...]
    """In the order of their times."""
    reply: Reply | None = field(default=None)
    """None for open-loop traffic, which arrives whatever the service does."""
    begins_at_seconds: float | None = None
    """Unix seconds of the beginning, which schedules go by; None for traffic of no day."""
