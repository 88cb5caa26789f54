"""Knative's autoscaler (KPA) on concurrency: requests in flight over the fleet, in a calm window and in a panic window.

Its queue-proxies report every second; here a window sees the engines' scrapes, and the panic window of 6 s is as long
as a scrape interval where that is longer. Without data nothing changes. Nothing goes to zero: see `bounds`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tokenpace.replay.policies.bounds import Bounds, alone, chosen_variant
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.signals import is_ready, pods_of, total_in_flight
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import View

TICK_SECONDS = 2.0
STABLE_SECONDS = 60.0
"""`stable-window`."""
PANIC_SECONDS = 6.0
"""`panic-window-percentage`: 10 % of the stable window."""
PANIC_THRESHOLD = 2.0
"""`panic-threshold-percentage`: panic begins when so many times the ready pods are wanted."""
MOST_TIMES_UP = 1000.0
"""`max-scale-up-rate`."""
MOST_TIMES_DOWN = 2.0
"""`max-scale-down-rate`."""


@dataclass(slots=True)
class KnativePolicy:
    """The autoscaler of one revision."""

    variant: str
    target: float
    """Requests in flight per pod."""
    bounds: Bounds
    scrape_seconds: float
    interval_seconds: float = TICK_SECONDS
    panic_at_seconds: float | None = None
    """When it last had reason to panic; None when it is calm."""
    most_in_panic: int = 0
    has_started: bool = False

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas of the calm window, or in panic the most that was wanted since it began."""
        ready = sum(map(is_ready, pods_of(view, self.variant)))
        self._start(view.at_seconds, ready)
        stable = self._observed(view, STABLE_SECONDS)
        panic = self._observed(view, max(PANIC_SECONDS, self.scrape_seconds))
        if stable is None or panic is None:
            return {self.variant: self.bounds.held(view.replicas.get(self.variant, 0))}
        return {self.variant: self.bounds.held(self._wanted(view.at_seconds, max(1, ready), stable, panic))}

    def _observed(self, view: View, window_seconds: float) -> float | None:
        return total_in_flight(view, self.variant, window_seconds=window_seconds, scrape_seconds=self.scrape_seconds)

    def _start(self, at_seconds: float, ready: int) -> None:
        """Begin in panic where several pods run: a new autoscaler has not seen what they were needed for."""
        if not self.has_started and ready > 1:
            self.panic_at_seconds, self.most_in_panic = at_seconds, ready
        self.has_started = True

    def _wanted(self, at_seconds: float, ready: int, stable: float, panic: float) -> int:
        calm, hasty = math.ceil(stable / self.target), math.ceil(panic / self.target)
        if hasty / ready >= PANIC_THRESHOLD:
            self.panic_at_seconds = at_seconds
        elif self.panic_at_seconds is not None and self.panic_at_seconds + STABLE_SECONDS < at_seconds:
            self.panic_at_seconds, self.most_in_panic = None, 0
        reach = Bounds(math.floor(ready / MOST_TIMES_DOWN), math.ceil(ready * MOST_TIMES_UP))
        if self.panic_at_seconds is None:
            return reach.held(calm)
        self.most_in_panic = max(self.most_in_panic, reach.held(calm), reach.held(hasty))
        return self.most_in_panic


def on_concurrency(fleet: Fleet, _: Traffic, in_flight_per_pod: float) -> KnativePolicy:
    """Scale the chosen variant on requests in flight."""
    variant = chosen_variant(fleet.spec)
    return KnativePolicy(variant.name, in_flight_per_pod, alone(fleet.spec, variant), fleet.scrape_seconds)


KINDS = (
    PolicyKind(
        name="knative-kpa",
        source="knative/serving@98e5ef9 pkg/autoscaler/scaling/autoscaler.go, config/core/configmaps/autoscaler.yaml",
        knob="requests in flight per pod",
        default=70,
        sweep=(2, 4, 5, 6, 8, 16, 32, 70),
        make=on_concurrency,
    ),
)
