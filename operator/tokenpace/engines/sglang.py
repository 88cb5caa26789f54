"""SGLang: safetensors on CUDA and ROCm.

Flags and metrics: the wheel of 0.5.23 (sglang/srt/server_args.py, the metrics collectors of its scheduler and
tokenizer), and the older names that users of 0.4 export. Neither the server nor its images were ever run by us.
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
from tokenpace.engines.pod import EngineContainer, engine_pod_template, pod_template_problems
from tokenpace.engines.weights import Weights, directory_problems, hub_cache_variable, model_location, mounted_weights
from tokenpace.engines.window import Window, growth, ratio
from tokenpace.planning.observation import Reading, Unmeasured

IMAGES: Final[Mapping[Hardware, str]] = MappingProxyType(
    {Hardware.NVIDIA: "lmsysorg/sglang:v0.5.18", Hardware.AMD: "lmsysorg/sglang:v0.5.18-rocm720-mi30x"}
)

QUANTIZATIONS: Final = (
    "none", "awq", "awq_marlin", "gptq", "gptq_marlin", "fp8", "mxfp8", "mxfp4", "bitsandbytes", "modelopt",
    "modelopt_fp8", "modelopt_fp4", "modelopt_mixed", "nvfp4_online", "petit_nvfp4", "w8a8_int8", "w8a8_fp8",
    "w4afp8", "moe_wna16", "auto-round", "auto-round-int8", "compressed-tensors", "modelslim", "mxfp_w4a8", "quark",
    "quark_int4fp8_moe", "quark_mxfp4", "unquant", "humming",
)  # fmt: skip
"""The values of `--quantization` for weights that are no single file; ``none`` for weights as they are."""

DRAIN_SECONDS: Final = 300
"""After SIGTERM it finishes every request, however long that takes: the grace period is what ends it."""

BATCH_FLAGS: Final = ("--max-running-requests",)

PARALLEL_FLAGS: Final = (
    *("--tensor-parallel-size", "--tp-size", "--tp", "--pipeline-parallel-size", "--pp-size", "--pp"),
    *("--data-parallel-size", "--dp-size", "--dp"),
)

OWNED_FLAGS: Final = (
    *("--host", "--port", "--model-path", "--model", "--served-model-name", "--revision", "--quantization"),
    "--enable-metrics",
)

LIVE_COUNTERS: Final = frozenset({"decoded_tokens", "computed_prompt_tokens"})
"""Of every step; older versions have the speed as a gauge instead, and count prompts when requests end."""

COUNTERS: Final = LIVE_COUNTERS | {
    "ended", "ended_tokens", "prompt_tokens", "first_tokens", "gaps", "gap_seconds", "old_gaps", "old_gap_seconds"
}  # fmt: skip

_PORT: Final = 30000

_DESCRIPTION: Final = Description(
    title="SGLang",
    example={
        "source": {
            "huggingFace": {
                "repo": "Qwen/Qwen2.5-7B-Instruct-AWQ",
                "tokenSecretKeyRef": {"name": "hub", "key": "token"},
            }
        },
        "quantization": "awq_marlin",
        "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "48Gi"}},
    },
    images=IMAGES,
    quantizations=QUANTIZATIONS,
    quantization="`--quantization`. `gguf` and Apple's `mlx_…` are left out: weights are a directory here",
    modes=(
        Mode(
            launched=(
                ("the command", "`python3 -m sglang.launch_server`, below the image's entrypoint"),
                ("`--model-path`, `--revision`", "a repository, or a directory of safetensors"),
                ("`--served-model-name`, `--context-length`", "`model.servedName`, `model.contextTokens`"),
                ("`--enable-metrics`", "always: without it there is no `/metrics`"),
                ("`--max-running-requests`", "the batch limit, else SGLang's own"),
                ("`--tp-size`", "the GPUs, unless your `args` spread the model"),
                ("`SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION`", "`false`: every probe would generate a token"),
            ),
            measured=(
                Measure(
                    "generated tokens/s",
                    '`realtime_tokens_total{mode="decode"}` and, for the first tokens, which come with the prefill, '
                    "`time_to_first_token_seconds_count`; of versions without it `gen_throughput`, which is set every "
                    "40 steps",
                    When.LIVE,
                ),
                Measure(
                    "prompt tokens/s, without those found in the cache",
                    '`realtime_tokens_total{mode="prefill_compute"}`; of versions without it `prompt_tokens_total`, '
                    "all of them and at request end",
                    When.LIVE,
                ),
                Measure("streams, queue", "`num_running_reqs`, `num_queue_reqs`", When.LIVE),
                Measure(
                    "requests admitted",
                    "`time_to_first_token_seconds_count` and the queue's growth; those in prefill a moment later",
                    When.LIVE,
                ),
                Measure(
                    "tokens per request", "`generation_tokens_total` over `e2e_request_latency_seconds`", When.AT_END
                ),
                Measure("seconds per prompt token", "learned from the load", When.ESTIMATED),
                Measure(
                    "seconds per output token",
                    "`inter_token_latency_seconds`, before 0.5 `time_per_output_token_seconds`",
                    When.LIVE,
                ),
            ),
        ),
    ),
    drained="by itself after SIGTERM, without a limit of its own: the grace period ends it",
    verified=Verified(
        metrics="an exposition written from the wheel of 0.5.23, read through a real Prometheus",
        serving="not tried",
        image="**never run**",
        flags="the wheel of 0.5.23",
    ),
    notes=(
        "There is no default image for CPUs: none was found whose tag says its version.",
        "The ROCm image is that for MI300; name another one for MI350.",
        (
            "Of several ranks only the first reports; with `--enable-metrics-for-all-schedulers` in `args` streams "
            "would be counted once for every rank."
        ),
    ),
)


class SGLang:
    """Launched by its module, and read from what it exports at every step."""

    type = EngineType.SGLANG
    port = _PORT
    drain_seconds = DRAIN_SECONDS
    generation_api = GenerationApi.COMPLETIONS
    completions_path = COMPLETIONS_PATH
    silent_until_used = True
    metric_prefixes = ("sglang:",)
    introduction = Introduction(owned_by="sglang", paths=("server_info", "get_server_info"))
    prompt_scoring = PromptScoring.ECHO
    description = _DESCRIPTION
    signals: Mapping[str, Signal] = MappingProxyType(
        {
            "decoded_tokens": Signal("sglang:realtime_tokens_total", {"mode": "decode"}),
            "computed_prompt_tokens": Signal("sglang:realtime_tokens_total", {"mode": "prefill_compute"}),
            "old_tokens_per_second": Signal("sglang:gen_throughput"),
            "prompt_tokens": Signal("sglang:prompt_tokens_total"),
            "first_tokens": Signal("sglang:time_to_first_token_seconds_count"),
            "ended": Signal("sglang:e2e_request_latency_seconds_count"),
            "ended_tokens": Signal("sglang:generation_tokens_total"),
            "gaps": Signal("sglang:inter_token_latency_seconds_count"),
            "gap_seconds": Signal("sglang:inter_token_latency_seconds_sum"),
            "old_gaps": Signal("sglang:time_per_output_token_seconds_count"),
            "old_gap_seconds": Signal("sglang:time_per_output_token_seconds_sum"),
            "running": Signal("sglang:num_running_reqs"),
            "waiting": Signal("sglang:num_queue_reqs"),
        }
    )

    def default_image(self, variant: Variant) -> str:
        """Return the image for the variant's hardware; that for CUDA where there is none."""
        return IMAGES.get(hardware(variant), IMAGES[Hardware.NVIDIA])

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what SGLang cannot run: a single file, a precision it does not know, hardware without an image."""
        field = f"spec.variants[{variant.name}]"
        advice = "Leave it out where the weights' own config.json names the method"
        return (
            *directory_problems(spec, variant, "SGLang"),
            *quantization_problems(variant, field, "SGLang", QUANTIZATIONS, advice),
            *image_problems(variant, field, IMAGES),
            *owned_flag_problems(variant, field, OWNED_FLAGS),
            *number_problems(variant, field, BATCH_FLAGS, "it is what the batch is limited to"),
            *pod_template_problems(variant, field),
        )

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return the pod: the whole command by `args`, because the image's own entrypoint runs what it is given."""
        weights = mounted_weights(launch)
        container = EngineContainer(
            args=_args(launch, weights),
            env=_environment(launch, weights),
            port=_PORT,
            health_path="/health",  # 503 while the weights are loaded and while it drains
            drain_seconds=DRAIN_SECONDS,
            shared_memory=True,
        )
        return engine_pod_template(launch, weights, container)

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the argument for it; None where SGLang takes what the memory holds."""
        return batch_limit_of(template, BATCH_FLAGS)

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two that saw any series, because nothing has a rate then.

        A counter is there only after its first use, beside gauges that are there from the start: None, too, of a server
        that has worked without saying how fast, or on how many streams. A version that has counted no step, but says
        how fast it is, counts none at all. A request is admitted when it has its first token or begins to wait; one
        that is in prefill is counted a moment later.
        """
        counts_steps = any(window.last(name) is not None for name in LIVE_COUNTERS)
        speed, prompts = (
            ("decoded_tokens", "computed_prompt_tokens") if counts_steps else ("old_tokens_per_second", "prompt_tokens")
        )
        # A first token is no step's: answers of one token leave the counter of steps unused.
        unseen = window.unseen({speed, prompts, "running", "waiting"}, used=("ended_tokens", "gaps", "old_gaps"))
        lacking = {prompts: Unmeasured.PROMPT_TOKENS, "waiting": Unmeasured.WAITING_REQUESTS}
        admits = not window.unseen({"first_tokens"}, used=("ended_tokens", "gaps", "old_gaps"))
        window = window.from_first_use(self.signals)
        if window.seconds <= 0 or unseen & {speed, "running"}:
            return None
        steps = window.steps(COUNTERS)
        grown = growth(steps, COUNTERS)
        # A first token is the prefill's and no step's: with short answers that is one of a few.
        generated = (grown["decoded_tokens"] + grown["first_tokens"]) / window.seconds
        waiting = window.last("waiting") or 0.0
        begun = grown["first_tokens"] + waiting - window.scrapes[0].values["waiting"]
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=generated if counts_steps else window.mean("old_tokens_per_second") or 0.0,
            prompt_tokens_per_second=grown[prompts] / window.seconds,
            running_streams=window.mean("running") or 0.0,
            waiting_requests=waiting,
            requests_per_second=max(0.0, begun) / window.seconds if admits else None,
            tokens_per_completion=ratio(grown["ended_tokens"], grown["ended"]),
            seconds_per_output_token=ratio(
                grown["gap_seconds"] + grown["old_gap_seconds"], grown["gaps"] + grown["old_gaps"]
            )
            or None,
            unmeasured=frozenset(lacking[name] for name in unseen),
        )


def _args(launch: Launch, weights: Weights) -> list[str]:
    variant, (model, revision) = launch.variant, model_location(launch, weights)
    args = [
        *("python3", "-m", "sglang.launch_server", "--model-path", model),
        *("--host", "0.0.0.0", "--port", str(_PORT)),  # noqa: S104 - a pod has no other way to be reached
        *("--served-model-name", launch.spec.model.served_name),
        *("--context-length", str(launch.spec.model.context_tokens)),
        "--enable-metrics",
    ]
    settings = {
        "--revision": revision,
        "--quantization": launched_quantization(variant),
        BATCH_FLAGS[0]: launched_streams(variant, BATCH_FLAGS),
        PARALLEL_FLAGS[1]: launched_devices(variant, PARALLEL_FLAGS),
    }
    return [*args, *with_values(settings)]


def _environment(launch: Launch, weights: Weights) -> list[dict[str, Any]]:
    """Return where downloads go. A probe generates nothing: what generates is seen by a canary."""
    quiet_probes = {"name": "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION", "value": "false"}
    return [quiet_probes, *hub_cache_variable(launch, weights)]
