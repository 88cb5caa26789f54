"""AIBrix's pod autoscaler (APA) on the share of a pod in use: of its KV memory, or of its slots where they are scarcer.

The metric is each scrape's mean over the pods, averaged over three minutes. Pods without it are skipped; without any
nothing changes. AIBrix scrapes the pods itself; here it loses sight with Prometheus as all do.

At the version read, the cooldown for scaling in takes the *least* of what was recommended in its five minutes, where
the HorizontalPodAutoscaler, to which its comment compares it, takes the most: the fleet falls at once, and further than
the metric asks. `aibrix-apa` does as the code does, `aibrix-apa-damped` as the comparison promises.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from tokenpace.replay.policies.bounds import Bounds, alone, chosen_variant
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.signals import KvMemory, rounds
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import Scrape, View

SOURCE = "vllm-project/aibrix@e3e10f9 pkg/controller/podautoscaler/{algorithm/apa.go,podautoscaler_controller.go}"

RESYNC_SECONDS = 10.0
WINDOW_SECONDS = 180.0
"""`observeWindowSeconds`."""
TOLERANCE = 0.1
"""Up and down fluctuation."""
MOST_TIMES_UP = 2.0
MOST_TIMES_DOWN = 2.0
DOWN_COOLDOWN_SECONDS = 300.0

SWEEP = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)

Choice = Callable[[Iterable[int]], int]


@dataclass(slots=True)
class AibrixPolicy:
    """One PodAutoscaler with the APA strategy."""

    variant: str
    share: Callable[[Scrape], float]
    target: float
    of_cooldown: Choice
    """Which of the cooldown's recommendations is done when replicas would be taken away."""
    bounds: Bounds
    scrape_seconds: float
    interval_seconds: float = RESYNC_SECONDS
    recommended: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many replicas; oldest first."""

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas that bring the mean to its target, at most twice or half as many as now."""
        current = view.replicas.get(self.variant, 0)
        found = rounds(
            view, self.variant, self.share, window_seconds=WINDOW_SECONDS, scrape_seconds=self.scrape_seconds
        )
        if not found:
            return {self.variant: self.bounds.held(current)}
        means = [sum(values) / len(values) for _, values in found]
        wanted = self._recommended(current, sum(means) / len(means) / self.target)
        return {self.variant: self.bounds.held(self._stable(view.at_seconds, current, self.bounds.held(wanted)))}

    def _recommended(self, current: int, ratio: float) -> int:
        if ratio > 1 + TOLERANCE:
            return min(math.ceil(current * ratio), math.ceil(MOST_TIMES_UP * current))
        if ratio < 1 - TOLERANCE:
            return max(math.ceil(current * ratio), math.floor(current / MOST_TIMES_DOWN))
        return current

    def _stable(self, at_seconds: float, current: int, wanted: int) -> int:
        since_seconds = at_seconds - DOWN_COOLDOWN_SECONDS
        self.recommended = [past for past in self.recommended if past[0] >= since_seconds]
        self.recommended.append((at_seconds, wanted))
        return self.of_cooldown(replicas for _, replicas in self.recommended) if wanted < current else wanted


def on_memory(of_cooldown: Choice, fleet: Fleet, _: Traffic, share: float) -> AibrixPolicy:
    """Scale the chosen variant on the share of its KV memory in use."""
    variant = chosen_variant(fleet.spec)
    memory = KvMemory(fleet.variants[variant.name].speeds)
    return AibrixPolicy(
        variant.name, memory.share, share, of_cooldown, alone(fleet.spec, variant), fleet.scrape_seconds
    )


KINDS = (
    PolicyKind(
        name="aibrix-apa",
        source=SOURCE,
        knob="share of KV memory, or of slots, in use",
        default=0.7,
        sweep=SWEEP,
        make=partial(on_memory, min),
    ),
    PolicyKind(
        name="aibrix-apa-damped",
        source=SOURCE,
        knob="share of KV memory, or of slots, in use",
        default=0.7,
        sweep=SWEEP,
        make=partial(on_memory, max),
    ),
)
