"""What a person declares: `spec` of an LLMDeployment. Its parts are in the modules beside this one."""

from pydantic import ConfigDict, Field

from tokenpace.api.fields import LIST_MAP_BY_NAME, ApiModel, Replicas, Rule, rules
from tokenpace.api.model_source import Model
from tokenpace.api.scaling import Balancing, DegradedBudget, Mode, Preference, ScaleDown, Scaling, Schedule, WhenSpent
from tokenpace.api.slo import SLO, FirstTokenTarget, StreamTarget, Traffic
from tokenpace.api.variant import (
    Engine,
    EngineType,
    EnvironmentVariable,
    Expected,
    Resources,
    ScaleTargetRef,
    SpeedCardRef,
    Variant,
)
from tokenpace.api.wake import WakeSignal, WakeType

__all__ = [
    "SLO",
    "Balancing",
    "DegradedBudget",
    "Engine",
    "EngineType",
    "EnvironmentVariable",
    "Expected",
    "FirstTokenTarget",
    "LLMDeploymentSpec",
    "Mode",
    "Preference",
    "Resources",
    "ScaleDown",
    "ScaleTargetRef",
    "Scaling",
    "Schedule",
    "SpeedCardRef",
    "StreamTarget",
    "Traffic",
    "Variant",
    "WakeSignal",
    "WakeType",
    "WhenSpent",
]

REPLICAS_BELONG_TO_THE_OPERATOR = Rule(
    "self.scaling.mode == 'Manual' || oldSelf.scaling.mode == 'Manual' || self.replicas == oldSelf.replicas",
    "`replicas` may be changed only when `scaling.mode` is Manual: set it, or bound what the operator may do with "
    "`scaling.minReplicas` and `scaling.maxReplicas`, and remove any other autoscaler",
    ".replicas",
    "FieldValueForbidden",
)
"""A change that also changes the mode is allowed both ways: nobody must edit twice to take over or to hand back."""


class LLMDeploymentSpec(ApiModel):
    """What is declared: the model, the speed it must have, and the variants it may run as."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.variants.exists(v, !has(v.quality) || double(v.quality) >= double(self.slo.minQuality))",
                "some variant must have a `quality` at or above `slo.minQuality`",
                ".variants",
            ),
            Rule(
                "self.variants.all(v, v.minReplicas == 0 || !has(v.quality)"
                " || double(v.quality) >= double(self.slo.minQuality))",
                "a variant with a `quality` below `slo.minQuality` must have `minReplicas` 0: it may never run",
                ".variants",
            ),
            Rule(
                "self.variants.all(v, !has(v.engine) || has(v.source)) || has(self.model.source)",
                "`model.source` must be specified unless every variant with an `engine` has a `source` of its own",
                ".model.source",
                "FieldValueRequired",
            ),
            Rule(
                "!has(self.scaling.variant) || self.variants.exists(v, v.name == self.scaling.variant)",
                "`scaling.variant` must be the name of one of `variants`",
                ".scaling.variant",
            ),
            Rule(
                "self.variants.map(v, v.minReplicas).sum() <= self.scaling.maxReplicas",
                "`scaling.maxReplicas` must be at least the sum of the variants' `minReplicas`",
                ".scaling.maxReplicas",
            ),
            Rule(
                "self.variants.map(v, v.maxReplicas).sum() >= self.scaling.minReplicas",
                "`scaling.minReplicas` must be at most the sum of the variants' `maxReplicas`",
                ".scaling.minReplicas",
            ),
            Rule(
                "!has(self.scaling.maxHourlyCost) && self.scaling.preference != 'Cost'"
                " || self.variants.all(v, has(v.hourlyCost) || has(v.speedCardRef))",
                "every variant must have an `hourlyCost`, or a `speedCardRef` that has one, when "
                "`scaling.maxHourlyCost` is specified or `scaling.preference` is Cost",
                ".variants",
            ),
            Rule(
                "!has(self.scaling.scaleToZeroAfterSeconds) || self.slo.readyTokensPerSecond == 0",
                "`slo.readyTokensPerSecond` must be 0 when `scaling.scaleToZeroAfterSeconds` is specified: nothing "
                "is ready when nothing runs",
                ".slo.readyTokensPerSecond",
            ),
            REPLICAS_BELONG_TO_THE_OPERATOR,
        )
    )

    model: Model
    slo: SLO
    traffic: Traffic = Field(default_factory=Traffic)
    variants: tuple[Variant, ...] = Field(
        min_length=1,
        max_length=16,
        description="The ladder: every way in which the model may run. Its order is that of `quality`, best first, "
        "whatever the order here.",
        json_schema_extra=LIST_MAP_BY_NAME,
    )
    scaling: Scaling = Field(default_factory=Scaling)
    replicas: Replicas = Field(
        default=1,
        description="Replicas when `scaling.mode` is Manual; what `kubectl scale` writes. In other modes the operator "
        "decides, and a change is refused.",
    )

    @property
    def ladder(self) -> tuple[Variant, ...]:
        """The variants by quality, best first; equal quality in the order of their names."""
        return tuple(sorted(self.variants, key=lambda variant: (-variant.quality, variant.name)))
