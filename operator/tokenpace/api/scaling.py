"""How the fleet may change: who decides, within which bounds, how carefully."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from tokenpace.api.fields import (
    LIST_MAP_BY_NAME,
    ApiModel,
    DecimalString,
    DnsLabel,
    Integer,
    Matches,
    Replicas,
    Rule,
    Seconds,
    rules,
)
from tokenpace.api.wake import WakeSignal

Cron = Annotated[
    str,
    StringConstraints(min_length=9, max_length=64),
    Matches(
        r"[-0-9*/,A-Z]+( [-0-9*/,A-Z]+){4}",
        "must be five fields of cron, in capitals where they are words, for example `0 8 * * MON-FRI`",
    ),
]
TimeZone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Matches(
        r"[A-Za-z][-+A-Za-z0-9_]*(/[A-Za-z][-+A-Za-z0-9_]*)*",
        "must be a name of the IANA time zone database, for example `Europe/Berlin`",
    ),
]


LEAST_IDLE_SECONDS = 60.0
"""A model that slept sooner would go to sleep between two requests of one reader."""


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


class Schedule(ApiModel):
    """Hours at which more is kept ready than load asks for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.minReplicas) || has(self.readyTokensPerSecond)",
                "must have at least one of `minReplicas` and `readyTokensPerSecond`",
            )
        )
    )

    name: Annotated[DnsLabel, StringConstraints(max_length=20)] = Field(description="Name of the schedule.")
    start: Cron = Field(
        description="When it begins, as a cron expression: minute, hour, day of the month, month, day of the week. "
        "Pods are ordered then; they serve a lead time later."
    )
    end: Cron = Field(description="When it ends, as a cron expression.")
    time_zone: TimeZone = Field(default="Etc/UTC", description="Time zone of `start` and `end`.")
    min_replicas: Replicas | None = Field(
        default=None,
        description="Fewest replicas of all variants together, where it is more than `scaling.minReplicas`.",
    )
    ready_tokens_per_second: Annotated[Integer, Field(ge=1, le=100_000_000)] | None = Field(
        default=None,
        description="Generation capacity that is always ready, where it is more than `slo.readyTokensPerSecond`.",
    )

    @property
    def asks_for_replicas(self) -> bool:
        """Whether something runs while it is active, whatever else is declared."""
        return bool(self.min_replicas or self.ready_tokens_per_second)


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
            Rule(
                "!has(self.schedules)"
                " || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas <= self.maxReplicas)",
                "`minReplicas` of every schedule must be less than or equal to `maxReplicas`",
                ".schedules",
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
    min_replicas: Replicas = Field(
        default=1,
        description="Fewest replicas of all variants together. With `scaleToZeroAfterSeconds` that is while the model "
        "is awake, and at least one.",
    )
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
    schedules: tuple[Schedule, ...] = Field(
        default=(),
        max_length=16,
        description="Hours at which more is kept ready. Of several that are active the most holds.",
        json_schema_extra=LIST_MAP_BY_NAME,
    )
    variant_dwell_seconds: Seconds = Field(default=300, description="Least time between two switches of variant.")
    scale_to_zero_after_seconds: Seconds | None = Field(
        default=None,
        description="Idle time after which nothing runs, at least 60 s; every tick of it must have been seen. It needs "
        "something that wakes: `wake`, or `schedules`. When absent: never.",
    )
    wake: WakeSignal | None = Field(
        default=None,
        description="What says that somebody asks while nothing runs. The request that wakes fails, unless a gateway "
        "in front holds it until a replica serves.",
    )

    @property
    def sleeps_after_seconds(self) -> float | None:
        """Idle time after which nothing runs; None where that never is, also because nothing could wake it."""
        if self.scale_to_zero_after_seconds is None or self.mode is Mode.MANUAL or not self.can_be_woken:
            return None
        return max(float(self.scale_to_zero_after_seconds), LEAST_IDLE_SECONDS)

    @property
    def can_be_woken(self) -> bool:
        """Whether anything but a change of the spec brings a sleeping model back."""
        return self.wake is not None or any(schedule.asks_for_replicas for schedule in self.schedules)
