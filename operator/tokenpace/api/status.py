"""What the operator reports: `status` of an LLMDeployment.

Speeds are decimal strings with two significant digits ("8.5", "1200"). API conventions forbid floats, and integers
would make 8.5 tokens/s of a small CPU fleet an 8 or a 9, up to 12 % off in the very columns that people compare with
their target. Two digits are as much as a measurement over a minute can know, and keep a steady fleet from rewriting
its status, which everybody watches, at every tick.
"""

import math
from datetime import UTC
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, StringConstraints, WithJsonSchema

from tokenpace.api.fields import (
    LIST_MAP_BY_NAME,
    ApiModel,
    DnsLabel,
    Integer,
    LongText,
    PercentString,
    ShortText,
    plain_decimal,
)

LARGEST_SPEED = 10**9

Speed = Annotated[
    Decimal,
    PlainSerializer(plain_decimal, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 16}),
]
"""Tokens per second: in a manifest a string, here a decimal made by `speed`."""

Timestamp = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC).replace(microsecond=0))]
"""A moment in whole seconds of UTC, as Kubernetes writes it."""

Count = Annotated[Integer, Field(ge=0, le=1_000_000)]
LargeCount = Annotated[Integer, Field(ge=0, le=10**12)]
Generation = Annotated[Integer, Field(ge=0, le=10**15)]
"""Not up to 2**63 - 1: the API server keeps bounds as floats, where that rounds up and overflows to -2**63."""


def speed(tokens_per_second: float | None) -> Decimal | None:
    """Return a speed as the status shows it: two significant digits, and hundredths at the finest.

    What is not known, or not a finite number, is None and stays out of the status: it is not 0. Speeds beyond
    `LARGEST_SPEED` are shown as that, because one value that the schema refuses would lose the whole status.
    """
    if tokens_per_second is None or not math.isfinite(tokens_per_second):
        return None
    if tokens_per_second < 0.01:  # noqa: PLR2004 (slower than a token in a hundred seconds is standing still)
        return Decimal(0)
    return Decimal(f"{min(tokens_per_second, LARGEST_SPEED):.1e}")


class SpeedSource(StrEnum):
    """Where a capacity comes from."""

    DECLARED = "Declared"
    MEASURED = "Measured"
    LEARNED = "Learned"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One thing that is true, false or unknown of the resource, as Kubernetes' `metav1.Condition`."""

    type: ShortText = Field(description="What is said, for example `Ready` or `SLOMet`.")
    status: ConditionStatus = Field(description="Whether it holds: True, False or Unknown.")
    observed_generation: Generation = Field(description="The `metadata.generation` that this was said of.")
    last_transition_time: Timestamp = Field(description="When `status` last changed.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Why, in one CamelCase word for machines."
    )
    message: Annotated[str, StringConstraints(max_length=32_768)] = Field(description="Why, in a sentence for people.")


class FleetSpeeds(ApiModel):
    """What the fleet does and what is asked of it. A speed that is not known is absent, which is not 0."""

    demand: Speed | None = Field(default=None, description="What clients want now, the backlog included.")
    served: Speed | None = Field(default=None, description="What the fleet generates now.")
    capacity: Speed | None = Field(
        default=None, description="What the fleet can generate while every latency target holds."
    )
    stream: Speed | None = Field(default=None, description="What one request sees while it is being generated.")


class LearnedSpeed(ApiModel):
    """What was learned of one replica, kept here so that a restarted operator need not learn again.

    The engine-second balance of a busy replica: each second goes into steps, generated tokens and prompt tokens.
    """

    template_hash: ShortText = Field(
        description="Hash of the inputs that the measured pods were rendered from; another hash starts anew."
    )
    step_nanoseconds: LargeCount = Field(description="Time that a step costs, whatever it generates.")
    generated_token_nanoseconds: LargeCount = Field(description="Time that a generated token adds.")
    prompt_token_nanoseconds: LargeCount = Field(description="Time that a prompt token adds.")
    observed_seconds: LargeCount = Field(description="How long replicas were watched at work.")
    most_streams: Count = Field(description="Most concurrent streams that were seen; beyond, speeds are extrapolated.")
    kv_tokens: LargeCount | None = Field(
        default=None,
        description="Tokens of running requests that fit its memory; absent while no queue has shown it.",
    )


class SetbackStatus(ApiModel):
    """Why a variant is not tried for a while."""

    template_hash: ShortText = Field(description="Hash of the inputs that failed; another hash is tried at once.")
    failures: Count = Field(description="How often in a row it could not take over.")
    until: Timestamp = Field(description="When it may be tried again.")
    message: LongText = Field(description="Why the last try failed.")


class VariantStatus(ApiModel):
    """One variant as it runs now."""

    name: DnsLabel = Field(description="Name of the variant. One that is no longer in the spec is being retired.")
    replicas: Count = Field(description="Replicas that its workload asks for.")
    ready: Count = Field(description="Replicas that serve.")
    capacity: Speed | None = Field(
        default=None, description="Tokens per second of one replica while every latency target holds."
    )
    source: SpeedSource | None = Field(
        default=None,
        description="Where `capacity` comes from: Declared in `expected`, Measured in saturation or by the speed card, "
        "Learned.",
    )
    quality: PercentString | None = Field(
        default=None, description="Per cent of the reference's score: declared, else of the speed card, else 100."
    )
    lead_seconds: Count | None = Field(
        default=None, description="Time from deciding on a replica to its first token, in seconds."
    )
    learned: LearnedSpeed | None = Field(default=None, description="What was learned of one replica under load.")
    setback: SetbackStatus | None = Field(
        default=None, description="Why it is not tried for a while; absent where nothing went wrong."
    )


class ObjectiveStatus(ApiModel):
    """How the objective stands over its window. What is not known is absent, which is neither 0 nor 100."""

    good_percent: PercentString | None = Field(
        default=None, description="Per cent of the judged one-minute slots that were good."
    )
    budget_remaining_percent: PercentString | None = Field(
        default=None, description="Per cent of the error budget that is left; 0 when it is spent."
    )
    judged_slots: Count | None = Field(default=None, description="Slots of the window that were good or bad.")
    left_out_slots: Count | None = Field(
        default=None, description="Slots of the window without a verdict. They do not count."
    )
    message: LongText | None = Field(
        default=None, description="Why slots are not known, or none has a verdict; absent where all is well."
    )


class DegradedStatus(ApiModel):
    """How much was generated below the best variant. The tokens fade with the objective's window."""

    tokens_percent: PercentString = Field(description="Per cent of tokens below the best variant.")
    generated_tokens: LargeCount = Field(description="Tokens generated by all variants.")
    degraded_tokens: LargeCount = Field(description="Those of them that a variant below the best one generated.")


class LastDecision(ApiModel):
    """The last change of the fleet, or why there was none."""

    time: Timestamp = Field(description="When it was decided.")
    action: LongText = Field(
        description="The fleet that was decided on, for example `q8: 3`. Where nothing may be touched, what would be "
        "done: `would scale q8 from 2 to 3`."
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Why, in one CamelCase word for machines."
    )
    message: Annotated[str, StringConstraints(max_length=32_768)] = Field(
        description="Why, in a sentence for people, with the numbers that it rests on."
    )


class LLMDeploymentStatus(ApiModel):
    """What the operator sees and does. Numbers have two significant digits and are at most a minute old."""

    observed_generation: Generation | None = Field(
        default=None, description="The `metadata.generation` that this status was written for."
    )
    replicas: Count | None = Field(default=None, description="Replicas that all workloads together ask for.")
    ready_replicas: Count | None = Field(default=None, description="Replicas that serve.")
    selector: LongText | None = Field(
        default=None, description="Label selector of the pods, for the scale subresource."
    )
    variant: DnsLabel | None = Field(
        default=None,
        description="The variant that serves; while several do, the one with most replicas, the better one of equals.",
    )
    tokens_per_second: FleetSpeeds | None = Field(
        default=None, description="What the fleet does and what is asked of it. What is not known is absent."
    )
    variants: tuple[VariantStatus, ...] = Field(
        default=(),
        max_length=64,
        description="Every variant that is declared or still runs.",
        json_schema_extra=LIST_MAP_BY_NAME,
    )
    quality: PercentString | None = Field(
        default=None,
        description="Quality of what is served now, in per cent of the reference; while several variants serve, that "
        "of the worst: no answer is worse.",
    )
    slo: ObjectiveStatus | None = Field(default=None, description="How the objective stands over its window.")
    degraded: DegradedStatus | None = Field(
        default=None, description="How much was generated below the best variant: what `scaling.degraded` limits."
    )
    switched_at: Timestamp | None = Field(
        default=None, description="When the fleet was last sent from one variant to another."
    )
    asleep_since: Timestamp | None = Field(
        default=None, description="Since when nothing runs because nobody asks; absent while it is awake."
    )
    outlook: tuple[LongText, ...] = Field(
        default=(),
        max_length=8,
        description="What would change the fleet, in sentences with numbers.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    last_decision: LastDecision | None = Field(
        default=None, description="The last change of the fleet, or why there was none."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=32,
        description="Ready, MetricsAvailable, SLOMet, SLOFeasible, ScalingLimited, TrafficUnbalanced, Progressing, "
        "Degraded, SpeedCardsAccurate and NotYetSupported.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
