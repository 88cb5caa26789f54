"""When a status is worth a write.

Status is watched by everybody (kubectl --watch, Argo CD, our own kopf), so every write costs the API server and all
of them. Conditions and the fleet are written at once; what only says the same with other numbers waits.
"""

from collections.abc import Mapping
from typing import Any

_NUMBERS = frozenset({"tokensPerSecond", "quality", "slo", "degraded", "outlook"})
_VARIANT_NUMBERS = frozenset({"capacity", "source", "leadSeconds", "learned"})
_SENTENCES = frozenset({"message", "time", "lastTransitionTime", "observedGeneration"})
_PASSED_OVER = {"variants": _VARIANT_NUMBERS, "conditions": _SENTENCES, "lastDecision": _SENTENCES}

_SAVED_SECONDS = 15.0
"""Writes are saved up for this long: a tick at its default interval, and the time that the tick itself takes."""


def is_urgent(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether two statuses differ in what is written at once: everything but numbers and sentences.

    Another version may have written one of them in another form: whatever is not of this one's differs.
    """
    return any(
        _without(current.get(key), _PASSED_OVER.get(key)) != _without(wanted.get(key), _PASSED_OVER.get(key))
        for key in (current.keys() | wanted.keys()) - _NUMBERS
        if current.get(key) != wanted.get(key)
    )


def _without(value: Any, keys: frozenset[str] | None) -> Any:
    if keys is None:
        return value
    if isinstance(value, list):
        return [_without(one, keys) for one in value]
    return {key: kept for key, kept in value.items() if key not in keys} if isinstance(value, Mapping) else value


def write_due(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, seconds_since_write: float, interval_seconds: float
) -> bool:
    """Tell whether ``wanted`` should replace ``current`` now.

    Args:
        current: the status as the API server has it.
        wanted: the status as it should be.
        seconds_since_write: time since this resource's status was last written by us.
        interval_seconds: how long a change of numbers alone waits, its jitter included.
    """
    return current != wanted and (seconds_since_write >= interval_seconds or is_urgent(current, wanted))


class WriteBudget:
    """A token bucket over all resources: at most ``per_second`` writes in the long run.

    Ticks come every ten seconds or so and ask for all their writes at once: a bucket that holds less than what flows
    in between two of them would grant only that much a tick.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * _SAVED_SECONDS)
        self._tokens = self._most
        self._at_seconds: float | None = None

    def take(self, monotonic_seconds: float) -> bool:
        """Take one write if there is one."""
        elapsed = 0.0 if self._at_seconds is None else monotonic_seconds - self._at_seconds
        self._at_seconds = monotonic_seconds
        self._tokens = min(self._most, self._tokens + elapsed * self._per_second)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
