"""TensorRT-LLM: `trtllm-serve`, launched and read, and Triton's TensorRT-LLM backend, read.

Flags and metrics: tensorrt_llm/serve and tensorrt_llm/metrics/collector.py of github.com/NVIDIA/TensorRT-LLM,
custom_metrics_reporter.cc of its Triton backend, as of 2026. Neither the servers nor their images were ever run by us.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.arguments import (
    batch_limit_of,
    image_problems,
    launched_devices,
    launched_streams,
    number_problems,
    owned_flag_problems,
    quantization_problems,
    with_values,
)
from tokenpace.engines.description import Description, Measure, Mode, Verified, When
from tokenpace.engines.draining import drain_script
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
from tokenpace.engines.pod import SCRATCH_DIRECTORY, EngineContainer, engine_pod_template, pod_template_problems
from tokenpace.engines.weights import (
    Weights,
    directory_problems,
    hub_cache_variable,
    model_location,
    mounted_weights,
    revision_problems,
)
from tokenpace.engines.window import Window, growth, ratio
from tokenpace.planning.observation import Reading, Unmeasured

FIRST_VERSION: Final = "1.3.0rc12"
"""The first with token counters and gauges (NVIDIA/TensorRT-LLM#12545): docs/architecture/core/model-servers.md of
github.com/llm-d/llm-d, which says that 1.2.1 has latencies only. There was no final 1.3.0 when this was written."""

IMAGES: Final[Mapping[Hardware, str]] = MappingProxyType(
    {Hardware.NVIDIA: "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc14"}
)

TRITON_IMAGE_MARK: Final = "tritonserver"

QUANTIZATIONS: Final = ("none", "fp8", "nvfp4", "int4_awq", "w4a8_awq", "int8_sq")
"""What ModelOpt makes checkpoints of, and ``none`` for weights as they are."""

DRAIN_SECONDS: Final = 300

BATCH_FLAGS: Final = ("--max-batch-size",)

PARALLEL_FLAGS: Final = ("--tp-size", "--pp-size", "--ep-size")

OPTIONS_FLAGS: Final = ("--extra-llm-api-options", "--config")

OWNED_FLAGS: Final = ("--host", "--port", "--served-model-name", *OPTIONS_FLAGS)

METRICS_PATH: Final = "/prometheus/metrics"
"""``/metrics`` is JSON."""

COUNTERS: Final = frozenset(
    {
        "ended", "ended_tokens", "prompt_tokens", "decode_seconds", "requests_timed", "token_seconds",
        "triton_ended", "triton_ended_tokens", "triton_prompt_tokens",
    }
)  # fmt: skip

_PORT: Final = 8000

_LAUNCH: Final = f"""\
printf 'return_perf_metrics: true\\nenable_iter_perf_stats: true\\n' > {SCRATCH_DIRECTORY}/options.yaml
exec trtllm-serve "$@"
"""
"""Metrics are on only by a file. What is declared comes as arguments, so that none of it is read by the shell."""

_DRAIN: Final = drain_script(_PORT, METRICS_PATH, ("trtllm_num_requests_running", "trtllm_num_requests_waiting"))

_DESCRIPTION: Final = Description(
    title="TensorRT-LLM",
    introduction="`trtllm-serve` is launched and read; Triton Inference Server with the TensorRT-LLM backend is read "
    "only, as a workload of your own (`scaleTargetRef`): it serves a model repository that somebody has to write, and "
    "its API is not OpenAI's. Which of the two a pod is shows by its series.",
    example={
        "source": {
            "huggingFace": {
                "repo": "nvidia/Llama-3.1-8B-Instruct-FP8",
                "tokenSecretKeyRef": {"name": "hub", "key": "token"},
            }
        },
        "quantization": "fp8",
        "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "64Gi"}},
    },
    images=IMAGES,
    quantizations=QUANTIZATIONS,
    quantization="not passed on: the checkpoint's own configuration names it. Give each precision a `source` of its "
    "own; there is no quantizing while loading",
    modes=(
        Mode(
            name="trtllm-serve",
            launched=(
                ("the command", "`trtllm-serve MODEL`, below the image's entrypoint"),
                (
                    "`--extra_llm_api_options`",
                    (
                        "a file with `return_perf_metrics` and `enable_iter_perf_stats`: "
                        "without them there are no metrics. Options of your own go into `args` as flags"
                    ),
                ),
                (
                    "the model",
                    "a repository, or a directory with a checkpoint; `revision` is refused, its flag was renamed",
                ),
                ("`--served_model_name`, `--max_seq_len`", "`model.servedName`, `model.contextTokens`"),
                ("`--max_batch_size`", "the batch limit, else its own"),
                ("`--tp_size`", "the GPUs, unless your `args` spread the model"),
            ),
            measured=(
                Measure("generated tokens/s", "`trtllm_generation_tokens_total`", When.AT_END),
                Measure("prompt tokens/s, those in its cache included", "`trtllm_prompt_tokens_total`", When.AT_END),
                Measure("streams, queue", "`trtllm_num_requests_running`, `trtllm_num_requests_waiting`", When.LIVE),
                Measure(
                    "requests admitted",
                    "`trtllm_e2e_request_latency_seconds_count` and the growth of streams and queue",
                    When.LIVE,
                ),
                Measure("tokens per request", "the tokens over that count", When.AT_END),
                Measure("seconds per prompt token", "learned from the load", When.ESTIMATED),
                Measure(
                    "seconds per output token",
                    "`trtllm_request_decode_time_seconds_sum` over the tokens that are no first ones; of versions "
                    "without it `trtllm_time_per_output_token_seconds`, the mean of requests",
                    When.AT_END,
                ),
            ),
        ),
        Mode(
            name="Triton",
            measured=(
                Measure("generated tokens/s", "`nv_llm_output_token_len_sum`", When.AT_END),
                Measure("prompt tokens/s, those in its cache included", "`nv_llm_input_token_len_sum`", When.AT_END),
                Measure(
                    "streams, queue",
                    '`nv_trt_llm_request_metrics{request_type="scheduled"}` and `"waiting"`, else `"active"` less '
                    "`scheduled`",
                    When.LIVE,
                ),
                Measure(
                    "requests admitted",
                    "`nv_llm_output_token_len_count` and the growth of streams and queue",
                    When.LIVE,
                ),
                Measure("tokens per request", "`nv_llm_output_token_len`", When.AT_END),
                Measure("seconds per prompt token", "learned from the load", When.ESTIMATED),
                Measure(
                    "seconds per output token",
                    "streams over tokens/s: `nv_inference_request_duration_us` is not read, because it holds the wait "
                    "and the prompt, too",
                    When.ESTIMATED,
                ),
            ),
        ),
    ),
    drained="until its gauges say that nothing runs or waits, for at most 300 s: what it does at SIGTERM is not "
    "documented. Where they are missing, as before the first request, or should they keep their last value on an idle "
    "server, the grace period is waited out",
    verified=Verified(
        metrics="two expositions written from the sources, read through a real Prometheus",
        serving="not tried",
        image="**never run**",
        flags="documentation and source",
    ),
    notes=(
        (
            "Metrics are at `/prometheus/metrics`. The pods say so by the annotation `prometheus.io/path`, which the "
            "chart's PodMonitor follows; tell another Prometheus the same. Triton's are on a port of their own, 8002."
        ),
        (
            "Tokens are counted when requests end. With answers longer than the window of the queries speed jumps: "
            "make the window several times as long as an answer takes (`prometheus.windowSeconds`)."
        ),
        (
            f"The oldest version that can be read is {FIRST_VERSION}, the first with token counters and gauges "
            "([#12545](https://github.com/NVIDIA/TensorRT-LLM/pull/12545)); the final 1.2.1 has latencies only. Pods "
            "without `trtllm_generation_tokens_total` are missing, not idle, and so are those that generate without "
            "`trtllm_num_requests_running`, which takes `enable_iter_perf_stats`."
        ),
    ),
)


class TensorRTLLM:
    """Launched as `trtllm-serve`, read as either server."""

    type = EngineType.TENSORRT_LLM
    port = _PORT
    drain_seconds = DRAIN_SECONDS
    generation_api = GenerationApi.COMPLETIONS
    completions_path = COMPLETIONS_PATH
    silent_until_used = True
    metric_prefixes = ("trtllm_", "nv_trt_llm_", "nv_llm_")
    introduction = Introduction(owned_by="tensorrt_llm")
    prompt_scoring = PromptScoring.ECHO
    description = _DESCRIPTION
    signals: Mapping[str, Signal] = MappingProxyType(
        {
            "ended": Signal("trtllm_e2e_request_latency_seconds_count"),
            "ended_tokens": Signal("trtllm_generation_tokens_total"),
            "prompt_tokens": Signal("trtllm_prompt_tokens_total"),
            "decode_seconds": Signal("trtllm_request_decode_time_seconds_sum"),
            "requests_timed": Signal("trtllm_time_per_output_token_seconds_count"),
            "token_seconds": Signal("trtllm_time_per_output_token_seconds_sum"),
            "running": Signal("trtllm_num_requests_running"),
            "waiting": Signal("trtllm_num_requests_waiting"),
            "triton_ended": Signal("nv_llm_output_token_len_count"),
            "triton_ended_tokens": Signal("nv_llm_output_token_len_sum"),
            "triton_prompt_tokens": Signal("nv_llm_input_token_len_sum"),
            "triton_active": Signal("nv_trt_llm_request_metrics", {"request_type": "active"}),
            "triton_running": Signal("nv_trt_llm_request_metrics", {"request_type": "scheduled"}),
            "triton_waiting": Signal("nv_trt_llm_request_metrics", {"request_type": "waiting"}),
        }
    )

    def default_image(self, _variant: Variant) -> str:
        """Return the image for CUDA: there is no other."""
        return IMAGES[Hardware.NVIDIA]

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what `trtllm-serve` cannot run: a single file, Triton's images, hardware that is not NVIDIA's."""
        field = f"spec.variants[{variant.name}]"
        advice = "Leave it out: the checkpoint's own configuration names the method"
        return (
            *directory_problems(spec, variant, "TensorRT-LLM"),
            *revision_problems(
                spec, variant, "give your version's own flag in `engine.args`, `--revision` or `--hf_revision`"
            ),
            *quantization_problems(variant, field, "TensorRT-LLM", QUANTIZATIONS, advice),
            *image_problems(variant, field, IMAGES),
            *_device_problems(variant, field),
            *owned_flag_problems(variant, field, OWNED_FLAGS),
            *number_problems(variant, field, BATCH_FLAGS, "it is what the batch is limited to"),
            *pod_template_problems(variant, field),
        )

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return the pod: a shell writes the one file that turns metrics on, and becomes the server."""
        weights = mounted_weights(launch)
        container = EngineContainer(
            args=["/bin/sh", "-c", _LAUNCH, "trtllm-serve", *_args(launch, weights)],
            env=hub_cache_variable(launch, weights),
            port=_PORT,
            health_path="/health",  # the port opens only once the weights are loaded
            metrics_path=METRICS_PATH,
            drain_seconds=DRAIN_SECONDS,
            drain_script=_DRAIN,
            shared_memory=True,
        )
        return engine_pod_template(launch, weights, container)

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the argument for it; None where TensorRT-LLM takes its own."""
        return batch_limit_of(template, BATCH_FLAGS)

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two that saw any series, because nothing has a rate then.

        None, too, where requests have ended and tokens or streams are not counted: an older version, or its options.
        Tokens are counted when requests end. Those that came are those that ended and those by which the requests in
        the server have become more.
        """
        is_triton = any(window.last(name) is not None for name in self.signals if name.startswith("triton_"))
        prefix = "triton_" if is_triton else ""
        running, waiting, active, tokens_ended, prompts = (
            f"{prefix}{name}" for name in ("running", "waiting", "active", "ended_tokens", "prompt_tokens")
        )
        derives_waiting = window.last(waiting) is None and window.last(active) is not None
        queue = active if derives_waiting else waiting
        lacking = {prompts: Unmeasured.PROMPT_TOKENS, queue: Unmeasured.WAITING_REQUESTS}
        unseen = window.unseen({tokens_ended, running, *lacking}, used=(f"{prefix}ended", tokens_ended))
        admits = not window.unseen({f"{prefix}ended"}, used=(tokens_ended,))
        window = window.from_first_use(self.signals)
        if window.seconds <= 0 or unseen & {tokens_ended, running}:
            return None
        first, last = window.scrapes[0].values, window.scrapes[-1].values
        if derives_waiting:
            waits = max(0.0, last["triton_active"] - last["triton_running"])
            came = last["triton_active"] - first["triton_active"]
        else:
            waits = last[waiting]
            came = last[running] + last[waiting] - first[running] - first[waiting]
        steps = window.steps(COUNTERS)
        grown = growth(steps, COUNTERS)
        ended, tokens = grown[f"{prefix}ended"], grown[tokens_ended]
        by_token = ratio(grown["decode_seconds"], tokens - ended) or None
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=tokens / window.seconds,
            prompt_tokens_per_second=grown[prompts] / window.seconds,
            running_streams=window.mean(running) or 0.0,
            waiting_requests=waits,
            requests_per_second=max(0.0, ended + came) / window.seconds if admits else None,
            tokens_per_completion=ratio(tokens, ended),
            seconds_per_output_token=by_token or ratio(grown["token_seconds"], grown["requests_timed"]) or None,
            unmeasured=frozenset(lacking[name] for name in unseen),
        )


def _args(launch: Launch, weights: Weights) -> list[str]:
    variant, (model, _) = launch.variant, model_location(launch, weights)
    args = [
        model,
        *("--host", "0.0.0.0", "--port", str(_PORT)),  # noqa: S104 - a pod has no other way to be reached
        *("--served_model_name", launch.spec.model.served_name),
        *("--max_seq_len", str(launch.spec.model.context_tokens)),
        *("--extra_llm_api_options", f"{SCRATCH_DIRECTORY}/options.yaml"),
    ]
    settings = {
        "--max_batch_size": launched_streams(variant, BATCH_FLAGS),
        "--tp_size": launched_devices(variant, PARALLEL_FLAGS),
    }
    return [*args, *with_values(settings)]


def _device_problems(variant: Variant, field: str) -> Iterator[FieldProblem]:
    image = (variant.engine.image if variant.engine else None) or ""
    if TRITON_IMAGE_MARK in image:
        cure = "run it yourself and name it by `scaleTargetRef` with `metrics: TensorRTLLM`, or leave the image out"
        yield FieldProblem(f"{field}.engine.image", f"Triton is read and not launched: {cure}")
    elif image and hardware(variant) is not Hardware.NVIDIA:
        yield FieldProblem(f"{field}.resources.limits", "has no `nvidia.com/...`: TensorRT-LLM runs on nothing else")
