"""What a benchmark found, as JSON. Its schema is committed beside the documentation (docs/bench-result.schema.json).

Times are in seconds, speeds in tokens or characters a second. What was not measured, or cannot be, is null.
"""

from datetime import datetime
from typing import Final

from pydantic import Field

from tokenpace.documents import Part, json_schema_of

VERSION: Final = 1
"""Of the schema. A field that is added does not change it; one that goes, or means something else, does."""


class Distribution(Part):
    """Values of many requests, by nearest rank: pXX is the smallest value that XX % of them do not exceed."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float


class Server(Part):
    """What the server says of itself."""

    engine: str
    """LlamaCpp, TGI, VLLM, SGLang, TensorRTLLM, OpenVINO; Custom where it says none of these."""
    version: str | None
    model: str
    """The name that its API knows the model by."""
    slots: int | None
    """Requests that it works on at a time, where it says so."""


class Machine(Part):
    """What one replica runs on."""

    name: str
    accelerators: int
    cpu: str | None
    """Limit, as in a container."""
    memory: str | None
    """Limit, as in a container."""


class Workload(Part):
    """What was asked of it."""

    api: str
    prompt_tokens: int
    """Mean; the server's own count is in `lone` and in each point's speeds."""
    generated_tokens: int
    spread: float
    """Lengths are drawn evenly from (1 - spread) to (1 + spread) times the mean."""
    trace: str | None
    """File name of the recording whose arrivals and lengths were used; null for Poisson arrivals."""
    seed: int


class Lone(Part):
    """One request at a time on an otherwise idle server, all of the mean length.

    LLM-Perf's batch of 1 (optimum-benchmark): prefill latency is the time to the first token, prefill speed the prompt
    by it; decode speed is that of the tokens after the first.
    """

    requests: int
    prompt_tokens: float
    """As the server counted them."""
    generated_tokens: float | None = None
    """Mean of those that came, which is not what was asked where a server ends its answers when it wants."""
    first_token_seconds: Distribution
    seconds_per_token: Distribution
    prefill_tokens_per_second: float
    """Of the median request."""
    decode_tokens_per_second: float
    """Of the median request."""


class Point(Part):
    """One rate of open-loop arrivals, after warm-up. Latencies are of the requests that were due in its time."""

    offered_requests_per_second: float
    """That the schedule was drawn for."""
    arrived_requests_per_second: float
    """That chance made of it in these seconds."""
    seconds: float
    warm_up_seconds: float
    """Before these; what came in them is left out."""
    completed: int
    failed: int
    refused: str | None
    """Why this point says nothing of the server; its speeds and times are then null."""
    saturated: bool
    """Whether requests came faster than they were served: somebody waited, and less than nine tenths ended."""
    streams: float | None
    """Mean number of streams that were being generated."""
    generation_tokens_per_second: float | None
    prefill_tokens_per_second: float | None
    """Prompt tokens of the requests whose first token came, by the seconds."""
    characters_per_second: float | None
    first_token_seconds: Distribution | None
    """Time to first token: MLPerf's and inference-perf's, but from when the request was due."""
    seconds_per_token: Distribution | None
    """Time per output token: MLPerf's and vLLM's, (last - first token) / (tokens - 1) of each request."""
    token_gap_seconds: Distribution | None
    """Inter-token latency: vLLM's and inference-perf's, every gap between two chunks of every request."""
    request_seconds: Distribution | None
    """From when the request was due to its last token."""
    stream_tokens_per_second: Distribution | None
    """1 / time per output token; here pXX is the speed that XX % of the requests reach."""
    lag_seconds: Distribution | None
    """Of this program: from when a request was due until it was sent."""


class Estimate(Part):
    """A fitted value."""

    value: float
    error: float
    """Standard error: jackknife over blocks of time."""


class Fit(Part):
    """The engine-second balance `1 = a·g/k + b·g + c·p` (docs/planning.md)."""

    step_seconds: Estimate
    """a"""
    token_seconds: Estimate
    """b"""
    prompt_token_seconds: Estimate
    """c"""
    relative_residual: float
    """Root mean square of (measured - fitted) / measured."""
    requests: int


class Perplexity(Part):
    """How surprised the model is by a text, token by token, each after the true ones before it."""

    perplexity: float
    error: float
    """Standard error over the positions."""
    text: str
    """Name of the text."""
    positions: int
    missed: int
    """Positions at which the server did not name the true token's probability: taken for the least that it named."""
    log_probabilities: tuple[float, ...]
    """Of each true token: what another variant is compared with, position by position."""


class Answers(Part):
    """Greedy answers to the prompt set."""

    prompts: str
    """Name of the set."""
    tokens: int
    texts: tuple[str, ...]


class Quality(Part):
    """Quality of this variant, and, where a reference was given, as a share of the reference's."""

    perplexity: Perplexity
    answers: Answers
    reference: str | None
    """Model and version that it was compared with."""
    percent: Estimate | None
    """100 · perplexity of the reference / perplexity of this, with the error of the paired differences."""
    agreement_percent: Estimate | None
    """Mean share of each of the reference's answers that comes before the first difference."""


class TaskScore(Part):
    """What lm-evaluation-harness found at the same URL, and, where there is one, as a share of the reference's."""

    harness: str
    task: str
    """With its version."""
    metric: str
    value: float
    error: float
    """Standard error."""
    samples: int
    reference: str | None = None
    percent: Estimate | None = None
    """100 · value / value of the reference. Answers are not paired: the errors of both add up as squares."""


class Result(Part):
    """One benchmark of one variant."""

    version: int = Field(default=VERSION)
    measured_at: datetime
    command: str
    """Does it again."""
    url: str
    server: Server
    model: str
    """What people call it, the same for every variant; `server.model` is what its API calls it."""
    quantization: str | None
    image: str | None
    machine: Machine
    workload: Workload
    lone: Lone
    points: tuple[Point, ...]
    """In the order of their rates."""
    generation_tokens_per_second: float | None
    """Highest of any point: with every slot taken, where saturation was reached."""
    sustained_tokens_per_second: float | None
    """Highest of those points that were not saturated."""
    characters_per_token: float
    fit: Fit | None
    hourly_cost: float | None
    cost_per_million_tokens: float | None
    """Generated tokens, at `generation_tokens_per_second`, in the currency of the hourly cost."""
    quality: Quality | None
    task_score: TaskScore | None = None


def json_schema() -> str:
    """Return the JSON schema of `Result`."""
    return json_schema_of(Result)
