"""Specs, pods and observations for the planner's tests, with only what a test is about spelled out."""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.observation import Hindrance, Idle, Live, Missing, Observation, Pod, Reading, Sample, Stale

HASH = "inputs-1"
NOW = 1_000_000.0

SMALL_POD = {
    "streamTokensPerSecond": 17,
    "generationTokensPerSecond": 17,
    "atStreams": 4,
    "prefillTokensPerSecond": 160,
}
"""What one declares of a small CPU pod: as fast with four streams as with one."""

LARGE_POD = {
    "streamTokensPerSecond": 34,
    "generationTokensPerSecond": 860,
    "atStreams": 32,
    "prefillTokensPerSecond": 9000,
}
"""Llama-2-70B on H100."""


def declared(
    *,
    slo: Mapping[str, Any] | None = None,
    expected: Mapping[str, int] | None = None,
    traffic: tuple[int, int] = (12, 32),
    variants: Iterable[Mapping[str, Any]] | None = None,
    replicas: int = 1,
    **scaling: Any,
) -> LLMDeploymentSpec:
    """Return a spec; by default of one variant, q8, that promises streams of 3 tokens/s."""
    engine = {"type": "LlamaCpp"}
    default = [{"name": "q8", "expected": SMALL_POD if expected is None else expected}]
    return LLMDeploymentSpec.model_validate(
        {
            "model": {
                "servedName": "m",
                "contextTokens": 2048,
                "source": {"volume": {"claimName": "models", "path": "m.gguf"}},
            },
            "slo": slo or {"stream": {"tokensPerSecond": 3}},
            "traffic": {"promptTokens": traffic[0], "generatedTokens": traffic[1]},
            "variants": [{"engine": engine, **variant} for variant in variants or default],
            "scaling": {"maxReplicas": 16, **scaling},
            "replicas": replicas,
        }
    )


def reading(generated: float = 0.0, running: float | None = None, waiting: float = 0.0, **other: Any) -> Reading:
    """Return what a small pod does that generates so much: 17 tokens/s when it is busy."""
    values: dict[str, Any] = {
        "window_seconds": 30.0,
        "generated_tokens_per_second": generated,
        "prompt_tokens_per_second": generated * 12 / 32,
        "running_streams": generated / max(17.0 - generated, 4.0) if running is None else running,
        "waiting_requests": waiting,
        "slots": 4.0,
        **other,
    }
    return Reading(**values)


def full_reading(**other: Any) -> Reading:
    """Return what a small pod does that has all slots taken and a queue."""
    return reading(generated=16.0, running=4.0, **{"waiting": 4.0, **other})


def hindrance_of(trouble: str | None) -> Hindrance:
    """Return what the cluster's words mean."""
    if trouble is None:
        return Hindrance.NONE
    return Hindrance.UNSCHEDULABLE if trouble.startswith("Unschedulable") else Hindrance.BLOCKED


def pod(
    name: str,
    sample: Sample | Reading | None = None,
    *,
    variant: str = "q8",
    created: float = NOW - 3600,
    starts_for: float = 5.0,
    ready: bool = True,
    terminating: bool = False,
    trouble: str | None = None,
) -> Pod:
    """Return a pod that has served for an hour, unless said otherwise."""
    if isinstance(sample, Reading):
        sample = Live(sample) if sample.generated_tokens_per_second or sample.running_streams else Idle(sample)
    return Pod(
        name=name,
        variant=variant,
        template_hash=HASH,
        created_at_seconds=created,
        ready_since_seconds=created + starts_for if ready else None,
        terminating=terminating,
        sample=Missing() if sample is None else sample,
        hindrance=hindrance_of(trouble),
        hindrance_message=trouble,
    )


def observation(
    *pods: Pod,
    replicas: int | Mapping[str, int] | None = None,
    problem: str | None = None,
    tick: float = 5.0,
    variants: Iterable[str] = ("q8",),
) -> Observation:
    """Return an observation; the workload asks for as many replicas as there are pods, unless said otherwise."""
    if not isinstance(replicas, Mapping):
        replicas = {"q8": len(pods) if replicas is None else replicas}
    return Observation(
        replicas=replicas,
        template_hashes=dict.fromkeys(variants, HASH),
        pods=pods,
        metrics_problem=problem,
        tick_seconds=tick,
    )


def serving(count: int, sample: Sample | Reading | None = None, **other: Any) -> tuple[Pod, ...]:
    """Return so many pods that do the same."""
    return tuple(pod(f"pod-{number}", sample, **other) for number in range(count))


__all__ = [
    "HASH",
    "LARGE_POD",
    "NOW",
    "SMALL_POD",
    "Idle",
    "Live",
    "Missing",
    "Stale",
    "declared",
    "full_reading",
    "observation",
    "pod",
    "reading",
    "serving",
]
