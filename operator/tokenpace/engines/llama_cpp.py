"""llama.cpp's server, `llama-server`: GGUF weights on CPUs and GPUs.

Flags and metrics: tools/server/README.md of github.com/ggml-org/llama.cpp, checked against build b11176 and by
running build b11549.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from tokenpace.api.model_source import HuggingFaceSource
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.arguments import (
    batch_limit_of,
    launched_streams,
    number_problems,
    owned_flag_problems,
    quantization_problems,
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
from tokenpace.engines.hardware import Hardware
from tokenpace.engines.pod import (
    EngineContainer,
    cpu_limit_variable,
    engine_pod_template,
    pod_template_problems,
)
from tokenpace.engines.weights import GGUF, Place, Weights, declared_place, mounted_weights
from tokenpace.engines.window import Values, Window, growth, increase, ratio
from tokenpace.planning.observation import Reading

DEFAULT_STREAMS: Final = 4
"""What `--parallel` is when left to llama-server; given explicitly, because the context is divided by it."""

DRAIN_SECONDS: Final = 300

QUANTIZATIONS: Final = (
    "f32", "bf16", "f16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "q4_k_m", "q4_k_s", "q4_1", "q4_0",
    "q3_k_l", "q3_k_m", "q3_k_s", "q2_k", "q2_k_s", "iq4_nl", "iq4_xs", "iq3_m", "iq3_s", "iq3_xs", "iq3_xxs",
    "iq2_m", "iq2_s", "iq2_xs", "iq2_xxs", "iq1_m", "iq1_s", "tq2_0", "tq1_0", "mxfp4",
)  # fmt: skip
"""The types of `llama-quantize`, best first."""

OWNED_FLAGS: Final = ("--host", "--port", "--alias", "-a", "--model", "-m", "--model-url", "-mu")
"""Flags that the Service, the probes and every other variant rely on."""

SLOT_FLAGS: Final = ("--parallel", "-np")

COUNTERS: Final = frozenset({"decodes", "prompt_tokens", "prompt_seconds", "ended_tokens", "ended_seconds"})

IMAGE: Final = (
    "ghcr.io/ggml-org/llama.cpp:server-b11176@sha256:6257697a7f5d034b8fb499ddb07af3e250506352f94102054252a23f3b85e0af"
)
"""An index for amd64, arm64 and s390x. Builds before August 2026 answer /metrics only between decodes
(ggml-org/llama.cpp#27041): a long prefill then looks like a lost pod."""

_PORT: Final = 8080

_DRAIN: Final = f"""\
idle() {{
  answer=$(timeout 5 bash -c \\
    'exec 3<>/dev/tcp/127.0.0.1/{_PORT}; printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3')
  case $answer in HTTP/1.?" 503 "*) return 0 ;; esac
  printf '%s\\n' "$answer" | grep -c '^llamacpp:requests_[a-z]* 0$' | grep -qx 2
}}
until idle; do sleep 1; done
"""
"""Waits until nothing is processed and nothing deferred; a server that still loads answers 503 and has no streams.

bash, because it is in every Debian and Ubuntu image, and curl is not. Where it is missing, where the server wants an
API key or does not answer, nothing says that the streams have ended: it then waits out the grace period.
"""

_DESCRIPTION: Final = Description(
    title="llama.cpp",
    example={
        "source": {
            "huggingFace": {
                "repo": "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
                "file": "smollm2-1.7b-instruct-q4_k_m.gguf",
                "tokenSecretKeyRef": {"name": "hub", "key": "token"},
            }
        },
        "quantization": "q4_k_m",
        "resources": {"limits": {"cpu": 4, "memory": "4Gi"}},
    },
    images={Hardware.CPU: IMAGE},
    quantizations=QUANTIZATIONS,
    quantization="the types of `llama-quantize`; needed only where the source names no `file`",
    modes=(
        Mode(
            launched=(
                ("image", "for CPUs, whatever the hardware; yours may be `server-cuda-b…`, `server-rocm-b…`"),
                ("`--alias`", "`model.servedName`"),
                ("`--parallel`", "the batch limit, else 4"),
                (
                    "`--ctx-size`",
                    "`model.contextTokens` times the slots, because llama-server divides it among them",
                ),
                ("`--threads`", "the CPU limit, if there is one"),
                ("`--cache-ram 0`", "no prompt cache in main memory: it would outgrow the pod"),
                ("weights", "one GGUF file: `file`, or of the hub's main branch the one that `quantization` names"),
            ),
            measured=(
                Measure("generated tokens/s", "`n_decode_total` times `n_busy_slots_per_decode`", When.LIVE),
                Measure("prompt tokens/s, without those found in the cache", "`prompt_tokens_total`", When.LIVE),
                Measure("streams, queue", "`requests_processing`, `requests_deferred`", When.LIVE),
                Measure(
                    "requests, tokens per request",
                    "it counts none: `traffic` declares them, demand is served tokens and the queue's growth",
                    When.ESTIMATED,
                ),
                Measure(
                    "seconds per prompt token",
                    "`prompt_seconds_total / prompt_tokens_total`, the planner taking off the step that a prompt "
                    "shares",
                    When.LIVE,
                ),
                Measure(
                    "seconds per output token",
                    "`tokens_predicted_seconds_total / tokens_predicted_total`",
                    When.AT_END,
                ),
            ),
        ),
    ),
    drained="until `/metrics` says that nothing is worked on, for at most 300 s "
    "([0031](decisions/0031-draining-llama-cpp.md))",
    verified=Verified(
        metrics="recorded, and compared with what clients received, second by second",
        serving="end to end, on a cluster",
        image="the default one **never run**; servers of our own build were",
        flags="b11176, b11549",
    ),
    notes=("With `--api-key` in `args` Prometheus needs the key too.",),
)


class LlamaCpp:
    """llama-server, launched with its own flags and read from its own counters."""

    type = EngineType.LLAMA_CPP
    port = _PORT
    drain_seconds = DRAIN_SECONDS
    generation_api = GenerationApi.COMPLETIONS
    completions_path = COMPLETIONS_PATH
    silent_until_used = False
    metric_prefixes = ("llamacpp:",)
    introduction = Introduction(owned_by="llamacpp", paths=("props",), version="build_info", slots="total_slots")
    prompt_scoring = PromptScoring.NEXT_TOKENS
    description = _DESCRIPTION
    signals: Mapping[str, Signal] = MappingProxyType(
        {
            "decodes": Signal("llamacpp:n_decode_total"),
            "busy_slots_per_decode": Signal("llamacpp:n_busy_slots_per_decode"),
            "prompt_tokens": Signal("llamacpp:prompt_tokens_total"),
            "prompt_seconds": Signal("llamacpp:prompt_seconds_total"),
            "ended_tokens": Signal("llamacpp:tokens_predicted_total"),
            "ended_seconds": Signal("llamacpp:tokens_predicted_seconds_total"),
            "running": Signal("llamacpp:requests_processing"),
            "waiting": Signal("llamacpp:requests_deferred"),
        }
    )

    def default_image(self, _variant: Variant) -> str:
        """Return the image for CPUs."""
        return IMAGE

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what llama-server cannot run: other weights than one GGUF file, a precision it does not know."""
        field = f"spec.variants[{variant.name}]"
        return (
            *_source_problems(*declared_place(spec, variant), variant),
            *quantization_problems(
                variant, field, "llama.cpp", QUANTIZATIONS, "Leave it out where the source names a `file`"
            ),
            *owned_flag_problems(variant, field, OWNED_FLAGS),
            *number_problems(variant, field, SLOT_FLAGS, "the context is divided by it"),
            *pod_template_problems(variant, field),
        )

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return the pod: flags by `args`, so that the image's own entrypoint stays."""
        weights = mounted_weights(launch)
        streams = launched_streams(launch.variant, SLOT_FLAGS) or DEFAULT_STREAMS
        args = [
            *("--host", "0.0.0.0", "--port", str(self.port)),  # noqa: S104 - a pod has no other way to be reached
            *("--alias", launch.spec.model.served_name),
            *("--parallel", str(streams)),
            *("--ctx-size", str(launch.spec.model.context_tokens * streams)),  # divided by --parallel
            # The prompt cache in main memory, 8 GiB by default, would outgrow the pod's memory limit.
            *("--cache-ram", "0"),
            "--metrics",
            *_model_args(launch, weights),
        ]
        env: list[dict[str, Any]] = [{"name": "LLAMA_ARG_UI", "value": "0"}]
        if launch.source.hugging_face:
            env.append({"name": "LLAMA_CACHE", "value": weights.directory})
        if limit := cpu_limit_variable(launch.variant, "CPU_LIMIT"):
            env += limit
            args += ["--threads", "$(CPU_LIMIT)"]
        container = EngineContainer(
            args=args,
            env=env,
            port=self.port,
            health_path="/health",  # 503 while the weights are loaded
            drain_script=_DRAIN,
            drain_seconds=self.drain_seconds,
        )
        return engine_pod_template(launch, weights, container)

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return the slots of the server, as its last argument about them says."""
        return batch_limit_of(template, SLOT_FLAGS)

    def read(self, window: Window) -> Reading | None:
        """Translate the scrapes; None with fewer than two whole ones, because nothing has a rate then.

        ``tokens_predicted_total`` moves only when a request ends. The tokens of running requests are counted by
        ``n_decode_total * n_busy_slots_per_decode``, since the latter is the mean over all decodes; checked by
        running: equal to the tokens that clients received, second by second. Both are printed with six digits, so
        that above 1e6 decodes the product may fall by rounding: only a fall of a counter tells a restart.

        A slot's prompt seconds run until its first token; the batch that reads its prompt takes every running stream
        a token along (tools/server of github.com/ggml-org/llama.cpp). Prompts are not counted, so that the step in
        those seconds is taken off where the requests' length is known: by the planner.
        """
        window = window.complete(self.signals)
        running, waiting = window.mean("running"), window.last("waiting")
        if window.seconds <= 0 or running is None or waiting is None:
            return None
        steps = window.steps(COUNTERS)
        grown = growth(steps, COUNTERS)
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=increase(steps, _live_tokens) / window.seconds,
            prompt_tokens_per_second=grown["prompt_tokens"] / window.seconds,
            running_streams=running,
            waiting_requests=waiting,
            seconds_per_prompt_token=ratio(grown["prompt_seconds"], grown["prompt_tokens"]),
            prompts_share_steps=True,
            seconds_per_output_token=ratio(grown["ended_seconds"], grown["ended_tokens"]),
        )


def _live_tokens(values: Values) -> float:
    return values["decodes"] * values["busy_slots_per_decode"]


def _model_args(launch: Launch, weights: Weights) -> Sequence[str]:
    hub = launch.source.hugging_face
    if hub is None:
        return ("--model", f"{weights.directory}/{weights.file}")
    if hub.file is None:
        return ("--hf-repo", f"{hub.repo}:{launch.variant.quantization}")
    if hub.revision is None:
        return ("--hf-repo", hub.repo, "--hf-file", hub.file)
    # --hf-repo knows the main branch only. A revision has an address, and here a path of its own in a shared cache.
    return (
        *("--model-url", f"https://huggingface.co/{hub.repo}/resolve/{hub.revision}/{hub.file}"),
        *("--model", f"{weights.directory}/{hub.repo}/{hub.revision}/{hub.file}"),
    )


def _source_problems(where: str, place: Place | None, variant: Variant) -> Iterator[FieldProblem]:
    if place is None:
        yield FieldProblem(where, "must name one place with a GGUF file: `huggingFace`, `volume` or `image`")
    elif isinstance(place, HuggingFaceSource):
        yield from _hub_problems(place, where, variant)
    elif place.file is None:
        yield FieldProblem(f"{where}.file", "is missing: llama.cpp loads one file, name it")
    if place and place.file is not None and PurePosixPath(place.file).suffix != GGUF:
        yield FieldProblem(f"{where}.file", f"`{place.file}` is no GGUF file: llama.cpp loads nothing else")


def _hub_problems(hub: HuggingFaceSource, where: str, variant: Variant) -> Iterator[FieldProblem]:
    if "/" not in hub.repo:
        yield FieldProblem(f"{where}.repo", f"`{hub.repo}` has no owner: llama.cpp wants `owner/name`")
    if hub.file is None and hub.revision is not None:
        yield FieldProblem(f"{where}.file", "is missing: llama.cpp finds a `revision` only of a file that is named")
    elif hub.file is None and variant.quantization is None:
        yield FieldProblem(f"{where}.file", "is missing: name the file, or set the variant's `quantization`")
