"""What llm-d's Workload Variant Autoscaler does with what an analyzer says: choose variants by cost, and scale them.

The optimizer gives a variant's workload a number of replicas; KEDA carries it out, with the HorizontalPodAutoscaler
behaviour that the project documents. The source assumes as many accelerators as it wants: in its favour additions stay
within the spec's bounds and budget, one replica of some variant always stays, and KEDA may take the others to none.

Source: llm-d/llm-d-workload-variant-autoscaler, internal/engines/pipeline/cost_aware_optimizer.go,
docs/integrations/hpa-integration.md.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import servable_variants
from tokenpace.api.variant import Variant
from tokenpace.replay.policies.bounds import Bounds, room
from tokenpace.replay.policies.horizontal import SYNC_SECONDS, Direction, Limit
from tokenpace.replay.policies.keda import ScaledObject, Trigger, scaled_object
from tokenpace.replay.policies.signals import is_ready, pods_of
from tokenpace.replay.view import View

UP_THRESHOLD = 0.85
"""`scaleUpThreshold`: demand above this share of the capacity, with what is still starting, adds replicas."""
DOWN_BOUNDARY = 0.70
"""`scaleDownBoundary`: demand below this share of the ready capacity takes replicas away."""

DEFAULT_COST = 10.0
"""`variantCost`."""

BEHAVIOR = Direction((Limit(10, 150),), window_seconds=240)
"""The same up and down."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an analyzer says of the model, in tokens that are held or in tokens a second."""

    demand: float
    capacity: Mapping[str, float]
    """Of one replica, by variant; variants of which nothing is known are absent."""


Analyzer = Callable[[View], Analysis | None]
"""None: without metrics it holds what there is."""


@dataclass(slots=True)
class CostAwarePolicy:
    """The optimizer of one model's variants, and the scaling of each one's workload."""

    spec: LLMDeploymentSpec
    variants: tuple[Variant, ...]
    analyzer: Analyzer
    up_threshold: float
    workloads: Mapping[str, ScaledObject]
    interval_seconds: float = SYNC_SECONDS
    """`GLOBAL_OPT_INTERVAL`, and the HorizontalPodAutoscaler's."""

    @classmethod
    def of(cls, spec: LLMDeploymentSpec, analyzer: Analyzer, up_threshold: float) -> Self:
        """Return the policy of all variants that may serve."""
        variants = servable_variants(spec)
        workloads = {
            variant.name: scaled_object(Bounds(variant.min_replicas, variant.max_replicas), BEHAVIOR, BEHAVIOR)
            for variant in variants
        }
        return cls(spec, variants, analyzer, up_threshold, workloads)

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return each workload's replicas on their way to what the optimizer wants."""
        asked = {variant.name: view.replicas.get(variant.name, 0) for variant in self.variants}
        analysis = self.analyzer(view)
        wanted = asked if analysis is None else self._wanted(view, asked, analysis)
        return {
            name: scaled.replicas(view.at_seconds, asked[name], [Trigger(float(wanted[name]), 1.0)])
            for name, scaled in self.workloads.items()
        }

    def _wanted(self, view: View, asked: Mapping[str, int], analysis: Analysis) -> dict[str, int]:
        ready = {name: sum(map(is_ready, pods_of(view, name))) for name in asked}
        anticipated = sum(max(asked[name], ready[name]) * each for name, each in analysis.capacity.items())
        required = analysis.demand / self.up_threshold - anticipated
        if required > 0:
            return self._more(required, asked, analysis.capacity)
        supply = sum(ready[name] * each for name, each in analysis.capacity.items())
        down_boundary = self.up_threshold * DOWN_BOUNDARY / UP_THRESHOLD
        return self._fewer(supply - analysis.demand / down_boundary, asked, analysis.capacity)

    def _more(self, required: float, asked: Mapping[str, int], capacity: Mapping[str, float]) -> dict[str, int]:
        """Add replicas where a unit of capacity costs least."""
        wanted = dict(asked)
        known = [variant for variant in self.variants if capacity.get(variant.name, 0.0) > 0]
        for variant in sorted(known, key=lambda variant: _cost(variant) / capacity[variant.name]):
            each = capacity[variant.name]
            added = min(max(0, math.ceil(required / each)), room(self.spec, variant, wanted))
            wanted[variant.name] += added
            required -= added * each
        return wanted

    def _fewer(self, spare: float, asked: Mapping[str, int], capacity: Mapping[str, float]) -> dict[str, int]:
        """Take away the replicas that cost most."""
        wanted = dict(asked)
        known = [variant for variant in self.variants if capacity.get(variant.name, 0.0) > 0]
        for variant in sorted(known, key=_cost, reverse=True):
            each = capacity[variant.name]
            beyond_least = sum(wanted.values()) - max(1, self.spec.scaling.min_replicas)
            removable = min(wanted[variant.name] - variant.min_replicas, beyond_least)
            removed = min(max(0, math.floor(spare / each)), max(0, removable))
            wanted[variant.name] -= removed
            spare -= removed * each
        return wanted


def _cost(variant: Variant) -> float:
    return DEFAULT_COST if variant.hourly_cost is None else float(variant.hourly_cost)
