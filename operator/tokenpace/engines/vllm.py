"""vLLM: safetensors on CUDA, ROCm and CPUs.

Flags were read in the wheels of 0.30.0 and 0.33.0 (vllm/engine/arg_utils.py, vllm/entrypoints); metrics are what
vllm/v1/metrics of 0.33.0 exports when it is run, without a model. Its images were never run by us.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.arguments import (
    batch_limit_of,
    image_problems,
    launched_devices,
    launched_quantization,
    launched_streams,
    number_problems,
    owned_flag_problems,
    quantization_problems,
    with_values,
)
from tokenpace.engines.description import Description, Measure, Mode, Verified, When
from tokenpace.engines.engine import (
    COMPLETIONS_PATH,
    FieldProblem,
    GenerationApi,
    Introduction,
    Launch,
    PromptScoring,
    Signal,
)
from tokenpace.engines.hardware import Hardware, hardware
from tokenpace.engines.pod import EngineContainer, cpu_limit_variable, engine_pod_template, pod_template_problems
from tokenpace.engines.weights import Weights, directory_problems, hub_cache_variable, model_location, mounted_weights
from tokenpace.engines.window import Window, growth, ratio
from tokenpace.planning.observation import Reading

IMAGES: Final[Mapping[Hardware, str]] = MappingProxyType(
    {
        Hardware.NVIDIA: (
            "vllm/vllm-openai:v0.30.0@sha256:8a69ffad015f138d7170c4ddc429e230a3bc1c1719f67e14324749df200a4b90"
        ),
        Hardware.AMD: "vllm/vllm-openai-rocm:v0.23.0",
        Hardware.CPU: "vllm/vllm-openai-cpu:v0.28.0-x86_64",
    }
)

QUANTIZATIONS: Final = (
    "none", "awq", "auto_awq", "awq_marlin", "gptq", "auto_gptq", "gptq_marlin", "fp8", "modelopt",
    "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed", "humming", "compressed-tensors", "experts_int8",
    "quark", "moe_wna16", "torchao", "inc", "mxfp4", "gpt_oss_mxfp4", "deepseek_v4_fp8", "online", "fp8_per_tensor",
    "fp8_per_block", "fp8_per_channel", "int8_per_channel_weight_only", "nvfp4_per_token", "mxfp8",
)  # fmt: skip
"""The values of `--quantization` without the deprecated ones, which vLLM refuses; ``none`` for weights as they are."""

DRAIN_SECONDS: Final = 300
"""Of `--shutdown-timeout`, known since 0.18.0 (vllm-project/vllm#34730); by default SIGTERM aborts every request."""

USER_ID: Final = 2000
"""The user `vllm` of the images (vllm-project/vllm#40275): PyTorch fails for a user who has no name."""

BATCH_FLAGS: Final = ("--max-num-seqs",)

PARALLEL_FLAGS: Final = (
    *("--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp"),
    *("--data-parallel-size", "-dp"),
)

OWNED_FLAGS: Final = (
    *("--host", "--port", "--model", "--served-model-name", "--revision", "--quantization", "-q"),
    "--shutdown-timeout",
)

ALWAYS: Final = frozenset(
    {"generated_tokens", "prompt_tokens", "first_tokens", "ended", "ended_tokens", "running", "waiting"}
)
"""Signals that every version exports, from its start on."""

COUNTERS: Final = frozenset({"generated_tokens", "prompt_tokens", "first_tokens", "ended", "ended_tokens"})

_PORT: Final = 8000

_DESCRIPTION: Final = Description(
    title="vLLM",
    example={
        "source": {"huggingFace": {"repo": "org/model-awq", "tokenSecretKeyRef": {"name": "hub", "key": "token"}}},
        "quantization": "awq",
        "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "48Gi"}},
    },
    images=IMAGES,
    quantizations=QUANTIZATIONS,
    quantization="`--quantization`, the names of 0.30.0 to 0.33.0. `bitsandbytes` and `gguf` are no longer among them, "
    "and those that it calls deprecated are refused as vLLM does",
    modes=(
        Mode(
            launched=(
                ("image", "yours must be 0.18.0 or later, for `--shutdown-timeout`"),
                (
                    "the model",
                    (
                        "a repository (with `--revision`) or a directory of safetensors, the first argument of "
                        "`vllm serve`"
                    ),
                ),
                ("`--served-model-name`, `--max-model-len`", "`model.servedName`, `model.contextTokens`"),
                ("`--max-num-seqs`", "the batch limit, else vLLM's own"),
                ("`--tensor-parallel-size`", "the GPUs, unless your `args` spread the model"),
                ("on CPUs", "`OMP_NUM_THREADS`: the CPU limit; threads are not bound to cores"),
            ),
            measured=(
                Measure("generated tokens/s", "`generation_tokens_total`", When.LIVE),
                Measure(
                    "prompt tokens/s, without those found in the cache",
                    '`prompt_tokens_by_source_total{source="local_compute"}`; of versions without it '
                    "`prompt_tokens_total`, all of them",
                    When.LIVE,
                ),
                Measure("streams, queue", "`num_requests_running`, `num_requests_waiting`", When.LIVE),
                Measure(
                    "requests admitted",
                    "`time_to_first_token_seconds_count` and the queue's growth; those in prefill a moment later",
                    When.LIVE,
                ),
                Measure("tokens per request", "`request_generation_tokens`", When.AT_END),
                Measure(
                    "seconds per prompt token",
                    "it times requests and not its engine: learned from the load "
                    "([0084](decisions/0084-a-requests-prefill-is-not-its-engines.md))",
                    When.ESTIMATED,
                ),
                Measure(
                    "seconds per output token",
                    "`inter_token_latency_seconds_sum`, before 0.11 `time_per_output_token_seconds_sum`, over the "
                    "tokens that are no first ones",
                    When.LIVE,
                ),
            ),
        ),
    ),
    user="the images' own `vllm`; *restricted* holds. Verified for none of the images",
    drained="by itself after SIGTERM, for 300 s: `--shutdown-timeout`, which is 0 by default and would cut every "
    "stream",
    verified=Verified(
        metrics="those of vLLM's own metric code, 0.33.0, run over simulated requests without a model; read through a "
        "real Prometheus",
        serving="not tried",
        image="**never run**",
        flags="the wheels of 0.30.0 and 0.33.0",
    ),
    notes=(
        (
            "A Service called `vllm` would inject `VLLM_PORT=tcp://…`, and vLLM would not start: `enableServiceLinks` "
            "is false."
        ),
        (
            "Several engines in a pod (`--data-parallel-size`) are added up. `--disable-log-stats` in `args` would "
            "leave nothing to read."
        ),
    ),
)


class Vllm:
    """vLLM's OpenAI-compatible server, launched by the image's own `vllm serve`."""

    type = EngineType.VLLM
    port = _PORT
    drain_seconds = DRAIN_SECONDS
    generation_api = GenerationApi.COMPLETIONS
    completions_path = COMPLETIONS_PATH
    silent_until_used = False
    metric_prefixes = ("vllm:",)
    introduction = Introduction(owned_by="vllm")
    prompt_scoring = PromptScoring.ECHO
    description = _DESCRIPTION
    signals: Mapping[str, Signal] = MappingProxyType(
        {
            "generated_tokens": Signal("vllm:generation_tokens_total"),
            "prompt_tokens": Signal("vllm:prompt_tokens_total"),
            "computed_prompt_tokens": Signal("vllm:prompt_tokens_by_source_total", {"source": "local_compute"}),
            "first_tokens": Signal("vllm:time_to_first_token_seconds_count"),
            "token_seconds": Signal("vllm:inter_token_latency_seconds_sum"),
            "token_seconds_before_0_11": Signal("vllm:time_per_output_token_seconds_sum"),
            "ended": Signal("vllm:request_generation_tokens_count"),
            "ended_tokens": Signal("vllm:request_generation_tokens_sum"),
            "running": Signal("vllm:num_requests_running"),
            "waiting": Signal("vllm:num_requests_waiting"),
        }
    )

    def default_image(self, variant: Variant) -> str:
        """Return the image for the variant's hardware; that for CUDA where there is none."""
        return IMAGES.get(hardware(variant), IMAGES[Hardware.NVIDIA])

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what vLLM cannot run: a single file, a precision it does not know, hardware without an image."""
        field = f"spec.variants[{variant.name}]"
        advice = "Leave it out where the weights' own config.json names the method"
        return (
            *directory_problems(spec, variant, "vLLM"),
            *quantization_problems(variant, field, "vLLM", QUANTIZATIONS, advice),
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
            env=_environment(launch, weights),
            port=_PORT,
            health_path="/health",  # the port opens only once the weights are loaded
            drain_seconds=DRAIN_SECONDS,
            user_id=USER_ID,
            shared_memory=True,
        )
        return engine_pod_template(launch, weights, container)

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the argument for it; None where vLLM takes its own, which depends on the device."""
        return batch_limit_of(template, BATCH_FLAGS)

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two whole ones, because nothing has a rate then.

        Tokens are counted at every step of the engine. A request is admitted when it has its first token or begins to
        wait; one that is in prefill is counted a moment later.
        """
        renamed = {name for scrape in window.scrapes for name in scrape.values} - ALWAYS
        window = window.complete(ALWAYS | renamed)
        running, waiting = window.mean("running"), window.last("waiting")
        if window.seconds <= 0 or running is None or waiting is None:
            return None
        steps = window.steps(COUNTERS)
        grown = growth(steps, COUNTERS | renamed)
        begun = grown["first_tokens"] + waiting - window.scrapes[0].values["waiting"]
        prompt_tokens = grown.get("computed_prompt_tokens", grown["prompt_tokens"])
        token_seconds = grown.get("token_seconds", grown.get("token_seconds_before_0_11", 0.0))
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=grown["generated_tokens"] / window.seconds,
            prompt_tokens_per_second=prompt_tokens / window.seconds,
            running_streams=running,
            waiting_requests=waiting,
            requests_per_second=max(0.0, begun) / window.seconds,
            tokens_per_completion=ratio(grown["ended_tokens"], grown["ended"]),
            # Gaps are timed between tokens: a request's first token has none before it.
            seconds_per_output_token=ratio(token_seconds, grown["generated_tokens"] - grown["first_tokens"]) or None,
        )


def _args(launch: Launch, weights: Weights) -> list[str]:
    variant, (model, revision) = launch.variant, model_location(launch, weights)
    args = [
        model,
        *("--host", "0.0.0.0", "--port", str(_PORT)),  # noqa: S104 - a pod has no other way to be reached
        *("--served-model-name", launch.spec.model.served_name),
        *("--max-model-len", str(launch.spec.model.context_tokens)),
        *("--shutdown-timeout", str(DRAIN_SECONDS)),
    ]
    settings = {
        "--revision": revision,
        "--quantization": launched_quantization(variant),
        BATCH_FLAGS[0]: launched_streams(variant, BATCH_FLAGS),
        PARALLEL_FLAGS[0]: launched_devices(variant, PARALLEL_FLAGS),
    }
    return [*args, *with_values(settings)]


def _environment(launch: Launch, weights: Weights) -> list[dict[str, Any]]:
    """Return where downloads go, and a name for the user in images that have none. Nobody is sent usage statistics."""
    env = [{"name": "USER", "value": "vllm"}, {"name": "VLLM_NO_USAGE_STATS", "value": "1"}]
    env += hub_cache_variable(launch, weights)
    if hardware(launch.variant) is Hardware.CPU and (limit := cpu_limit_variable(launch.variant, "OMP_NUM_THREADS")):
        # By default threads are bound to the node's cores, which takes a capability that the pod has not.
        env += [{"name": "VLLM_CPU_OMP_THREADS_BIND", "value": "nobind"}, *limit]
    return env
