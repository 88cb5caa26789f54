"""Whether requests reach some pods much more often than others: more replicas would not relieve those.

Kept-alive connections stay with old pods, and a gateway may prefer some. Compared are requests per pod, averaged over
`IMBALANCE_SECONDS`, so that chance evens out, among pods of the same variant: a slower one holds more of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

IMBALANCE = 1.5
"""The most loaded pod has more than this many times the mean."""

IMBALANCE_SECONDS = 180.0
"""For this long; and the time constant of the averages."""

FEWEST_PODS = 2

ENOUGH_REQUESTS = 4.0
"""Mean requests per pod below which imbalance is chance, and harmless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRequests:
    """Requests in one pod, averaged in two ways."""

    by_window: float
    """Over about one window of the queries."""
    by_minutes: float
    """Over `IMBALANCE_SECONDS`."""
    since_seconds: float
    variant: str

    @classmethod
    def first(cls, requests: float, now: float, variant: str) -> "PodRequests":
        """Return the averages of a pod that is seen for the first time."""
        return cls(by_window=requests, by_minutes=requests, since_seconds=now, variant=variant)

    def after(self, requests: float, elapsed_seconds: float, window_seconds: float) -> "PodRequests":
        """Return the averages ``elapsed_seconds`` later."""
        by_window = _weight(elapsed_seconds, window_seconds)
        by_minutes = _weight(elapsed_seconds, IMBALANCE_SECONDS)
        return PodRequests(
            by_window=self.by_window + by_window * (requests - self.by_window),
            by_minutes=self.by_minutes + by_minutes * (requests - self.by_minutes),
            since_seconds=self.since_seconds,
            variant=self.variant,
        )


@lru_cache(maxsize=64)
def _weight(elapsed_seconds: float, constant_seconds: float) -> float:
    """Return the weight of what is new in an exponential average, nearly always the same for all pods of a tick."""
    return 1 - math.exp(-elapsed_seconds / constant_seconds)


def imbalance(requests: Mapping[str, PodRequests], now: float) -> float | None:
    """Return the largest max/mean of the pods' requests; None while there are too few pods or requests to tell."""
    settled: dict[str, list[float]] = {}
    for pod in requests.values():
        if now - pod.since_seconds >= IMBALANCE_SECONDS:
            settled.setdefault(pod.variant, []).append(pod.by_minutes)
    means = {name: sum(loads) / len(loads) for name, loads in settled.items() if len(loads) >= FEWEST_PODS}
    return max((max(settled[name]) / mean for name, mean in means.items() if mean >= ENOUGH_REQUESTS), default=None)
