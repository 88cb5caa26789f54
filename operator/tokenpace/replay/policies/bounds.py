"""What a compared autoscaler may work with: which variants, and how many replicas of each.

None of them knows of a total over several workloads, nor of `maxHourlyCost`: in their favour they get bounds that keep
both. None starts from zero replicas, because only pods are measured here: without any, nobody would notice the first
request. That holds for tokenpace as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tokenpace.api.spec import LLMDeploymentSpec, Preference
from tokenpace.api.support import servable_variants
from tokenpace.api.variant import Variant

NO_COST = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Fewest and most replicas of one workload."""

    least: int
    most: int

    def held(self, replicas: int) -> int:
        """Return the allowed number that is nearest."""
        return min(max(replicas, self.least), self.most)


def chosen_variant(spec: LLMDeploymentSpec) -> Variant:
    """Return the variant that an autoscaler of one workload is put in charge of, as its owner would choose it by hand.

    That is the best that may run, or, where cost comes first, the one with the cheapest declared tokens.

    Raises:
        ValueError: no variant may run.
    """
    variants = servable_variants(spec)
    if not variants:
        raise ValueError(
            "spec.variants: none may run: declare one with `maxReplicas` above 0 and a `quality` "
            "of at least `slo.minQuality`"
        )
    return min(variants, key=_cost_per_token) if spec.scaling.preference is Preference.COST else variants[0]


def _cost_per_token(variant: Variant) -> float:
    speed = variant.expected.generation_tokens_per_second
    return float(hourly_cost(variant)) / speed if speed else math.inf


def alone(spec: LLMDeploymentSpec, variant: Variant) -> Bounds:
    """Return the bounds of a variant's workload where no other grows beyond its own `minReplicas`."""
    beside = {other.name: other.min_replicas for other in spec.variants if other.name != variant.name}
    least = max(1, variant.min_replicas, spec.scaling.min_replicas - sum(beside.values()))
    return Bounds(least, max(least, room(spec, variant, beside)))


def room(spec: LLMDeploymentSpec, variant: Variant, replicas: Mapping[str, int]) -> int:
    """Return how many more of a variant's replicas fit the bounds and the budget, beside those of all there are."""
    most = min(variant.max_replicas - replicas.get(variant.name, 0), spec.scaling.max_replicas - sum(replicas.values()))
    if spec.scaling.max_hourly_cost is not None and variant.hourly_cost:
        spent = sum((hourly_cost(one) * replicas.get(one.name, 0) for one in spec.variants), start=NO_COST)
        most = min(most, int((spec.scaling.max_hourly_cost - spent) // variant.hourly_cost))
    return max(0, most)


def hourly_cost(variant: Variant) -> Decimal:
    """Return what a replica costs in an hour; nothing where that is not declared."""
    return NO_COST if variant.hourly_cost is None else variant.hourly_cost
