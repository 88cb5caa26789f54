"""One way to run the model: engine, quantization and hardware."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from tokenpace.api.custom_server import CustomServer
from tokenpace.api.fields import (
    LIST_MAP_BY_NAME,
    REFERENCE,
    ApiModel,
    DecimalString,
    DnsLabel,
    Integer,
    LongText,
    Matches,
    ObjectName,
    PercentString,
    PreservedObject,
    Replicas,
    Rule,
    Seconds,
    ShortText,
    TokensPerSecond,
    rules,
)
from tokenpace.api.model_source import ModelSource
from tokenpace.api.names import VARIANT_NAME_MAX_LENGTH

Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
            **rules(Rule("isQuantity(string(self))", 'must be an amount such as 2, "500m" or "8Gi"')),
        }
    ),
]
"""An amount as Kubernetes spells it: 2, "500m", "8Gi"."""

EnvironmentName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"[-._a-zA-Z][-._a-zA-Z0-9]*",
        "must be the name of an environment variable: letters, digits, `_`, `-` and `.`, no digit first",
    ),
]


ApiVersion = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?v[0-9][a-z0-9]*",
        "must be a group and a version such as `apps/v1`, or a version alone",
    ),
]
"""It becomes part of the paths that are asked of the API server: nothing but a group and a version may."""


class EngineType(StrEnum):
    """An inference server that tokenpace can launch or read."""

    TGI = "TGI"
    VLLM = "VLLM"
    SGLANG = "SGLang"
    LLAMA_CPP = "LlamaCpp"
    TENSORRT_LLM = "TensorRTLLM"
    OPENVINO = "OpenVINO"
    CUSTOM = "Custom"


class EnvironmentVariable(ApiModel):
    """An environment variable of the engine's container."""

    name: EnvironmentName = Field(description="Name of the variable.")
    value: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None, description="Value of the variable."
    )
    value_from: PreservedObject | None = Field(
        default=None, description="Source of the value, as in a Pod (`secretKeyRef`, `fieldRef` ...)."
    )


class Engine(ApiModel):
    """The inference server of a variant."""

    type: EngineType = Field(
        description="Which inference server. It decides how pods are launched, probed, drained and measured."
    )
    image: LongText | None = Field(
        default=None,
        description="Container image. Default: the one that this version of the operator was tested with, kept as it "
        "is when the operator is upgraded.",
    )
    args: tuple[LongText, ...] = Field(
        default=(),
        max_length=64,
        description="Arguments of the inference server, after those that tokenpace renders.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    env: tuple[EnvironmentVariable, ...] = Field(
        default=(),
        max_length=64,
        description="Environment variables of the engine's container.",
        json_schema_extra=LIST_MAP_BY_NAME,
    )


class ScaleTargetRef(ApiModel):
    """An existing workload with a scale subresource, which tokenpace scales and never renders."""

    model_config = ConfigDict(json_schema_extra=REFERENCE)

    api_version: ApiVersion = Field(description="API version of the workload, for example `apps/v1`.")
    kind: ShortText = Field(description="Kind of the workload, for example `Deployment`.")
    name: ObjectName = Field(description="Name of the workload, in the same namespace.")


class SpeedCardRef(ApiModel):
    """The measured speed, quality and cost of a variant."""

    model_config = ConfigDict(json_schema_extra=REFERENCE)

    name: ObjectName = Field(description="Name of an LLMSpeedCard in the same namespace.")


class Resources(ApiModel):
    """Compute of one replica, as in a container."""

    limits: dict[str, Quantity] = Field(
        default_factory=dict,
        max_length=16,
        description="Most that one replica may use, for example `nvidia.com/gpu: 1`.",
    )
    requests: dict[str, Quantity] = Field(
        default_factory=dict, max_length=16, description="What one replica is guaranteed. Default: the limits."
    )


class Expected(ApiModel):
    """Speeds that planning starts from until it has measured. Without them it starts from one replica and learns."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.generationTokensPerSecond) == has(self.atStreams)",
                "`generationTokensPerSecond` and `atStreams` must be specified together: a speed means nothing "
                "without the number of streams",
            ),
            Rule(
                "!has(self.generationTokensPerSecond) || !has(self.atStreams) || !has(self.streamTokensPerSecond)"
                " || self.generationTokensPerSecond <= self.streamTokensPerSecond * self.atStreams",
                "`generationTokensPerSecond` must be at most `streamTokensPerSecond` times `atStreams`: no stream is "
                "faster in company than alone",
                ".generationTokensPerSecond",
            ),
        )
    )

    stream_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Speed of a single stream on an otherwise idle replica."
    )
    generation_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Generated tokens per second of one replica at `atStreams` streams."
    )
    at_streams: Integer | None = Field(
        default=None, ge=1, le=4096, description="Streams at which `generationTokensPerSecond` was seen."
    )
    prefill_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Prompt tokens per second of one replica that does nothing else."
    )
    startup_seconds: Seconds | None = Field(
        default=None, description="From deciding on a replica to its first token, until it has been seen."
    )


class Variant(ApiModel):
    """One way to run the model: engine, quantization and hardware."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.engine) != has(self.scaleTargetRef)",
                "must have exactly one of `engine` (tokenpace runs the pods) and `scaleTargetRef` (they exist already)",
            ),
            Rule(
                "has(self.metrics) == has(self.scaleTargetRef)",
                "must have `metrics` if and only if it has `scaleTargetRef`: an `engine` brings its own metrics",
                ".metrics",
            ),
            Rule(
                "has(self.custom) == (has(self.engine) && self.engine.type == 'Custom' || "
                "has(self.metrics) && self.metrics == 'Custom')",
                "must have `custom` if and only if its `engine.type` or its `metrics` is Custom: tokenpace knows what "
                "other servers export",
                ".custom",
            ),
            Rule(
                "self.minReplicas <= self.maxReplicas",
                "`minReplicas` must be less than or equal to `maxReplicas`",
                ".minReplicas",
            ),
        )
    )

    name: Annotated[DnsLabel, StringConstraints(max_length=VARIANT_NAME_MAX_LENGTH)] = Field(
        description="Name of the variant, unique within the resource. Its Deployment is called after both."
    )
    engine: Engine | None = Field(
        default=None, description="The inference server that tokenpace runs. Exactly one of this and `scaleTargetRef`."
    )
    scale_target_ref: ScaleTargetRef | None = Field(
        default=None, description="An existing workload with a scale subresource, which tokenpace only scales."
    )
    metrics: EngineType | None = Field(
        default=None, description="With `scaleTargetRef`: the inference server whose metrics the workload exports."
    )
    custom: CustomServer | None = Field(
        default=None,
        description="With `Custom` as `engine.type` or `metrics`: how that server is reached, and what it exports.",
    )
    source: ModelSource | None = Field(
        default=None, description="Weights of this variant. Default: those of `spec.model.source`."
    )
    quantization: ShortText | None = Field(
        default=None,
        description="Precision in the inference server's own spelling; its adapter checks it and lists what is legal.",
    )
    declared_quality: PercentString | None = Field(
        default=None,
        alias="quality",
        description="Per cent of the reference variant's score. Variants are preferred in this order. Default: that of "
        "the speed card, else 100.",
    )
    hourly_cost: DecimalString | None = Field(
        default=None,
        description="Cost of one replica for an hour, in any currency, the same for all variants. Default: that of "
        "the speed card.",
    )
    resources: Resources = Field(default_factory=Resources)
    pod_template: PreservedObject | None = Field(
        default=None,
        description="Merged over the rendered pod template, lists of named objects by name; the container is "
        "`engine`. For node selectors, tolerations, volumes and the like.",
    )
    expected: Expected = Field(default_factory=Expected)
    speed_card_ref: SpeedCardRef | None = Field(
        default=None,
        description="What `tokenpace bench` measured of it: planning starts from that instead of `expected`, which "
        "stays in use where there is no such card, or where it is of another model, engine, quantization or size of "
        "pod.",
    )
    min_replicas: Replicas = Field(default=0, description="Fewest replicas of this variant.")
    max_replicas: Replicas = Field(
        default=64, description="Most replicas of this variant. 0 takes it out of use without deleting it."
    )

    @property
    def quality(self) -> Decimal:
        """Per cent of the reference variant's score; 100 where nobody said."""
        return Decimal(100) if self.declared_quality is None else self.declared_quality

    @property
    def engine_type(self) -> EngineType | None:
        """The inference server that it is launched with or, of a workload that exists already, measured as."""
        return self.engine.type if self.engine is not None else self.metrics
