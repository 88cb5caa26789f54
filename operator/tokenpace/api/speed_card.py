"""LLMSpeedCard: one measured variant. What planning starts from, and what variants are compared by."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema

from tokenpace.api.fields import (
    ApiModel,
    DecimalString,
    Integer,
    LongText,
    Matches,
    PercentString,
    Rule,
    Seconds,
    ShortText,
    plain_decimal,
    rules,
)
from tokenpace.api.status import LargeCount, Timestamp
from tokenpace.api.variant import EngineType, Quantity

PositiveDecimalString = Annotated[
    Decimal,
    PlainSerializer(plain_decimal, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 14}),
    Matches(
        r"[1-9][0-9]{0,6}(\.[0-9]{1,6})?|0\.[0-9]{0,5}[1-9][0-9]{0,5}",
        'must be a decimal above 0 in quotes, with up to seven digits before the point, for example "128" or "0.5"',
    ),
]
"""A decimal that something is divided by."""

Nanoseconds = Annotated[Integer, Field(ge=1, le=10**12)]


class CardModel(ApiModel):
    """The model that was measured."""

    name: ShortText = Field(
        description="Name of the model, the same on every card of it, for example `HuggingFaceTB/SmolLM2-135M-Instruct`"
        ". Cards are compared with those of the same name."
    )
    revision: ShortText | None = Field(default=None, description="Commit, tag or checksum of the weights.")


class CardEngine(ApiModel):
    """The inference server that was measured."""

    type: EngineType = Field(description="Which inference server.")
    version: ShortText = Field(description="Its version, as it reports it.")
    image: LongText | None = Field(default=None, description="Container image that ran.")


class Hardware(ApiModel):
    """What one replica ran on."""

    name: ShortText = Field(
        description="What people call it, for example `NVIDIA H100 SXM` or `AMD EPYC 9V74, 2 cores`. Cards are "
        "compared whatever it is; the name tells them apart."
    )
    accelerators: Integer = Field(default=0, ge=0, le=1024, description="Accelerators of one replica.")
    cpu: Quantity | None = Field(default=None, description="CPU limit of one replica, as in a container.")
    memory: Quantity | None = Field(default=None, description="Memory limit of one replica, as in a container.")


class CardTraffic(ApiModel):
    """The shape of the requests that were sent."""

    prompt_tokens: PositiveDecimalString = Field(description="Prompt tokens of a request, in the mean.")
    generated_tokens: PositiveDecimalString = Field(description="Generated tokens of a request, in the mean.")
    drawn: ShortText = Field(
        description="How requests were drawn: their lengths and when they arrive, for example `fixed lengths, Poisson "
        "arrivals, seed 1`."
    )


class LatencyPercentiles(ApiModel):
    """A time in seconds: the mean, and what that per cent of requests needed at most."""

    mean: DecimalString = Field(description="Mean of all requests, in seconds.")
    p50: DecimalString = Field(description="At most this for 50 % of requests, in seconds.")
    p90: DecimalString = Field(description="At most this for 90 % of requests, in seconds.")
    p95: DecimalString = Field(description="At most this for 95 % of requests, in seconds.")
    p99: DecimalString = Field(description="At most this for 99 % of requests, in seconds.")


class StreamSpeedPercentiles(ApiModel):
    """The speed of a stream: the mean, and what that per cent of requests had at least, as in `slo.stream`."""

    mean: DecimalString = Field(description="Mean of all requests, in tokens per second.")
    p50: DecimalString = Field(description="At least this for 50 % of requests, in tokens per second.")
    p90: DecimalString = Field(description="At least this for 90 % of requests, in tokens per second.")
    p95: DecimalString = Field(description="At least this for 95 % of requests, in tokens per second.")
    p99: DecimalString = Field(description="At least this for 99 % of requests, in tokens per second.")


class SweepPoint(ApiModel):
    """One load of the sweep, warm-up excluded."""

    offered_requests_per_second: DecimalString = Field(
        description="Rate at which requests were sent, whether or not earlier ones had been answered."
    )
    duration_seconds: PositiveDecimalString = Field(description="How long this load was measured.")
    requests: Integer = Field(ge=1, le=10**9, description="Requests that were answered whole.")
    failed_requests: Integer = Field(default=0, ge=0, le=10**9, description="Requests that were not.")
    saturated: bool = Field(
        default=False,
        description="Whether the queue grew while it was measured: then first tokens are as late as the measurement "
        "is long.",
    )
    streams: DecimalString = Field(description="Requests that were being generated, in the mean over time.")
    generated_tokens_per_second: DecimalString = Field(description="Generated tokens per second of the replica.")
    prefill_tokens_per_second: DecimalString = Field(description="Prompt tokens per second that it processed.")
    stream_tokens_per_second: StreamSpeedPercentiles = Field(
        description="What one request saw while it was being generated: tokens after the first by time after it."
    )
    time_to_first_token_seconds: LatencyPercentiles = Field(
        description="From when a request was due, sent or not, to its first token."
    )
    time_per_output_token_seconds: LatencyPercentiles = Field(
        description="Mean interval between the tokens of a request, over requests (MLPerf's TPOT)."
    )
    inter_token_latency_seconds: LatencyPercentiles = Field(
        description="Interval between two tokens, over all intervals of all requests."
    )


class FittedCost(ApiModel):
    """A cost of the engine-second balance, and how well the sweep knows it."""

    nanoseconds: Nanoseconds = Field(description="The cost.")
    standard_error_nanoseconds: LargeCount = Field(description="Its standard error.")


class Fit(ApiModel):
    """The engine-second balance of a busy replica, `1 = a·(g/k) + b·g + c·p`, fitted to the sweep.

    g generated and p prompt tokens per second, k streams. It says what the replica does at loads, and with prompts,
    that were not measured.
    """

    step: FittedCost = Field(description="Time that a step costs, whatever it generates (a).")
    generated_token: FittedCost = Field(description="Time that a generated token adds (b).")
    prompt_token: FittedCost = Field(description="Time that a prompt token adds (c).")
    batch_limit: Integer | None = Field(
        default=None, ge=1, le=65_536, description="Most streams that the engine was launched to serve at once."
    )


class MeasuredQuality(ApiModel):
    """What is left of the reference variant's quality."""

    percent: PercentString = Field(
        description="Per cent of the reference's score; 100 where the score is better than the reference's."
    )
    standard_error: DecimalString = Field(description="Standard error of `percent`, in points.")
    method: ShortText = Field(description="How it was measured, for example `perplexity`.")
    dataset: ShortText = Field(description="On which texts or tasks, with their version.")
    reference: ShortText = Field(description="The variant that is 100 %, for example `f16`.")
    perplexity: PositiveDecimalString | None = Field(
        default=None, description="Perplexity on the data set, teacher-forced through the engine's own API."
    )
    greedy_agreement_percent: PercentString | None = Field(
        default=None,
        description="Per cent of the characters of greedy answers that come before the first difference from the "
        "reference's.",
    )


class Cost(ApiModel):
    """What one replica costs."""

    hourly: DecimalString = Field(description="Cost of one replica for an hour, the currency of all cards compared.")
    per_million_generated_tokens: DecimalString | None = Field(
        default=None, description="Cost of a million generated tokens, prompts included, at the load of `summary`."
    )


class Summary(ApiModel):
    """The point of the sweep that stands for the card where there is room for one: most tokens per second."""

    generated_tokens_per_second: DecimalString = Field(description="Generated tokens per second of the replica.")
    stream_tokens_per_second: DecimalString = Field(description="What half of the requests saw at least.")
    streams: DecimalString = Field(description="Requests that were being generated, in the mean over time.")


class Measurement(ApiModel):
    """How the card came about, so that somebody else can have the same one."""

    method: ShortText = Field(description="How load was made, for example `open loop, Poisson arrivals`.")
    tool: ShortText = Field(description="What measured, with its version, for example `tokenpace bench 0.1.0`.")
    date: Timestamp = Field(description="When it was measured.")
    command: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="The command that measures it again."
    )


class LLMSpeedCardSpec(ApiModel):
    """One measured variant. Numbers are of one replica."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.points.exists(point, point.generatedTokensPerSecond == self.summary.generatedTokensPerSecond"
                " && point.streamTokensPerSecond.p50 == self.summary.streamTokensPerSecond"
                " && point.streams == self.summary.streams)",
                "`summary` must be one of `points`: copy its `generatedTokensPerSecond`, `streams` and "
                "`streamTokensPerSecond.p50`",
                ".summary",
            )
        )
    )

    model: CardModel = Field(description="The model that was measured.")
    engine: CardEngine = Field(description="The inference server that was measured.")
    quantization: ShortText = Field(
        description="Precision in the inference server's own spelling, as in `variants[].quantization`; `none` where "
        "weights are as they were trained."
    )
    hardware: Hardware = Field(description="What one replica ran on.")
    traffic: CardTraffic = Field(description="The shape of the requests that were sent.")
    points: tuple[SweepPoint, ...] = Field(
        min_length=1,
        max_length=64,
        description="The sweep, from the smallest load to saturation.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    summary: Summary = Field(description="The point with most generated tokens per second.")
    fit: Fit = Field(description="The engine-second balance, fitted to the sweep.")
    characters_per_token: PositiveDecimalString | None = Field(
        default=None,
        description="Characters of the answers by generated token. Models with different tokenizers are compared by "
        "characters per second.",
    )
    startup_seconds: Seconds | None = Field(
        default=None, description="From creating a replica to its first token, weights and image at hand."
    )
    quality: MeasuredQuality | None = Field(
        default=None, description="What is left of the reference variant's quality; absent: not measured."
    )
    cost: Cost | None = Field(default=None, description="What one replica costs; absent: nobody said.")
    measurement: Measurement = Field(description="How the card came about.")


class LLMSpeedCard(ApiModel):
    """The speed, quality and cost of one variant, measured.

    `tokenpace bench` writes it. A variant of an LLMDeployment in the same namespace that names it in `speedCardRef` is
    planned from it until enough was learned from live traffic, and `tokenpace leaderboard` compares cards.
    """

    spec: LLMSpeedCardSpec = Field(description="What was measured, and how.")


def summary_of(points: Sequence[SweepPoint]) -> Summary:
    """Return the point that stands for a sweep: the one with most generated tokens per second.

    Raises:
        ValueError: there is no point.
    """
    best = max(points, key=lambda point: point.generated_tokens_per_second)
    return Summary(
        generated_tokens_per_second=best.generated_tokens_per_second,
        stream_tokens_per_second=best.stream_tokens_per_second.p50,
        streams=best.streams,
    )
