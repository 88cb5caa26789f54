"""Ray Serve's default policy: requests in flight, acted upon when the same direction has held for its whole delay.

With the shipped `upscaling_factor` and `downscaling_factor` of 1, the target is met at once, and the source's care for
fleets that a small factor holds in place has nothing to do. Ray's routers count requests themselves, at no scrape; here
their counts are the engines' scrapes of `look_back_period_s`, and without any nothing changes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tokenpace.replay.policies.bounds import Bounds, alone, chosen_variant
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.signals import total_in_flight
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import View

DECISION_SECONDS = 5.0
"""Its loop turns every 0.1 s, but its counts come every 10 s (`metrics_interval_s`)."""
LOOK_BACK_SECONDS = 30.0
"""`look_back_period_s`."""
UPSCALE_DELAY_SECONDS = 30.0
DOWNSCALE_DELAY_SECONDS = 600.0


@dataclass(slots=True)
class RayServePolicy:
    """The autoscaling of one deployment."""

    variant: str
    target: float
    """`target_ongoing_requests` per replica."""
    bounds: Bounds
    scrape_seconds: float
    interval_seconds: float = DECISION_SECONDS
    direction: int = 0
    """1 while more replicas are wanted, -1 while fewer are."""
    since_seconds: float = 0.0
    """When that began."""

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas that the total needs, once that has been more, or fewer, for long enough."""
        current = self.bounds.held(view.replicas.get(self.variant, 0))
        total = total_in_flight(
            view, self.variant, window_seconds=LOOK_BACK_SECONDS, scrape_seconds=self.scrape_seconds
        )
        if total is None:
            return {self.variant: current}
        wanted = self.bounds.held(math.ceil(total / self.target))
        direction = (wanted > current) - (wanted < current)
        if direction != self.direction:
            self.direction, self.since_seconds = direction, view.at_seconds
        delay = UPSCALE_DELAY_SECONDS if direction > 0 else DOWNSCALE_DELAY_SECONDS
        if direction == 0 or view.at_seconds - self.since_seconds < delay:
            return {self.variant: current}
        self.direction = 0
        return {self.variant: wanted}


def on_ongoing_requests(fleet: Fleet, _: Traffic, ongoing_per_replica: float) -> RayServePolicy:
    """Scale the chosen variant on requests in flight."""
    variant = chosen_variant(fleet.spec)
    return RayServePolicy(variant.name, ongoing_per_replica, alone(fleet.spec, variant), fleet.scrape_seconds)


KINDS = (
    PolicyKind(
        name="ray-serve",
        source="ray-project/ray@00590c4 python/ray/serve/autoscaling_policy.py",
        knob="ongoing requests per replica",
        default=2,
        sweep=(2, 4, 6, 8, 12, 16, 32, 64),
        make=on_ongoing_requests,
    ),
)
