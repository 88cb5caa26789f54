"""Text Generation Inference: its router v3 in front of CUDA, ROCm and Intel CPU shards, and its llama.cpp backend.

Flags: docs/source/reference/launcher.md and backends/llamacpp/src/main.rs of huggingface/text-generation-inference;
metrics: what versions 3.3.6 of both exported, recorded in tests/expositions. Its images were never run by us.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tokenpace.api.model_source import HuggingFaceSource
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.arguments import (
    batch_limit_of,
    flag_values,
    given_arguments,
    image_problems,
    launched_devices,
    launched_quantization,
    launched_streams,
    number_problems,
    owned_flag_problems,
    quantization_problems,
    with_values,
)
from tokenpace.engines.engine import (
    COMPLETIONS_PATH,
    FieldProblem,
    GenerationApi,
    Introduction,
    Launch,
    PromptScoring,
    Signal,
)
from tokenpace.engines.hardware import Hardware, device_count, hardware
from tokenpace.engines.llama_cpp import QUANTIZATIONS as GGUF_QUANTIZATIONS
from tokenpace.engines.pod import (
    ROOT_USER_ID,
    SCRATCH_DIRECTORY,
    EngineContainer,
    cpu_limit_variable,
    engine_pod_template,
    pod_template_problems,
)
from tokenpace.engines.tgi_description import DESCRIPTION, IMAGES, QUANTIZATIONS
from tokenpace.engines.tgi_reading import ended_reading, router_reading
from tokenpace.engines.weights import (
    GGUF,
    Weights,
    declared_place,
    directory_problems,
    hub_token_variable,
    model_location,
    mounted_weights,
)
from tokenpace.engines.window import Window
from tokenpace.planning.observation import Reading

LLAMA_CPP_IMAGE_MARK: Final = "llamacpp"
"""What Dockerfile_llamacpp's documentation has in the name of its image. No registry has one: users build it."""

DRAIN_SECONDS: Final = 90
"""How long the launcher lets the router finish its streams after SIGTERM, by default (fixed before 3.2.2)."""

DEFAULT_STREAMS: Final = 4
"""Batch limit of the llama.cpp backend; its own default is the number of the node's cores. The router needs none."""

BATCH_FLAGS: Final = ("--max-batch-size",)

SHARD_FLAGS: Final = ("--num-shard", "--sharded")

OWNED_FLAGS: Final = ("--hostname", "--port", "-p", "--model-id", "--revision", "--quantize", "--model-gguf")

ACCEPTED_PER_STREAM: Final = 4
"""Requests that wait for each one that runs before the router answers 429: overload is to queue, and be seen."""

_PORT: Final = 8080


class TextGenerationInference:
    """Launched by `text-generation-launcher`, or by `text-generation-router-llamacpp` where a GGUF file is meant."""

    type = EngineType.TGI
    port = _PORT
    drain_seconds = DRAIN_SECONDS
    generation_api = GenerationApi.TEXT_GENERATION
    completions_path = COMPLETIONS_PATH
    silent_until_used = True
    metric_prefixes = ("tgi_",)
    introduction = Introduction(
        paths=("info",),
        marks=frozenset({"model_id", "version"}),
        model="model_id",
        slots="max_batch_size",  # not max_concurrent_requests: that many may wait before it answers 429
    )
    prompt_scoring = PromptScoring.PREFILL_DETAILS
    description = DESCRIPTION
    signals: Mapping[str, Signal] = MappingProxyType(
        {
            "sequence_steps": Signal("tgi_request_skipped_tokens_count"),
            "further_tokens": Signal("tgi_request_skipped_tokens_sum"),
            "prompts": Signal("tgi_request_input_length_count"),
            "prompt_tokens": Signal("tgi_request_input_length_sum"),
            "ended": Signal("tgi_request_generated_tokens_count"),
            "ended_tokens": Signal("tgi_request_generated_tokens_sum"),
            "ended_seconds": Signal("tgi_request_inference_duration_sum"),
            "queued_seconds": Signal("tgi_request_queue_duration_sum"),
            "prefills": Signal("tgi_batch_inference_duration_count", {"method": "prefill"}),
            "prefill_seconds": Signal("tgi_batch_inference_duration_sum", {"method": "prefill"}),
            "decodes": Signal("tgi_batch_inference_duration_count", {"method": "decode"}),
            "decode_seconds": Signal("tgi_batch_inference_duration_sum", {"method": "decode"}),
            "chunkings": Signal("tgi_batch_concat", {"reason": "chunking"}),
            "running": Signal("tgi_batch_current_size"),
            "waiting": Signal("tgi_queue_size"),
        }
    )

    def default_image(self, variant: Variant) -> str:
        """Return the image for the variant's hardware; that for CUDA where there is none."""
        return IMAGES.get(hardware(variant), IMAGES[Hardware.NVIDIA])

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what the backend that the variant means cannot run."""
        field = f"spec.variants[{variant.name}]"
        if _means_llama_cpp(spec, variant):
            found = _llama_cpp_problems(spec, variant, field)
        else:
            found = _router_problems(spec, variant, field)
        return (
            *found,
            *owned_flag_problems(variant, field, OWNED_FLAGS),
            *number_problems(variant, field, BATCH_FLAGS, "it is what the batch is limited to"),
            *pod_template_problems(variant, field),
        )

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return the pod: settings that users may change are variables, because TGI refuses a flag given twice."""
        weights = mounted_weights(launch)
        if _means_llama_cpp(launch.spec, launch.variant):
            return engine_pod_template(launch, weights, _llama_cpp_container(launch, weights))
        return engine_pod_template(launch, weights, _router_container(launch, weights))

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the argument for it; None where the router takes as many requests as the memory holds."""
        return batch_limit_of(template, BATCH_FLAGS)

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two that saw any series, because nothing has a rate then.

        The router sets its queue's length with every request that it accepts. Where requests came and there is no
        queue, it is a backend that counts requests alone, at their end: llama.cpp, and TensorRT-LLM. None, too,
        where it has worked without counting its prompts, tokens or streams.
        """
        has_queue = window.last("waiting") is not None
        needed = {"prompts", *(("sequence_steps", "running") if has_queue else ("ended_tokens", "ended_seconds"))}
        unseen = window.unseen(needed, used=("ended_tokens", "ended_seconds", "sequence_steps"))
        window = window.from_first_use(self.signals)
        if window.seconds <= 0 or unseen:
            return None
        return router_reading(window) if has_queue else ended_reading(window)


def _means_llama_cpp(spec: LLMDeploymentSpec, variant: Variant) -> bool:
    """Tell the backend by the image's name, or by the file: only llama.cpp loads GGUF."""
    _, place = declared_place(spec, variant)
    image = variant.engine.image if variant.engine else None
    return LLAMA_CPP_IMAGE_MARK in (image or "") or (place is not None and (place.file or "").endswith(GGUF))


def _router_container(launch: Launch, weights: Weights) -> EngineContainer:
    variant = launch.variant
    model, revision = model_location(launch, weights)
    settings = {"--model-id": model, "--revision": revision, "--quantize": launched_quantization(variant)}
    streams = launched_streams(variant, BATCH_FLAGS)
    env = [*_limits(launch, streams), _variable("HF_HOME", f"{SCRATCH_DIRECTORY}/huggingface")]
    if launch.source.hugging_face:
        env.append(_variable("HUGGINGFACE_HUB_CACHE", weights.directory))
    if devices := launched_devices(variant, SHARD_FLAGS):
        # By itself the launcher counts what NVIDIA_VISIBLE_DEVICES lists, which AMD's device plugin does not set.
        env.append(_variable("NUM_SHARD", str(devices)))
    if hardware(variant) is Hardware.CPU:
        env += [_variable("CUDA_GRAPHS", "0"), *cpu_limit_variable(variant, "OMP_NUM_THREADS")]
    return EngineContainer(
        args=[*_address(), *with_values(settings), *_batch_argument(variant, streams)],
        env=env,
        port=_PORT,
        health_path="/health",  # the port opens only once the weights are loaded
        drain_seconds=DRAIN_SECONDS,
        # Since 3.1.1 Python is under /root, where nobody else can read (huggingface/text-generation-inference#3082).
        user_id=ROOT_USER_ID,
        shared_memory=True,
    )


def _llama_cpp_container(launch: Launch, weights: Weights) -> EngineContainer:
    """Return the backend's container: it loads a file, and takes the tokenizer from the model's own repository."""
    variant, hub = launch.variant, _tokenizer(launch.spec)
    if hub is None:
        raise ValueError(f"variant {variant.name} has no tokenizer; `problems` says so")
    streams = launched_streams(variant, BATCH_FLAGS) or DEFAULT_STREAMS
    file = f"{weights.directory}/{weights.file}"
    settings = {"--model-id": hub.repo, "--model-gguf": file, "--revision": hub.revision}
    env = [
        *_limits(launch, streams),
        *cpu_limit_variable(variant, "N_THREADS"),
        _variable("HUGGINGFACE_HUB_CACHE", f"{SCRATCH_DIRECTORY}/huggingface"),
        *(hub_token_variable(launch.spec.model.source) if launch.spec.model.source else ()),
    ]
    if device_count(variant):
        env.append(_variable("N_GPU_LAYERS", "999"))
    return EngineContainer(
        args=[*_address(), *with_values(settings), *_batch_argument(variant, streams)],
        env=env,
        port=_PORT,
        health_path="/health",
        drain_seconds=DRAIN_SECONDS,
    )


def _address() -> list[str]:
    return ["--hostname", "0.0.0.0", "--port", str(_PORT)]  # noqa: S104 - a pod has no other way to be reached


def _limits(launch: Launch, streams: int | None) -> list[dict[str, Any]]:
    """Return the limits of one request and of the pod. Usage statistics are not sent to anybody."""
    context = launch.spec.model.context_tokens
    limits = {"MAX_TOTAL_TOKENS": context, "MAX_INPUT_TOKENS": context - 1, "USAGE_STATS": "off"}
    if streams is not None:
        limits["MAX_CONCURRENT_REQUESTS"] = max(128, (1 + ACCEPTED_PER_STREAM) * streams)
    return [_variable(name, str(value)) for name, value in limits.items()]


def _batch_argument(variant: Variant, streams: int | None) -> list[str]:
    """Return the flag that limits the batch, unless the user gives it, because a flag given twice is refused."""
    given = flag_values(given_arguments(variant), BATCH_FLAGS)
    return [] if given or streams is None else [BATCH_FLAGS[0], str(streams)]


def _variable(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def _tokenizer(spec: LLMDeploymentSpec) -> HuggingFaceSource | None:
    return spec.model.source.hugging_face if spec.model.source else None


def _router_problems(spec: LLMDeploymentSpec, variant: Variant, field: str) -> Iterator[FieldProblem]:
    yield from directory_problems(spec, variant, "Text Generation Inference")
    advice = "Leave it out where the weights' own config.json names the method"
    yield from quantization_problems(variant, field, "Text Generation Inference", QUANTIZATIONS, advice)
    quantization = variant.quantization or "none"
    yield from image_problems(variant, field, IMAGES)
    if hardware(variant) is Hardware.AMD and quantization == "awq":
        yield FieldProblem(f"{field}.quantization", "`awq` is not supported on ROCm: use `gptq`")
    if quantization != "none" and flag_values(given_arguments(variant), ("--dtype",)):
        yield FieldProblem(f"{field}.engine.args", "`--dtype` cannot be combined with a `quantization`: leave one out")


def _llama_cpp_problems(spec: LLMDeploymentSpec, variant: Variant, field: str) -> Iterator[FieldProblem]:
    where, place = declared_place(spec, variant)
    if place is None or isinstance(place, HuggingFaceSource):
        cure = "use `volume` or `image`, or the engine type LlamaCpp, which does"
        yield FieldProblem(where, f"Text Generation Inference downloads no GGUF file: {cure}")
    elif not (place.file or "").endswith(GGUF):
        yield FieldProblem(f"{where}.file", "must name the GGUF file that the llama.cpp backend loads")
    if _tokenizer(spec) is None:
        message = "must name the model's repository: the llama.cpp backend takes the tokenizer from there"
        yield FieldProblem("spec.model.source.huggingFace", message)
    if not (variant.engine and variant.engine.image):
        message = "is missing: no registry has one of the llama.cpp backend, build it with TGI's Dockerfile_llamacpp"
        yield FieldProblem(f"{field}.engine.image", message)
    advice = "Leave it out: the file has its precision"
    yield from quantization_problems(
        variant, field, "Text Generation Inference's llama.cpp backend", GGUF_QUANTIZATIONS, advice
    )
