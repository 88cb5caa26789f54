"""What docs/engines.md says of Text Generation Inference: its images, its precisions, and what is measured how."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tokenpace.engines.description import Description, Measure, Mode, Verified, When
from tokenpace.engines.hardware import Hardware

IMAGES: Final[Mapping[Hardware, str]] = MappingProxyType(
    {
        # The last build of all, of 2026-01-08: text-generation-launcher 3.3.6-dev0.
        Hardware.NVIDIA: (
            "ghcr.io/huggingface/text-generation-inference"
            "@sha256:e6b0af6e0bf65337b84a19f15d74660c7892192f555fb0b68d3f3d62bf0c1e9a"
        ),
        Hardware.AMD: "ghcr.io/huggingface/text-generation-inference:3.3.4-rocm",
        Hardware.CPU: "ghcr.io/huggingface/text-generation-inference:3.3.7-intel-cpu",
    }
)

QUANTIZATIONS: Final = (
    "none", "awq", "compressed-tensors", "eetq", "exl2", "gptq", "marlin", "bitsandbytes", "bitsandbytes-nf4",
    "bitsandbytes-fp4", "fp8",
)  # fmt: skip
"""The values of `--quantize`, and ``none`` for weights as they are."""

_LENGTHS: Final = Measure("tokens per request", "`request_generated_tokens`", When.AT_END)

DESCRIPTION: Final = Description(
    title="Text Generation Inference",
    introduction="It is in maintenance since December 2025. Two backends are launched: the router v3 in front of "
    "shards, and llama.cpp where the weights are a GGUF file or the image has `llamacpp` in its name.",
    example={
        "source": {"huggingFace": {"repo": "org/model-awq", "tokenSecretKeyRef": {"name": "hub", "key": "token"}}},
        "quantization": "awq",
        "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "48Gi"}},
    },
    images=IMAGES,
    quantizations=QUANTIZATIONS,
    quantization="`--quantize`; of the llama.cpp backend, llama.cpp's. `bitsandbytes…`, `eetq` and `fp8` quantize "
    "while loading. `awq`, `gptq`, `marlin` and `exl2` need weights that were quantized before: give the variant a "
    "`source` of its own; for those the method may also be left out, because their `config.json` names it. `awq` is "
    "refused on ROCm, and `--dtype` beside a method",
    modes=(
        Mode(
            name="router v3",
            launched=(
                ("weights", "a repository (`--model-id`, `--revision`) or a directory of safetensors"),
                ("`--max-batch-size`", "the batch limit, else what the memory holds"),
                ("`MAX_TOTAL_TOKENS`, `MAX_INPUT_TOKENS`", "`model.contextTokens`, and one less"),
                ("`MAX_CONCURRENT_REQUESTS`", "five times the batch limit, at least 128: more are refused with 429"),
                ("on CPUs", "`CUDA_GRAPHS=0`, `OMP_NUM_THREADS`: the CPU limit"),
                ("on GPUs", "`NUM_SHARD`: all of them, unless your `args` spread the model"),
            ),
            measured=(
                Measure(
                    "generated tokens/s",
                    "`request_skipped_tokens`, sum + count: each step counts what it adds to one token a sequence",
                    When.LIVE,
                ),
                Measure(
                    "prompt tokens/s, those in its cache included",
                    "`request_input_length_count` less what joined `queue_size`, by the mean of `request_input_length`",
                    When.LIVE,
                ),
                Measure("streams, queue", "`batch_current_size` and those in their prefill, `queue_size`", When.LIVE),
                Measure("requests admitted", "`request_input_length_count`", When.ON_ARRIVAL),
                _LENGTHS,
                Measure(
                    "seconds per prompt token",
                    '`batch_inference_duration{method="prefill"}` over prompt tokens; of a chunked prefill without '
                    "the step it shares",
                    When.LIVE,
                ),
                Measure(
                    "seconds per output token",
                    "`request_inference_duration_sum` less a prefill each, over `request_generated_tokens_sum` less a "
                    "first token each",
                    When.AT_END,
                ),
            ),
        ),
        Mode(
            name="llama.cpp backend",
            launched=(
                ("image", "yours: no registry has one, build it with TGI's `Dockerfile_llamacpp`"),
                ("`--model-gguf`", "the `file` of a volume or an image; it downloads none"),
                ("`--model-id`", "the repository in `model.source.huggingFace`, with its token: for the tokenizer"),
                ("`--max-batch-size`", "the batch limit, else 4"),
                ("the context, requests", "as for the router"),
                ("on CPUs, on GPUs", "`N_THREADS`: the CPU limit; `N_GPU_LAYERS=999`"),
                ("user", "65532, *restricted*"),
            ),
            measured=(
                Measure("generated tokens/s", "`request_generated_tokens_sum`", When.AT_END),
                Measure("prompt tokens/s, requests admitted", "as of the router", When.ON_ARRIVAL),
                Measure(
                    "streams, queue",
                    "`request_inference_duration_sum` and `request_queue_duration_sum`, per second (Little's law)",
                    When.AT_END,
                ),
                _LENGTHS,
                Measure("seconds per prompt token", "learned from the load", When.ESTIMATED),
                Measure(
                    "seconds per output token",
                    "`request_inference_duration_sum / request_generated_tokens_sum`, prefill included",
                    When.AT_END,
                ),
            ),
        ),
    ),
    user="**root**, without capabilities: since 3.1.1 Python is under `/root` "
    "(huggingface/text-generation-inference#3082), so that only the *baseline* standard holds",
    drained="by itself after SIGTERM, for 90 s, TGI's default; a longer `--graceful-termination-timeout` needs a "
    "longer `terminationGracePeriodSeconds` in `podTemplate`",
    verified=Verified(
        metrics="recorded from both backends of 3.3.6, and read through a real Prometheus",
        serving="end to end, against a server of ours that speaks its API in front of llama.cpp",
        image="**never run**",
        flags="3.3.7's documentation and source",
    ),
    notes=(
        (
            "TGI knows no served name: it answers to every `model` but takes it for the name of a LoRA adapter, if it "
            "has one of that name, and its own answers name the repository."
        ),
        (
            "A series is there only after its first use. Absent ones are 0 beside others of the same scrape; a pod "
            "whose page is blank is idle ([0034](decisions/0034-what-was-never-used-is-idle.md))."
        ),
        (
            "The backend is told by the queue's series: without it, only ended requests are counted. With answers "
            "longer than the window such a pod looks idle in between, and demand is seen late."
        ),
        (
            "The time of a token is not taken from decode steps, which are live: what the router does between two of "
            "them is in none. In the recorded run streams took 27.1 ms a token, and steps 22.6 ms."
        ),
        (
            "`tgi_request_count` is not used: it counts a chat request twice. `/info` is asked once, by the canary: a "
            "server whose `max_total_tokens` is below `model.contextTokens` fails it."
        ),
        "When it ends it closes idle connections at once, and a request on its way to one fails: send it once more.",
        (
            "The port for metrics is the main one; TGI's own `--prometheus-port` opens nothing. "
            "`tgi_batch_next_size_bucket` has 1024 series a pod that nobody needs: drop it by relabelling."
        ),
    ),
)
