"""A server that tokenpace does not know: its image, its port and the names of its metrics are what the user declares.

It is read like any other, by the names in `spec.variants[].custom.metrics`. Those differ between resources, and still
all servers are asked about together: a query a role, whatever the number of names (docs/decisions/0083).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokenpace.api.custom_server import CustomServer, DeclaredMetrics
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.arguments import batch_limit_of, number_problems
from tokenpace.engines.description import Description, Measure, Mode, Verified, When
from tokenpace.engines.engine import FieldProblem, GenerationApi, Introduction, Launch, PromptScoring, Signal
from tokenpace.engines.pod import EngineContainer, engine_pod_template, pod_template_problems
from tokenpace.engines.weights import declared_place, hub_cache_variable, mounted_weights
from tokenpace.engines.window import Window, growth, ratio
from tokenpace.planning.observation import Reading, Unmeasured

DRAIN_SECONDS: Final = 300
"""The grace period after SIGTERM; a server that ends at once needs a `preStop` of its own in `podTemplate`."""

COUNTERS: Final = frozenset(
    {
        "generated_tokens", "prompt_tokens", "first_tokens", "gaps", "gap_seconds", "ended", "ended_tokens",
    }
)  # fmt: skip

_INTRODUCTION: Final = Introduction()

_DESCRIPTION: Final = Description(
    title="Any other server",
    introduction="Any image with OpenAI's completions and with metrics. How it is reached and what it exports is "
    "declared below `custom`; its flags are your own `args`, to which nothing is added.",
    example={
        "engine": {
            "type": "Custom",
            "image": "registry.example/openmmlab/lmdeploy:v0.16.0",
            "args": [
                "lmdeploy",
                "serve",
                "api_server",
                "org/model",
                "--server-port",
                "23333",
                "--max-batch-size",
                "64",
            ],
        },
        "custom": {
            "port": 23333,
            "batchFlag": "--max-batch-size",
            "metrics": {
                "generatedTokens": "lmdeploy:generation_tokens_total",
                "promptTokens": "lmdeploy:prompt_tokens_total",
                "runningStreams": "lmdeploy:num_requests_running",
                "waitingRequests": "lmdeploy:num_requests_waiting",
                "timeToFirstToken": "lmdeploy:time_to_first_token_seconds",
                "timePerOutputToken": "lmdeploy:iter_token_latency",
                "generatedTokensPerRequest": "lmdeploy:request_generation_tokens",
            },
        },
        "source": {
            "huggingFace": {"repo": "org/model", "tokenSecretKeyRef": {"name": "hub", "key": "token"}},
        },
        "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "48Gi"}},
        "expected": {"streamTokensPerSecond": 60, "generationTokensPerSecond": 1200, "atStreams": 32},
    },
    quantization="anything: it is not passed on",
    modes=(
        Mode(
            launched=(
                ("image, command", "yours: `engine.image`, `engine.args`, `engine.env`"),
                ("`custom.port`", "the port of its API and metrics: 8080 unless declared"),
                ("`custom.healthPath`", "the probes: `/health` unless declared"),
                ("`custom.completionsPath`", "what a new pod is tried by: `/v1/completions` unless declared"),
                ("`custom.metricsPath`", "`/metrics` unless declared; else pods say it by `prometheus.io/path`"),
                ("`custom.batchFlag`", "the one of your `args` that is the batch limit"),
                ("weights", "mounted at `/models`; `HF_HUB_CACHE` is there where they come from the hub"),
            ),
            measured=(
                Measure("generated tokens/s", "`generatedTokens`, which must be declared", When.LIVE),
                Measure("streams", "`runningStreams`, which must be declared", When.LIVE),
                Measure("prompt tokens/s", "`promptTokens`, else `spec.traffic`", When.LIVE),
                Measure("queue", "`waitingRequests`, else the streams beyond the batch limit", When.LIVE),
                Measure(
                    "requests admitted",
                    "the count of `timeToFirstToken` and the queue's growth; else demand is served tokens and the "
                    "growth of streams and queue",
                    When.LIVE,
                ),
                Measure("tokens per request", "`generatedTokensPerRequest`, else `spec.traffic`", When.AT_END),
                Measure("seconds per prompt token", "learned from the load", When.ESTIMATED),
                Measure("seconds per output token", "`timePerOutputToken`, else streams over tokens/s", When.LIVE),
            ),
        ),
    ),
    drained="by itself after SIGTERM, if it does: 300 s are waited for it",
    verified=Verified(
        metrics="an exposition under made-up names, read through a real Prometheus",
        serving="not tried",
        image="yours",
        flags="yours",
    ),
    notes=(
        "A name is a metric's name alone; series that differ in labels are added up.",
        (
            "All servers of this type are asked about in nine queries a tick, however many names are declared "
            "([0083](decisions/0083-declared-metrics-are-asked-for-by-role.md)). A pod that exports the names of two "
            "such variants of one resource is read by either: give them names of their own."
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Custom:
    """The adapter of one declared server; without one it reads nothing, and all that is missing is a problem."""

    server: CustomServer | None = None
    type: EngineType = EngineType.CUSTOM
    drain_seconds: int = DRAIN_SECONDS
    generation_api: GenerationApi = GenerationApi.COMPLETIONS
    silent_until_used: bool = False
    metric_prefixes: tuple[str, ...] = ()
    introduction: Introduction = _INTRODUCTION
    prompt_scoring: PromptScoring = PromptScoring.ECHO

    @property
    def port(self) -> int:
        """The declared port; 0 without a server, which nothing listens on."""
        return self.server.port if self.server else 0

    @property
    def completions_path(self) -> str:
        """The declared path."""
        return self.server.completions_path if self.server else ""

    @property
    def description(self) -> Description:
        """What can be declared."""
        return _DESCRIPTION

    @property
    def signals(self) -> Mapping[str, Signal]:
        """The declared names, by role."""
        return {role: Signal(name) for role, name in _names(self.server.metrics).items()} if self.server else {}

    def default_image(self, _variant: Variant) -> None:
        """Return nothing: the user names it."""

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what is not declared, as far as the schema cannot ask for it."""
        field = f"spec.variants[{variant.name}]"
        return (
            *_undeclared(spec, variant, field),
            *number_problems(variant, field, _batch_flags(self.server), "it is what the batch is limited to"),
            *pod_template_problems(variant, field),
        )

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return the pod: what the user declares, with the weights where every engine finds them."""
        if self.server is None:
            raise ValueError(f"variant {launch.variant.name} declares no `custom`; `problems` says so")
        weights = mounted_weights(launch)
        container = EngineContainer(
            args=(),
            env=hub_cache_variable(launch, weights),
            port=self.server.port,
            health_path=self.server.health_path,
            metrics_path=self.server.metrics_path,
            drain_seconds=DRAIN_SECONDS,
            shared_memory=True,
        )
        return engine_pod_template(launch, weights, container)

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the argument of the declared flag; None without one."""
        return batch_limit_of(template, _batch_flags(self.server))

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two that saw tokens and streams, because nothing has a rate then.

        A counter or gauge that is declared and not there yet is 0: many libraries export a series after its first use.
        Prompts and queue of a server that has generated are not measured where they are not there.
        """
        optional = _UNMEASURED_WITHOUT.keys()
        unseen = (optional - self.signals) | window.unseen(optional, used=("generated_tokens",))
        admits = not window.unseen({"first_tokens"}, used=("generated_tokens",))
        window = window.complete({"generated_tokens", "running"}).from_first_use(self.signals)
        running = window.mean("running")
        if window.seconds <= 0 or running is None:
            return None
        counters = COUNTERS & self.signals.keys()
        steps = window.steps(counters)
        grown = growth(steps, counters)
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=grown["generated_tokens"] / window.seconds,
            prompt_tokens_per_second=grown.get("prompt_tokens", 0.0) / window.seconds,
            running_streams=running,
            waiting_requests=window.last("waiting") or 0.0,
            requests_per_second=_admitted(window, grown) if admits else None,
            tokens_per_completion=ratio(grown.get("ended_tokens", 0.0), grown.get("ended", 0.0)),
            seconds_per_output_token=ratio(grown.get("gap_seconds", 0.0), grown.get("gaps", 0.0)) or None,
            unmeasured=frozenset(_UNMEASURED_WITHOUT[role] for role in unseen),
        )


_UNMEASURED_WITHOUT: Final = {
    "prompt_tokens": Unmeasured.PROMPT_TOKENS,
    "waiting": Unmeasured.WAITING_REQUESTS,
}


def _names(metrics: DeclaredMetrics) -> dict[str, str]:
    """Return the declared names by role: at most nine."""
    plain = {
        "generated_tokens": metrics.generated_tokens,
        "running": metrics.running_streams,
        "prompt_tokens": metrics.prompt_tokens,
        "waiting": metrics.waiting_requests,
    }
    histograms = {
        "first_tokens": (metrics.time_to_first_token, "count"),
        "gaps": (metrics.time_per_output_token, "count"),
        "gap_seconds": (metrics.time_per_output_token, "sum"),
        "ended": (metrics.generated_tokens_per_request, "count"),
        "ended_tokens": (metrics.generated_tokens_per_request, "sum"),
    }
    suffixed = {role: f"{name}_{suffix}" for role, (name, suffix) in histograms.items() if name is not None}
    return {role: name for role, name in plain.items() if name is not None} | suffixed


def _admitted(window: Window, grown: Mapping[str, float]) -> float | None:
    """Return the requests that had their first token or began to wait; None where they are not counted."""
    if "first_tokens" not in grown:
        return None
    waiting = [scrape.values.get("waiting", 0.0) for scrape in (window.scrapes[0], window.scrapes[-1])]
    return max(0.0, grown["first_tokens"] + waiting[1] - waiting[0]) / window.seconds


def _batch_flags(server: CustomServer | None) -> tuple[str, ...]:
    flag = server.batch_flag if server else None
    return (flag.replace("_", "-") if flag.startswith("--") else flag,) if flag else ()


def _undeclared(spec: LLMDeploymentSpec, variant: Variant, field: str) -> Iterator[FieldProblem]:
    where, place = declared_place(spec, variant)
    if place is None:
        yield FieldProblem(where, "must name one place with the weights: `huggingFace`, `volume` or `image`")
    if variant.custom is None:
        yield FieldProblem(f"{field}.custom", "is missing: it says how the server is reached and what it exports")
    if variant.engine and not variant.engine.image:
        yield FieldProblem(f"{field}.engine.image", "is missing: there is no default for a server of your own")
