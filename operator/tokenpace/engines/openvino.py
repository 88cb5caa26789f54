"""OpenVINO Model Server: int8 and int4 weights on Intel's CPUs and GPUs.

Flags and metrics: docs/parameters.md, docs/metrics.md and src/metrics of github.com/openvinotoolkit/model_server, as of
2026.3. Neither the server nor its images were ever run by us; `benchmarks/libraries.py` runs the library below it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.arguments import (
    batch_limit_of,
    flag_values,
    given_arguments,
    image_problems,
    launched_quantization,
    number_problems,
    owned_flag_problems,
    quantization_problems,
)
from tokenpace.engines.description import Description, Measure, Mode, Verified, When
from tokenpace.engines.draining import drain_script
from tokenpace.engines.engine import FieldProblem, GenerationApi, Introduction, Launch, PromptScoring, Signal
from tokenpace.engines.hardware import Hardware, hardware
from tokenpace.engines.pod import EngineContainer, engine_pod_template, pod_template_problems
from tokenpace.engines.weights import Weights, directory_problems, mounted_weights, revision_problems
from tokenpace.engines.window import Window, growth
from tokenpace.planning.observation import Reading, Unmeasured

IMAGES: Final[Mapping[Hardware, str]] = MappingProxyType(
    {Hardware.CPU: "openvino/model_server:2026.4.0", Hardware.INTEL: "openvino/model_server:2026.4.0-gpu"}
)

QUANTIZATIONS: Final = ("none", "fp16", "int8", "int4")
"""The values of `--weight-format`, and ``none`` for weights as they are."""

READY_MADE: Final = "OpenVINO/"
"""Owner of the repositories that hold converted weights: their names say the precision."""

DRAIN_SECONDS: Final = 300

BATCH_FLAGS: Final = ("--max-num-seqs",)

OWNED_FLAGS: Final = (
    *("--rest-port", "--port", "--rest-bind-address", "--model-name", "--model-path", "--source-model"),
    *("--model-repository-path", "--task", "--weight-format", "--target-device", "--metrics-enable"),
    *("--metrics-list", "--config-path"),
)

COUNTERS: Final = frozenset({"packets", "accepted"})

USER_ID: Final = 5000
"""The user `ovms` of the images (Dockerfile.ubuntu of openvinotoolkit/model_server)."""

_PORT: Final = 8000

_DRAIN: Final = drain_script(_PORT, "/metrics", ("ovms_current_graphs",))

_DESCRIPTION: Final = Description(
    title="OpenVINO Model Server",
    introduction="It counts no tokens, and no prompts. What it counts stands for them as far as it goes, and "
    "conditions say so.",
    example={
        "source": {
            "huggingFace": {
                "repo": "OpenVINO/Qwen2.5-7B-Instruct-int4-ov",
                "tokenSecretKeyRef": {"name": "hub", "key": "token"},
            }
        },
        "quantization": "int4",
        "resources": {"limits": {"cpu": 16, "memory": "24Gi"}},
        "expected": {"streamTokensPerSecond": 20, "generationTokensPerSecond": 120, "atStreams": 16},
    },
    images=IMAGES,
    quantizations=QUANTIZATIONS,
    quantization="`--weight-format`, by which weights are converted when they are downloaded; that takes an image with "
    f"Python (`…-py`). Repositories of `{READY_MADE}…` are converted already: the value is not passed on",
    modes=(
        Mode(
            launched=(
                ("`--source_model`, `--model_repository_path`", "a repository, downloaded into the cache"),
                ("`--model_path`", "a directory that was converted before, with its `graph.pbtxt`"),
                ("`--model_name`", "`model.servedName`"),
                ("`--task`", "`text_generation`, with `--source_model`"),
                ("`--target_device`", "`GPU` with `gpu.intel.com/…`, else `CPU`"),
                (
                    "`--max_num_seqs`",
                    "the batch limit, with `--source_model`, else 256, its own; a directory's `graph.pbtxt` decides",
                ),
                ("`--metrics_enable`", "always: metrics are off by default"),
                ("the context length", "the model's own: there is no flag for `model.contextTokens`"),
            ),
            measured=(
                Measure(
                    "generated tokens/s",
                    '`ovms_responses{method="Stream"}`: the packets of streamed answers, each about a token. Answers '
                    "that are not streamed are not seen: have clients stream",
                    When.ESTIMATED,
                ),
                Measure("prompt tokens/s", "`spec.traffic`: prompt tokens for each generated one", When.ESTIMATED),
                Measure("streams", "`ovms_current_graphs`, up to the batch limit", When.LIVE),
                Measure("queue", "what is beyond the batch limit; without one nothing waits", When.ESTIMATED),
                Measure("requests admitted", "`ovms_requests_accepted`", When.ON_ARRIVAL),
                Measure("tokens per request", "`spec.traffic.generatedTokens`", When.ESTIMATED),
                Measure("seconds per prompt token", "learned from the load", When.ESTIMATED),
                Measure(
                    "seconds per output token",
                    "streams over tokens/s: `ovms_graph_processing_time_us` is not read, because it holds the wait and "
                    "the prompt, too",
                    When.ESTIMATED,
                ),
            ),
        ),
    ),
    user="the images' own `ovms`; *restricted* holds",
    drained="until `ovms_current_graphs` is 0, for at most 300 s: at SIGTERM it cuts every stream",
    verified=Verified(
        metrics="an exposition written from docs/metrics.md, read through a real Prometheus",
        serving="not tried; [the library below it](benchmarks.md#openvino-beside-llamacpp) generates from the same "
        "GGUF file as llama.cpp",
        image="**never run**",
        flags="documentation",
    ),
    notes=(
        (
            "Declare `traffic` and `expected`: too little is measured to learn them. With packets of several tokens, "
            "speed is underestimated by as much."
        ),
        (
            "Its API is under `/v3`: clients ask `/v3/chat/completions`, and a fleet with other engines on other rungs "
            "would not be one API to them."
        ),
        (
            "The batch limit of a directory that was converted before is `max_num_seqs` in its `graph.pbtxt`: some "
            "versions refuse the flag without `--task`, so it is not passed on. Give it in `args` where yours takes "
            "it; without it nothing is seen to wait."
        ),
        (
            "Pods that accept requests and never count a packet are missing: no client streams, or the image's list of "
            "metrics lacks `ovms_responses`."
        ),
        "A `revision` cannot be asked for: it downloads the main branch.",
        (
            "On GPUs its user must be in the group of `/dev/dri`, which is the node's own: name its number in "
            "`podTemplate.spec.securityContext.supplementalGroups`."
        ),
    ),
)


class OpenVINO:
    """Launched with a repository or a converted directory, read from its packets and graphs."""

    type = EngineType.OPENVINO
    port = _PORT
    drain_seconds = DRAIN_SECONDS
    generation_api = GenerationApi.COMPLETIONS
    completions_path = "/v3/completions"
    silent_until_used = False
    metric_prefixes = ("ovms_",)
    introduction = Introduction(owned_by="ovms", paths=("v2",))
    prompt_scoring = PromptScoring.ECHO
    description = _DESCRIPTION
    signals: Mapping[str, Signal] = MappingProxyType(
        {
            "packets": Signal("ovms_responses", {"api": "V3", "method": "Stream"}),
            "accepted": Signal("ovms_requests_accepted", {"api": "V3"}),
            "graphs": Signal("ovms_current_graphs"),
        }
    )

    def default_image(self, variant: Variant) -> str:
        """Return the image for the variant's hardware; that for CPUs where there is none."""
        return IMAGES.get(hardware(variant), IMAGES[Hardware.CPU])

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what it cannot run: a single file, a revision, a precision it does not know, other hardware."""
        field = f"spec.variants[{variant.name}]"
        advice = "Leave it out for weights that were converted before"
        return (
            *directory_problems(spec, variant, "OpenVINO Model Server"),
            *revision_problems(spec, variant, "OpenVINO Model Server downloads the main branch"),
            *quantization_problems(variant, field, "OpenVINO Model Server", QUANTIZATIONS, advice),
            *image_problems(variant, field, IMAGES),
            *owned_flag_problems(variant, field, OWNED_FLAGS),
            *number_problems(variant, field, BATCH_FLAGS, "it is what the batch is limited to"),
            *pod_template_problems(variant, field),
        )

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return the pod: flags by `args`, so that the image's own entrypoint stays."""
        weights = mounted_weights(launch)
        container = EngineContainer(
            args=_args(launch, weights),
            env=(),
            port=_PORT,
            health_path="/v2/health/ready",
            drain_seconds=DRAIN_SECONDS,
            drain_script=_DRAIN,
            user_id=USER_ID,
        )
        return engine_pod_template(launch, weights, container)

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the argument for it, which tells those that run from those that wait."""
        return batch_limit_of(template, BATCH_FLAGS)

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two that saw the graphs, because nothing has a rate then.

        None, too, where requests came before these scrapes and no packet of an answer was ever counted: its speed is
        not known, and not 0. A counter with labels is there only after its first use. Each streamed answer is a graph
        from its request to its end, whether it is worked on or waits for its turn: one gauge holds both.
        """
        window = window.complete({"graphs"})
        admits = not window.unseen({"accepted"}, used=("packets",))
        unseen = Window(window.scrapes[:1]).unseen({"packets"}, used=("accepted",)) and window.last("packets") is None
        window = window.from_first_use(self.signals)
        if window.seconds <= 0 or unseen:
            return None
        steps = window.steps(COUNTERS)
        grown = growth(steps, COUNTERS)
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=grown["packets"] / window.seconds,
            prompt_tokens_per_second=0.0,
            running_streams=window.mean("graphs") or 0.0,
            waiting_requests=0.0,
            requests_per_second=grown["accepted"] / window.seconds if admits else None,
            unmeasured=frozenset({Unmeasured.PROMPT_TOKENS, Unmeasured.WAITING_REQUESTS}),
        )


def _args(launch: Launch, weights: Weights) -> list[str]:
    variant, hub = launch.variant, launch.source.hugging_face
    args = [
        *("--rest_port", str(_PORT), "--metrics_enable"),
        *("--model_name", launch.spec.model.served_name),
        *("--target_device", "GPU" if hardware(variant) is Hardware.INTEL else "CPU"),
    ]
    if hub is None:
        args += ["--model_path", weights.directory or "/"]
    else:
        args += ["--source_model", hub.repo, "--model_repository_path", weights.directory, "--task", "text_generation"]
        if (precision := launched_quantization(variant)) is not None and not hub.repo.startswith(READY_MADE):
            args += ["--weight-format", precision]
        if variant.expected.at_streams and not flag_values(given_arguments(variant), BATCH_FLAGS):
            args += ["--max_num_seqs", str(variant.expected.at_streams)]
    return args
