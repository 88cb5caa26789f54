"""What a person declares: `spec` of an LLMDeployment (design, section 2)."""

from decimal import Decimal
from enum import StrEnum

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from tokenpace.api.fields import (
    ApiModel,
    DecimalString,
    DnsLabel,
    LongText,
    PercentString,
    PreservedObject,
    Replicas,
    Seconds,
    ShortText,
    TokensPerSecond,
    rules,
)
from tokenpace.api.model_source import Model, ModelSource


class EngineType(StrEnum):
    """An inference server that tokenpace can launch or read."""

    TGI = "TGI"
    VLLM = "VLLM"
    SGLANG = "SGLang"
    LLAMA_CPP = "LlamaCpp"
    TENSORRT_LLM = "TensorRTLLM"
    OPENVINO = "OpenVINO"
    CUSTOM = "Custom"


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


class StreamTarget(ApiModel):
    """The speed that a reader sees."""

    tokens_per_second: int = Field(
        ge=1, le=10_000, description="Tokens per second that one request sees while it is being generated."
    )
    percentile: int = Field(default=50, ge=1, le=99, description="Per cent of requests that must be this fast.")


class FirstTokenTarget(ApiModel):
    """How long a reader waits."""

    milliseconds: int = Field(ge=1, le=600_000, description="Time from sending a request to its first token.")
    percentile: int = Field(default=95, ge=1, le=99, description="Per cent of requests that must be this fast.")


class SLO(ApiModel):
    """The speed that is promised. Demand up to the targets is served in time; above them best effort."""

    generation_tokens_per_second: TokensPerSecond | None = Field(
        default=None,
        description="Generated tokens per second of the whole fleet. Demand up to this is promised, above it is "
        "best effort.",
    )
    prefill_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Prompt tokens per second of the whole fleet, promised likewise."
    )
    stream: StreamTarget | None = Field(default=None, description="The speed that each reader sees.")
    time_to_first_token: FirstTokenTarget | None = Field(default=None, description="How long each reader waits.")
    ready_tokens_per_second: int = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="Generation capacity that is always ready, whatever the demand (provisioned throughput).",
    )
    burst_tokens_per_second: int = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="Ready capacity stays this much above demand. Only ready capacity can serve a jump within the "
        "start-up time of a pod.",
    )
    backlog_drain_seconds: int | None = Field(
        default=None,
        ge=1,
        le=3600,
        description="Time in which a queue must be worked off. Default: the target of `timeToFirstToken`, and at "
        "least one pass of the operator's loop.",
    )
    objective: PercentString = Field(
        default=Decimal("99.5"),
        description="Per cent of one-minute slots that must be good over `windowHours`; the rest is the error budget.",
    )
    window_hours: int = Field(default=24, ge=1, le=720, description="Window of the objective, in hours.")
    min_quality: PercentString = Field(
        default=Decimal(0), description="Quality that no variant in use may fall below, in per cent of the reference."
    )


class Traffic(ApiModel):
    """The shape of a typical request: what planning starts from, and keeps where an engine counts no requests."""

    prompt_tokens: int = Field(default=512, ge=1, le=10_000_000, description="Prompt tokens of a typical request.")
    generated_tokens: int = Field(
        default=256, ge=1, le=10_000_000, description="Generated tokens of a typical request."
    )


class EnvironmentVariable(ApiModel):
    """An environment variable of the engine's container."""

    name: ShortText = Field(description="Name of the variable.")
    value: str | None = Field(default=None, max_length=4096, description="Value of the variable.")
    value_from: PreservedObject | None = Field(
        default=None, description="Source of the value, as in a Pod (`secretKeyRef`, `fieldRef` ...)."
    )


class Engine(ApiModel):
    """The inference server of a variant."""

    type: EngineType = Field(description="Which inference server; it decides launch, probes, draining and metrics.")
    image: LongText | None = Field(
        default=None, description="Container image. Default: the one that this operator version was tested with."
    )
    args: list[LongText] = Field(
        default_factory=list, max_length=64, description="Arguments added after those that tokenpace renders."
    )
    env: list[EnvironmentVariable] = Field(
        default_factory=list, max_length=64, description="Environment variables of the engine's container."
    )


class ScaleTargetRef(ApiModel):
    """An existing workload with a scale subresource, which tokenpace scales and never renders."""

    api_version: ShortText = Field(description="API version of the workload, for example `apps/v1`.")
    kind: ShortText = Field(description="Kind of the workload, for example `Deployment`.")
    name: ShortText = Field(description="Name of the workload, in the same namespace.")


class Resources(ApiModel):
    """Compute of one replica."""

    limits: dict[str, str | int] = Field(
        default_factory=dict, max_length=16, description="Limits, for example `nvidia.com/gpu: 1`."
    )
    requests: dict[str, str | int] = Field(
        default_factory=dict, max_length=16, description="Requests. Default: the limits."
    )


class Expected(ApiModel):
    """Speeds that planning starts from until it has measured. Without them it starts from one replica and learns."""

    stream_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Speed of a single stream on an otherwise idle replica."
    )
    generation_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Generated tokens per second of one replica at `atStreams` streams."
    )
    at_streams: int | None = Field(
        default=None, ge=1, le=4096, description="Streams at which `generationTokensPerSecond` was seen."
    )
    prefill_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Prompt tokens per second of one replica that does nothing else."
    )
    startup_seconds: Seconds | None = Field(
        default=None, description="From deciding on a replica to its first token, until it has been seen."
    )


class Variant(ApiModel):
    """One way to run the model: engine, quantization and hardware. The ladder is their order by quality."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra=rules(
            (
                "has(self.engine) != has(self.scaleTargetRef)",
                "must have exactly one of `engine` and `scaleTargetRef`",
            ),
            (
                "has(self.metrics) == has(self.scaleTargetRef)",
                "`metrics` must be specified with `scaleTargetRef`, and only with it",
            ),
            (
                "self.minReplicas <= self.maxReplicas",
                "`minReplicas` must be less than or equal to `maxReplicas`",
            ),
        ),
    )

    name: DnsLabel = Field(max_length=20, description="Name of the variant, unique within the resource.")
    engine: Engine | None = Field(default=None, description="The inference server that tokenpace runs.")
    scale_target_ref: ScaleTargetRef | None = Field(
        default=None, description="An existing workload that tokenpace only scales."
    )
    metrics: EngineType | None = Field(
        default=None, description="With `scaleTargetRef`: whose metric names the workload exports."
    )
    source: ModelSource | None = Field(
        default=None, description="Weights of this variant. Default: those of `spec.model.source`."
    )
    quantization: ShortText | None = Field(
        default=None, description="Precision in the engine's own spelling; the engine's adapter checks it."
    )
    quality: PercentString = Field(
        default=Decimal(100), description="Per cent of the reference variant's score, declared or measured."
    )
    hourly_cost: DecimalString | None = Field(
        default=None, description="Cost of one replica for an hour, in any currency, the same for all variants."
    )
    resources: Resources = Field(default_factory=Resources, description="Compute of one replica.")
    pod_template: PreservedObject | None = Field(
        default=None,
        description="Merged over the rendered pod template, lists of named objects by name; the container is "
        "`engine`. For node selectors, tolerations, volumes and the like.",
    )
    expected: Expected = Field(default_factory=Expected, description="Speeds to start from until measured.")
    min_replicas: Replicas = Field(default=0, description="Fewest replicas of this variant.")
    max_replicas: Replicas = Field(default=64, description="Most replicas of this variant.")


class ScaleDown(ApiModel):
    """How carefully capacity is taken away."""

    stabilization_window_seconds: int = Field(
        default=300,
        ge=0,
        le=3600,
        description="A smaller fleet must have been enough at every moment of this window.",
    )


class DegradedBudget(ApiModel):
    """How much may be generated below the best variant."""

    max_tokens_percent: int = Field(ge=0, le=100, description="Per cent of tokens over the objective's window.")
    when_spent: WhenSpent = Field(default=WhenSpent.KEEP_QUALITY, description="What wins when the budget is spent.")


class Scaling(ApiModel):
    """How the fleet may change."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra=rules(
            ("self.minReplicas <= self.maxReplicas", "`minReplicas` must be less than or equal to `maxReplicas`"),
            (
                "!has(self.variant) || self.mode == 'Manual'",
                "`variant` may be specified only when `mode` is Manual",
            ),
            (
                "self.minReplicas > 0 || has(self.scaleToZeroAfterSeconds) || self.mode == 'Manual'",
                "`minReplicas` may be 0 only with `scaleToZeroAfterSeconds`",
            ),
        ),
    )

    mode: Mode = Field(
        default=Mode.AUTO,
        description="Auto decides and acts; Advisory decides and reports, and touches nothing; Manual runs "
        "`spec.replicas` of `variant`.",
    )
    variant: DnsLabel | None = Field(
        default=None, max_length=20, description="With mode Manual: the variant to run. Default: the best one."
    )
    preference: Preference = Field(
        default=Preference.QUALITY,
        description="Quality gives up precision last; Cost takes the cheapest fleet above the floor.",
    )
    min_replicas: Replicas = Field(default=1, description="Fewest replicas of all variants together.")
    max_replicas: int = Field(default=16, ge=1, le=64, description="Most replicas of all variants together.")
    max_surge: int = Field(
        default=1, ge=0, le=16, description="Replicas above `maxReplicas` during a switch; 0 swaps in place."
    )
    max_hourly_cost: DecimalString | None = Field(
        default=None, description="Most that the fleet may cost in an hour, in the currency of `hourlyCost`."
    )
    degraded: DegradedBudget | None = Field(
        default=None, description="How much may be generated below the best variant."
    )
    balancing: Balancing = Field(
        default=Balancing.RANDOM, description="How requests are spread: Random is what a Service does."
    )
    scale_down: ScaleDown = Field(default_factory=ScaleDown, description="How carefully capacity is taken away.")
    variant_dwell_seconds: Seconds = Field(default=300, description="Least time between two switches of variant.")
    scale_to_zero_after_seconds: Seconds | None = Field(
        default=None, description="Idle time after which nothing runs. When absent: never."
    )


class LLMDeploymentSpec(ApiModel):
    """A model, the speed it must have, and the variants it may run as."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra=rules(
            (
                "self.variants.exists(v, double(v.quality) >= double(self.slo.minQuality))",
                "some variant must have a `quality` at or above `slo.minQuality`",
            ),
            (
                "self.variants.all(v, !has(v.engine) || has(v.source) || has(self.model.source))",
                "`model.source` must be specified unless every variant has a `source` of its own",
            ),
            (
                "!has(self.scaling.variant) || self.variants.exists(v, v.name == self.scaling.variant)",
                "`scaling.variant` must be the name of one of `variants`",
            ),
        ),
    )

    model: Model = Field(description="The model, the same for every variant.")
    slo: SLO = Field(
        description="The speed that is promised.",
        json_schema_extra=rules(
            (
                (
                    "has(self.generationTokensPerSecond) || has(self.prefillTokensPerSecond) || has(self.stream)"
                    " || has(self.timeToFirstToken)"
                ),
                (
                    "must have at least one of `generationTokensPerSecond`, `prefillTokensPerSecond`, `stream` and "
                    "`timeToFirstToken`"
                ),
            )
        ),
    )
    traffic: Traffic = Field(
        default_factory=Traffic,
        description="The shape of a typical request: what planning starts from, and keeps where the engine counts "
        "no requests (llama.cpp).",
    )
    variants: list[Variant] = Field(
        min_length=1,
        max_length=16,
        description="The ladder. Its order is that of `quality`, best first.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    scaling: Scaling = Field(default_factory=Scaling, description="How the fleet may change.")
    replicas: Replicas = Field(
        default=1, description="Replicas with `scaling.mode: Manual`. In other modes the operator decides."
    )

    @property
    def ladder(self) -> tuple[Variant, ...]:
        """The variants by quality, best first; equal quality in the order of their names."""
        return tuple(sorted(self.variants, key=lambda variant: (-variant.quality, variant.name)))
