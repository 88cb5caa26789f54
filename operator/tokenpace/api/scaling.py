"""How the fleet may change: who decides, within which bounds, how carefully."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from tokenpace.api.fields import ApiModel, DecimalString, DnsLabel, Integer, Replicas, Rule, Seconds, rules


class Mode(StrEnum):
    """Who decides on replicas."""

    AUTO = "Auto"
    ADVISORY = "Advisory"
    MANUAL = "Manual"


class Preference(StrEnum):
    """What is given up first when the SLO can be met in more than one way."""

    QUALITY = "Quality"
    COST = "Cost"


class WhenSpent(StrEnum):
    """What wins when the quality budget is spent."""

    KEEP_QUALITY = "KeepQuality"
    KEEP_SLO = "KeepSLO"


class Balancing(StrEnum):
    """How whatever stands in front spreads requests over the pods."""

    RANDOM = "Random"
    LEAST_REQUEST = "LeastRequest"
    WEIGHTED = "Weighted"


class ScaleDown(ApiModel):
    """How carefully capacity is taken away."""

    stabilization_window_seconds: Integer = Field(
        default=300,
        ge=0,
        le=3600,
        description="A smaller fleet must have been enough at every moment of this window.",
    )


class DegradedBudget(ApiModel):
    """How much may be generated below the best variant."""

    max_tokens_percent: Integer = Field(ge=0, le=100, description="Per cent of tokens over the objective's window.")
    when_spent: WhenSpent = Field(
        default=WhenSpent.KEEP_QUALITY,
        description="What wins when the budget is spent: KeepQuality returns to the best variant, KeepSLO stays fast.",
    )


class Scaling(ApiModel):
    """How the fleet may change."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.minReplicas <= self.maxReplicas",
                "`minReplicas` must be less than or equal to `maxReplicas`",
                ".minReplicas",
            ),
            Rule(
                "!has(self.variant) || self.mode == 'Manual'",
                "`variant` may be specified only when `mode` is Manual; in other modes the operator chooses",
                ".variant",
                "FieldValueForbidden",
            ),
            Rule(
                "self.minReplicas > 0 || has(self.scaleToZeroAfterSeconds) || self.mode == 'Manual'",
                "`minReplicas` may be 0 only when `scaleToZeroAfterSeconds` says after how long nothing may run",
                ".minReplicas",
            ),
        )
    )

    mode: Mode = Field(
        default=Mode.AUTO,
        description="Auto decides and acts. Advisory decides and reports, and touches nothing. Manual runs "
        "`spec.replicas` replicas of `variant`.",
    )
    variant: Annotated[DnsLabel, StringConstraints(max_length=20)] | None = Field(
        default=None, description="With mode Manual: the variant to run. Default: the best one."
    )
    preference: Preference = Field(
        default=Preference.QUALITY,
        description="Where several fleets meet the SLO: Quality gives up precision last, Cost takes the cheapest fleet "
        "at or above `slo.minQuality`.",
    )
    min_replicas: Replicas = Field(default=1, description="Fewest replicas of all variants together.")
    max_replicas: Integer = Field(default=16, ge=1, le=64, description="Most replicas of all variants together.")
    max_surge: Integer = Field(
        default=1,
        ge=0,
        le=16,
        description="Replicas above `maxReplicas` while one variant replaces another; 0 swaps them in place.",
    )
    max_hourly_cost: DecimalString | None = Field(
        default=None, description="Most that the fleet may cost in an hour, in the currency of `hourlyCost`."
    )
    degraded: DegradedBudget | None = Field(
        default=None, description="How much may be generated below the best variant. Default: as much as the SLO needs."
    )
    balancing: Balancing = Field(
        default=Balancing.RANDOM,
        description="How requests are spread over the pods. Random is what a Service does; LeastRequest and Weighted "
        "need a gateway in front that does it.",
    )
    scale_down: ScaleDown = Field(default_factory=ScaleDown)
    variant_dwell_seconds: Seconds = Field(default=300, description="Least time between two switches of variant.")
    scale_to_zero_after_seconds: Seconds | None = Field(
        default=None, description="Idle time after which nothing runs. When absent: never."
    )
