"""What the last hours of every LLMDeployment were like, in memory. Pure: the moment is an argument.

It is read from the status, as `kubectl get --watch` shows it, so that an operator that stands by knows it too.
A restart begins anew.
"""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from math import isfinite, isnan, nan
from sys import intern
from typing import Any

from pydantic import ValidationError

from tokenpace.api.status import LastDecision
from tokenpace.controller.forgetting import keep_only

POINTS = 360
"""Of each LLMDeployment, one a minute: six hours, 24 kB."""
POINT_SECONDS = 60
DECISIONS = 64
"""Of each LLMDeployment, the latest: 25 kB with sentences of 150 characters, 45 kB with the longest, which are cut."""
_LONGEST_SENTENCE = 400


@dataclass(frozen=True, slots=True)
class Point:
    """What a status said at a moment. Speeds are in tokens per second; what was not known is None, which is not 0."""

    at_seconds: float
    """Unix time."""
    demand: float | None = None
    served: float | None = None
    capacity: float | None = None
    stream: float | None = None
    replicas: float | None = None
    ready: float | None = None
    variant: str | None = None
    """The one that served, or most of it."""


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A decision, in the words in which it was first told."""

    time: datetime
    action: str
    reason: str
    message: str
    moved: bool
    """Whether the fleet became another one: else only the reason did."""


_WIDTH = len(fields(Point)) - 1
"""Numbers of a point."""


class Past:
    """The last hours of one LLMDeployment, bounded by `POINTS` and `DECISIONS`."""

    def __init__(self) -> None:
        self._numbers = array("d")
        """Points one after the other; NaN is what was not known. As objects they would take ten times the memory."""
        self._variants: deque[str | None] = deque(maxlen=POINTS)
        self._decisions: deque[PastDecision] = deque(maxlen=DECISIONS)
        self._last_decision: object = None

    def points(self, most: int = POINTS) -> list[Point]:
        """Return at most so many points, evenly spaced, the oldest first; the latest is always among them."""
        known = len(self._numbers) // _WIDTH
        step = -(-known // most) or 1
        return [self._point(place) for place in range((known - 1) % step, known, step)]

    def _point(self, place: int) -> Point:
        at_seconds, *values = self._numbers[place * _WIDTH : (place + 1) * _WIDTH]
        demand, served, capacity, stream, replicas, ready = (None if isnan(one) else one for one in values)
        return Point(at_seconds, demand, served, capacity, stream, replicas, ready, self._variants[place])

    @property
    def decisions(self) -> tuple[PastDecision, ...]:
        """The decisions, the latest first."""
        return tuple(reversed(self._decisions))

    def note(self, status: Mapping[str, Any], now_seconds: float) -> None:
        """Add a point if the last one is of another minute, and the decision if it is another one."""
        if not self._numbers or self._numbers[-_WIDTH] // POINT_SECONDS != now_seconds // POINT_SECONDS:
            self._numbers.extend(nan if one is None else one for one in _numbers(status, now_seconds))
            del self._numbers[: -POINTS * _WIDTH]
            variant = status.get("variant")
            self._variants.append(intern(variant) if isinstance(variant, str) else None)
        stands = status.get("lastDecision")
        if isinstance(stands, Mapping) and (which := _identity(stands)) != self._last_decision:
            self._last_decision = which
            self._decisions.extend(_decision(stands, self._decisions[-1].action if self._decisions else None))


class History:
    """The past of every LLMDeployment that there is; what is deleted is forgotten."""

    def __init__(self) -> None:
        self._pasts: dict[str, Past] = {}

    def note(self, resources: Iterable[Mapping[str, Any]], now_seconds: float) -> None:
        """Look at every LLMDeployment that there is. May be called as often as one likes."""
        present = set()
        for resource in resources:
            uid = resource["metadata"]["uid"]
            present.add(uid)
            self._pasts.setdefault(uid, Past()).note(resource.get("status", {}), now_seconds)
        keep_only(present, self._pasts)

    def of(self, resource: Mapping[str, Any]) -> Past:
        """Return the past of an LLMDeployment; of one that has not been looked at yet it is empty."""
        return self._pasts.get(resource["metadata"]["uid"], Past())


def _numbers(status: Mapping[str, Any], now_seconds: float) -> tuple[float | None, ...]:
    """Return the numbers of a point, in their order."""
    speeds = status.get("tokensPerSecond")
    told = speeds if isinstance(speeds, Mapping) else {}
    return (
        now_seconds,
        *(_number(told.get(name)) for name in ("demand", "served", "capacity", "stream")),
        *(_number(status.get(name)) for name in ("replicas", "readyReplicas")),
    )


def _number(value: object) -> float | None:
    """Return a number as a status writes it; another version may have written anything."""
    if not isinstance(value, str | int):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


def _identity(decision: Mapping[str, Any]) -> object:
    """Return what makes a decision another one: its sentence alone may change with the numbers in it."""
    return decision.get("time"), decision.get("action"), decision.get("reason")


def _decision(stands: Mapping[str, Any], before: str | None) -> Iterator[PastDecision]:
    try:
        one = LastDecision.model_validate(stands)
    except ValidationError:
        return
    message = one.message if len(one.message) <= _LONGEST_SENTENCE else f"{one.message[:_LONGEST_SENTENCE]}..."
    yield PastDecision(one.time, one.action, one.reason, message, moved=one.action != before)
