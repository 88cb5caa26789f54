"""When a status is worth a write.

Status is watched by everybody (kubectl --watch, Argo CD, our own kopf), so every write costs the API server and all
of them. Conditions and the fleet are written at once; what only says the same with other numbers waits.
"""

from collections.abc import Mapping
from typing import Any

_NUMBERS = frozenset({"tokensPerSecond", "quality", "slo", "degraded", "outlook"})
_VARIANT_NUMBERS = frozenset({"capacity", "source", "leadSeconds", "learned"})
_SENTENCES = frozenset({"message", "time", "lastTransitionTime", "observedGeneration"})

_SAVED_SECONDS = 15.0
"""Writes are saved up for this long: a tick at its default interval, and the time that the tick itself takes."""


def essence(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a status that is written at once: everything but numbers and sentences.

    Another version may have written it in another form: whatever is not of this one's differs, and is written over.
    """
    kept: dict[str, Any] = {key: value for key, value in status.items() if key not in _NUMBERS}
    kept["variants"] = _each_without(status.get("variants", []), _VARIANT_NUMBERS)
    kept["conditions"] = _each_without(status.get("conditions", []), _SENTENCES)
    kept["lastDecision"] = _without(status.get("lastDecision", {}), _SENTENCES)
    return kept


def _each_without(values: Any, keys: frozenset[str]) -> Any:
    return [_without(one, keys) for one in values] if isinstance(values, list) else values


def _without(value: Any, keys: frozenset[str]) -> Any:
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
    if essence(current) != essence(wanted):
        return True
    return current != wanted and seconds_since_write >= interval_seconds


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
