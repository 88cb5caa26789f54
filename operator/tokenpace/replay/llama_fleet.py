"""The fleet of the comparison: Llama-2-70B under vLLM on nodes of four H100, in up to three precisions."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.replay.speeds import H100_BYTES, LLAMA2_70B, PRECISIONS, MeasuredSpeeds, kv_tokens, speeds
from tokenpace.replay.truth import Fleet, Prefill, Speeds, Spread, VariantTruth

GPUS: Final = 4

HOURLY_COST: Final = "12.00"
"""Four H100 at 3.00 an hour each, assumed; the three precisions run on the same nodes and cost the same."""

BATCH_LIMIT: Final = 32
"""`--max-num-seqs`, and `atStreams`: about 1.3 times what streams of 25 tokens/s leave room for in the mean."""

TOKENS_PER_CHUNK: Final = 2048
"""`--max-num-batched-tokens`."""

QUALITIES: Final[Mapping[str, str]] = {"bf16": "100", "fp8": "99.9", "awq-int4": "98.4"}
"""FP8: "effectively lossless" (arXiv 2411.02355), set just below 100 so that the ladder has an order. AWQ: 0.6006 of
0.6106, the mean of four tasks (Llama-3.1-8B; Hugging Face dataset derekl35/quantization-benchmarks)."""

_SPELLED: Final = {"bf16": "none", "fp8": "fp8", "awq-int4": "awq_marlin"}

LADDER: Final = ("bf16", "fp8", "awq-int4")


@dataclass(frozen=True, slots=True)
class LogNormalSeconds:
    """A duration whose logarithm is normal."""

    median_seconds: float
    deviation: float
    """Standard deviation of the logarithm; 0: always the median."""

    def __call__(self, chance: random.Random) -> float:
        """Draw one."""
        return self.median_seconds * math.exp(chance.gauss(0.0, self.deviation))


def llama_fleet(
    measured: MeasuredSpeeds,
    name: str,
    *,
    variants: Sequence[str] = LADDER[:1],
    replicas: int = 1,
    startup: LogNormalSeconds = LogNormalSeconds(120.0, 0.2),
    declared_factor: float = 1.0,
    scaling: Mapping[str, Any] | None = None,
    spread: Spread = Spread.RANDOM,
    memory: int | None = None,
) -> Fleet:
    """Return the fleet, true to what was measured.

    Args:
        measured: speeds at full precision.
        name: for the report.
        variants: names of the precisions in use, of `LADDER`.
        replicas: serving at the start, of the first of ``variants``.
        startup: seconds from a pod's creation to Ready.
        declared_factor: what its owner believes of its speeds, as a multiple of the truth.
        scaling: `spec.scaling`, beside and over at most 24 replicas.
        spread: what stands in front of the pods.
        memory: tokens that fit a pod. Default: what the weights leave of the GPUs' memory.
    """
    truths = {variant: _true_speeds(measured, variant, memory) for variant in variants}
    spec = {
        "model": {
            "servedName": "llama-2-70b",
            "contextTokens": 16_384,
            "source": {"volume": {"claimName": "models", "path": "llama-2-70b"}},
        },
        "slo": {
            "generationTokensPerSecond": 10_000,  # beyond every scenario: all demand is promised
            "stream": {"tokensPerSecond": 25, "percentile": 90},
            "timeToFirstToken": {"milliseconds": 2000, "percentile": 95},
            "minQuality": "98",
        },
        "traffic": {"promptTokens": 1155, "generatedTokens": 211},
        "variants": [
            {
                "name": variant,
                "engine": {"type": "VLLM", "args": [f"--max-num-batched-tokens={TOKENS_PER_CHUNK}"]},
                "quantization": _SPELLED[variant],
                "quality": QUALITIES[variant],
                "hourlyCost": HOURLY_COST,
                "resources": {"limits": {"nvidia.com/gpu": str(GPUS)}},
                "expected": _expected(truth, startup, declared_factor),
            }
            for variant, truth in truths.items()
        ],
        "scaling": {"minReplicas": 1, "maxReplicas": 24, **(scaling or {})},
    }
    return Fleet(
        name=name,
        spec=LLMDeploymentSpec.model_validate(spec),
        variants={variant: VariantTruth(speeds=truth, startup_seconds=startup) for variant, truth in truths.items()},
        spread=spread,
        replicas={variants[0]: replicas},
    )


def _true_speeds(measured: MeasuredSpeeds, variant: str, memory: int | None) -> Speeds:
    precision = PRECISIONS[variant]
    return speeds(
        measured,
        precision,
        batch_limit=BATCH_LIMIT,
        prefill=Prefill.CHUNKED,
        tokens_per_chunk=TOKENS_PER_CHUNK,
        kv_tokens=kv_tokens(LLAMA2_70B, precision, GPUS * H100_BYTES) if memory is None else memory,
    )


def _expected(truth: Speeds, startup: LogNormalSeconds, factor: float) -> dict[str, int]:
    """Return the speeds as an owner who measured them would declare them, times a factor."""
    return {
        "streamTokensPerSecond": round(factor / truth.step_seconds[0]),
        "generationTokensPerSecond": round(factor * BATCH_LIMIT / truth.step_seconds[-1]),
        "atStreams": BATCH_LIMIT,
        "prefillTokensPerSecond": round(factor / truth.prompt_token_seconds),
        "startupSeconds": round(startup.median_seconds),
    }
