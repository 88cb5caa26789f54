"""The speed that is promised, and the shape of the requests that it is promised for."""

from decimal import Decimal

from pydantic import ConfigDict, Field

from tokenpace.api.fields import ApiModel, Integer, PercentString, Rule, TokensPerSecond, rules


class StreamTarget(ApiModel):
    """The speed that each reader sees."""

    tokens_per_second: Integer = Field(
        ge=1, le=10_000, description="Tokens per second that one request sees while it is being generated."
    )
    percentile: Integer = Field(
        default=50, ge=1, le=99, description="Per cent of requests that must be at least this fast."
    )


class FirstTokenTarget(ApiModel):
    """How long each reader waits for the first word."""

    milliseconds: Integer = Field(ge=1, le=600_000, description="Time from sending a request to its first token.")
    percentile: Integer = Field(
        default=95, ge=1, le=99, description="Per cent of requests that must be at least this fast."
    )


class SLO(ApiModel):
    """The speed that is promised: at least one target.

    Time is judged in one-minute slots. A slot is good when at least 95 % of the demand, up to the promised tokens per
    second, was served, and every latency target held. A slot without demand is good; one without data does not count.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.generationTokensPerSecond) || has(self.prefillTokensPerSecond) || has(self.stream)"
                " || has(self.timeToFirstToken)",
                "must have at least one of `generationTokensPerSecond`, `prefillTokensPerSecond`, `stream` and "
                "`timeToFirstToken`",
            )
        )
    )

    generation_tokens_per_second: TokensPerSecond | None = Field(
        default=None,
        description="Generated tokens per second of the whole fleet. Demand up to this is promised; above it, it is "
        "served as well as the bounds allow.",
    )
    prefill_tokens_per_second: TokensPerSecond | None = Field(
        default=None, description="Prompt tokens per second of the whole fleet, promised likewise."
    )
    stream: StreamTarget | None = Field(
        default=None,
        description="The speed that each reader sees. It decides how many streams a replica may serve at once, and so "
        "how many tokens per second a replica is worth.",
    )
    time_to_first_token: FirstTokenTarget | None = Field(
        default=None, description="How long each reader waits for the first word, queue and prompt included."
    )
    ready_tokens_per_second: Integer = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="Generation capacity that is always ready, whatever the demand (provisioned throughput).",
    )
    burst_tokens_per_second: Integer = Field(
        default=0,
        ge=0,
        le=100_000_000,
        description="Ready capacity stays this much above demand. Only ready capacity can serve a jump within the "
        "start-up time of a pod.",
    )
    backlog_drain_seconds: Integer | None = Field(
        default=None,
        ge=1,
        le=3600,
        description="Time in which a queue must be worked off. Default: the target of `timeToFirstToken`, but at "
        "least the time that a new replica takes to serve, and one pass of the operator's loop.",
    )
    objective: PercentString = Field(
        default=Decimal("99.5"),
        description="Per cent of one-minute slots that must be good over `windowHours`; the rest is the error budget.",
    )
    window_hours: Integer = Field(default=24, ge=1, le=720, description="Window of `objective`, in hours.")
    min_quality: PercentString = Field(
        default=Decimal(0),
        description="Quality that no variant in use may fall below, in per cent of the reference variant's score.",
    )


class Traffic(ApiModel):
    """The shape of a typical request: what planning starts from until it has measured the real one.

    It stays in use where the engine counts no requests (llama.cpp), because their length cannot be measured there.
    """

    prompt_tokens: Integer = Field(default=512, ge=1, le=10_000_000, description="Prompt tokens of a typical request.")
    generated_tokens: Integer = Field(
        default=256, ge=1, le=10_000_000, description="Generated tokens of a typical request."
    )
