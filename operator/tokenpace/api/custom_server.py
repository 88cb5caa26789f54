"""What a user declares of an inference server that tokenpace does not know: how it is reached, and what it exports."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from tokenpace.api.fields import ApiModel, Integer, Matches, Rule, rules

MetricName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Matches(
        r"[a-zA-Z_:][a-zA-Z0-9_:]*",
        "must be the name of a metric alone, without braces or functions: letters, digits, `_` and `:`, no digit first",
    ),
]
"""It becomes part of what is asked of Prometheus: nothing but a name may."""

HttpPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(r"/[-._~/a-zA-Z0-9]*", "must be a path such as `/health`: it begins with `/` and has no query"),
]


class DeclaredMetrics(ApiModel):
    """Names of the metrics of a server. What has no name is not measured."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.generatedTokensPerRequest) || has(self.timeToFirstToken)",
                "`generatedTokensPerRequest` needs `timeToFirstToken`: the length of requests says something of demand "
                "only where requests are counted",
                ".generatedTokensPerRequest",
            ),
        )
    )

    generated_tokens: MetricName = Field(
        description="Counter of generated tokens. One that moves only when requests end is seen late."
    )
    running_streams: MetricName = Field(description="Gauge of the requests that are worked on.")
    prompt_tokens: MetricName | None = Field(
        default=None,
        description="Counter of prompt tokens. Without it `spec.traffic` says how many a generated token brings.",
    )
    waiting_requests: MetricName | None = Field(
        default=None,
        description="Gauge of the requests that wait. Without it those beyond `expected.atStreams` are taken to wait.",
    )
    time_to_first_token: MetricName | None = Field(
        default=None,
        description="Histogram without its suffix; its count is that of the requests. Without it demand is estimated "
        "from the tokens that are served.",
    )
    time_per_output_token: MetricName | None = Field(
        default=None,
        description="Histogram in seconds, without its suffix. Without it a stream's speed is estimated from tokens "
        "and streams.",
    )
    generated_tokens_per_request: MetricName | None = Field(
        default=None,
        description="Histogram of the tokens of ended requests, without its suffix. Without it `spec.traffic` says how "
        "long answers are.",
    )


class CustomServer(ApiModel):
    """An inference server that tokenpace does not know, with OpenAI's completions."""

    port: Integer = Field(default=8080, ge=1, le=65535, description="Port of its API, and of its metrics.")
    health_path: HttpPath = Field(
        default="/health", description="Answers 200 as soon as, and as long as, requests can be served."
    )
    completions_path: HttpPath = Field(
        default="/v1/completions", description="OpenAI's completions: what a new pod is tried by."
    )
    metrics_path: HttpPath = Field(default="/metrics", description="What Prometheus is to scrape.")
    batch_flag: (
        Annotated[
            str,
            StringConstraints(max_length=63),
            Matches(r"--?[a-zA-Z][-_a-zA-Z0-9]*", "must be a flag such as `--max-num-seqs`"),
        ]
        | None
    ) = Field(
        default=None,
        description="Flag that limits how many requests are worked on at once, launched with `expected.atStreams`.",
    )
    metrics: DeclaredMetrics = Field(description="What it exports.")
