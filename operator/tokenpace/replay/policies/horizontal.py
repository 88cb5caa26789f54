"""The Kubernetes HorizontalPodAutoscaler: what turns metrics into replicas, for itself, for KEDA and for WVA.

Source: kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator.go and horizontal.go, defaults of
pkg/apis/autoscaling/v2/defaults.go.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tokenpace.replay.policies.bounds import Bounds

SYNC_SECONDS = 15.0
"""--horizontal-pod-autoscaler-sync-period."""

TOLERANCE = 0.1
"""--horizontal-pod-autoscaler-tolerance: a metric this near to its target changes nothing."""


def per_pod_replicas(values: Sequence[float], *, missing: int, unready: int, target: float, current: int) -> int | None:
    """Return the replicas at which the mean over pods meets the target; None without any value.

    Pods without a value count against the change: as at the target when replicas would be taken away, as idle when
    they would be added. Pods that do not run yet count as idle when replicas would be added.

    Args:
        values: The metric of each pod that has it.
        missing: Pods that run and have no metric.
        unready: Pods that do not run yet.
        target: Wanted mean.
        current: Replicas that the workload asks for.
    """
    if not values:
        return None
    ratio = _mean(values) / target
    if not missing and not (unready and ratio > 1):
        return current if _is_near(ratio) else math.ceil(ratio * len(values))
    guessed = [target if ratio < 1 else 0.0] * missing + [0.0] * (unready if ratio > 1 else 0)
    careful = _mean([*values, *guessed]) / target
    if _is_near(careful) or (ratio < 1 < careful) or (careful < 1 < ratio):
        return current
    wanted = math.ceil(careful * (len(values) + len(guessed)))
    turned = (careful < 1 and wanted > current) or (careful > 1 and wanted < current)
    return current if turned else wanted


def external_replicas(total: float, *, target: float, current: int) -> int:
    """Return the replicas over which a total comes to the target for each (an `AverageValue`)."""
    return current if _is_near(total / (target * current)) else math.ceil(total / target)


def of_several(wanted: Sequence[int | None], current: int) -> int | None:
    """Return what several metrics want together: the most. None, no change, where an unknown one might want more."""
    known = [replicas for replicas in wanted if replicas is not None]
    if not known or (len(known) < len(wanted) and max(known) < current):
        return None
    return max(known)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _is_near(ratio: float) -> bool:
    return 1 - TOLERANCE <= ratio <= 1 + TOLERANCE


class Limit(NamedTuple):
    """How many replicas may be added, or taken away, within a period."""

    amount: int
    seconds: float
    percent: bool = False
    """Of the replicas at the period's beginning."""


@dataclass(frozen=True, slots=True)
class Direction:
    """How fast replicas may change one way. Of several limits the one that allows most holds (`selectPolicy: Max`)."""

    limits: tuple[Limit, ...]
    window_seconds: float
    """Only what was wanted throughout this window is done."""


UP = Direction((Limit(4, 15), Limit(100, 15, percent=True)), window_seconds=0)
DOWN = Direction((Limit(100, 15, percent=True),), window_seconds=300)


class _Dated(NamedTuple):
    at_seconds: float
    replicas: int


@dataclass(slots=True)
class HorizontalScaler:
    """One HorizontalPodAutoscaler: bounds, stabilization windows and rate limits of one workload."""

    bounds: Bounds
    up: Direction = UP
    down: Direction = DOWN
    wanted: list[_Dated] = field(default_factory=list)
    """What the metrics wanted, oldest first."""
    changed: list[_Dated] = field(default_factory=list)
    """Replicas added, or with a minus taken away, oldest first."""

    def replicas(self, at_seconds: float, current: int, wanted: int | None) -> int:
        """Return the replicas to ask for now; None as `wanted` means that the metrics failed, and holds."""
        if not self.wanted:
            self.wanted.append(_Dated(at_seconds, current))
        asked = self.bounds.held(current)
        if asked == current and wanted is not None:
            asked = self.bounds.held(self._limited(at_seconds, current, self._stable(at_seconds, current, wanted)))
        if asked != current:
            self.changed.append(_Dated(at_seconds, asked - current))
        return asked

    def _stable(self, at_seconds: float, current: int, wanted: int) -> int:
        up = [past.replicas for past in self.wanted if past.at_seconds > at_seconds - self.up.window_seconds]
        down = [past.replicas for past in self.wanted if past.at_seconds > at_seconds - self.down.window_seconds]
        longest = max(self.up.window_seconds, self.down.window_seconds)
        self.wanted = [past for past in self.wanted if past.at_seconds > at_seconds - longest]
        self.wanted.append(_Dated(at_seconds, wanted))
        return min(max(current, min([wanted, *up])), max([wanted, *down]))

    def _limited(self, at_seconds: float, current: int, stable: int) -> int:
        if stable > current:
            reach = [
                math.ceil(start * (1 + limit.amount / 100)) if limit.percent else start + limit.amount
                for limit, start in self._starts(self.up, at_seconds, current)
            ]
            return min(stable, max(current, *reach))
        reach = [
            int(start * (1 - limit.amount / 100)) if limit.percent else start - limit.amount
            for limit, start in self._starts(self.down, at_seconds, current)
        ]
        return max(stable, min(current, *reach))

    def _starts(self, direction: Direction, at_seconds: float, current: int) -> list[tuple[Limit, int]]:
        """Return each limit with the replicas at the beginning of its period."""
        longest = max(limit.seconds for limit in (*self.up.limits, *self.down.limits))
        self.changed = [past for past in self.changed if past.at_seconds > at_seconds - longest]
        return [
            (limit, current - sum(p.replicas for p in self.changed if p.at_seconds > at_seconds - limit.seconds))
            for limit in direction.limits
        ]
