"""The variants that may serve, and the best fleets of them within the bounds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import servable_variants
from tokenpace.api.variant import Variant
from tokenpace.planning.estimate import Believed, Estimate
from tokenpace.planning.fleet import Choice, Limits, Rung, best_fleet
from tokenpace.planning.hourly_costs import hourly_costs

EVERYTHING = 1e15
"""Tokens per second beyond any fleet."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The best fleets within the bounds, by what they have to serve and by which variants may serve it."""

    spec: LLMDeploymentSpec
    estimate: Estimate
    variants: tuple[Variant, ...]
    """Best first: those that may serve, and those of which `minReplicas` has to stay."""
    rungs: tuple[Rung, ...]
    limits: Limits
    found: dict[tuple[float, tuple[str, ...]], Choice] = field(default_factory=dict, compare=False)
    """Answers that were given already: a plan asks most questions more than once."""

    def __contains__(self, name: str) -> bool:
        return any(variant.name == name for variant in self.variants)

    def __getitem__(self, name: str) -> Variant:
        return next(variant for variant in self.variants if variant.name == name)

    def believed(self, name: str) -> Believed:
        """Return what is believed of a variant."""
        return self.estimate.variants[name]

    def within(self, stock: Mapping[str, int]) -> "Ladder":
        """Return the ladder of a cluster that has room for so many replicas, by variant."""
        rungs = (replace(rung, most=min(rung.most, stock.get(rung.name, rung.most))) for rung in self.rungs)
        return replace(self, rungs=tuple(rungs), found={}) if stock else self

    def best(self, tokens_per_second: float, among: Collection[str]) -> Choice:
        """Return the best fleet that can serve so much, in which one of these variants serves."""
        question = (tokens_per_second, tuple(among))
        if question not in self.found:
            preference = self.spec.scaling.preference
            self.found[question] = best_fleet(tokens_per_second, self.rungs, self.limits, preference, among)
        return self.found[question]

    def replicas(self, tokens_per_second: float, name: str) -> int:
        """Return the replicas of this variant in the best fleet of it that can serve so much."""
        return self.best(tokens_per_second, (name,)).replicas[name]

    def most(self, name: str) -> Choice:
        """Return the largest fleet in which this variant serves."""
        return self.best(EVERYTHING, (name,))

    def kept(self, name: str) -> int:
        """Return the replicas of a variant that stay when another one serves."""
        return self[name].min_replicas if name in self else 0


def ladder_of(spec: LLMDeploymentSpec, estimate: Estimate) -> Ladder:
    """Return the variants that may serve by what is declared."""
    variants, costs, scaling = servable_variants(spec), hourly_costs(spec), spec.scaling
    rungs = (_rung(one, estimate.variants[one.name], costs[one.name]) for one in variants)
    limits = Limits(
        # Only pods are measured: without any, nobody would notice the first request.
        least=max(scaling.min_replicas, 1),
        most=scaling.max_replicas,
        hourly_cost=None if scaling.max_hourly_cost is None else float(scaling.max_hourly_cost),
    )
    return Ladder(spec, estimate, variants, tuple(rungs), limits)


def _rung(variant: Variant, believed: Believed, hourly_cost: float) -> Rung:
    return Rung(
        name=variant.name,
        quality=float(variant.quality),
        hourly_cost=hourly_cost,
        capacity=None if believed.costs is None else cache(believed.tokens_per_second),
        keeps_targets=believed.feasible is not False,
        least=variant.min_replicas,
        most=variant.max_replicas,
    )
