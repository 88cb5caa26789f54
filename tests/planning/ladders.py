"""Ladders of small pods: q8, and q4 that is twice as fast and not as good."""

from dataclasses import replace
from typing import Any

from tests.planning.declared import SMALL_POD, declared
from tests.planning.simulated_pods import CPU

from tokenpace.api.spec import LLMDeploymentSpec

FAST_CPU = replace(CPU, token_seconds=1 / 34, prompt_token_seconds=0.003)
FAST_POD = {
    "streamTokensPerSecond": 34,
    "generationTokensPerSecond": 34,
    "atStreams": 4,
    "prefillTokensPerSecond": 320,
}
ENGINES = {"q8": CPU, "q4": FAST_CPU}

Q8: dict[str, Any] = {"name": "q8", "quality": "100", "hourlyCost": "1", "expected": SMALL_POD | {"startupSeconds": 5}}
Q4: dict[str, Any] = {"name": "q4", "quality": "90", "hourlyCost": "1", "expected": FAST_POD | {"startupSeconds": 5}}


def ladder(*variants: dict[str, Any], slo: dict[str, Any] | None = None, **scaling: Any) -> LLMDeploymentSpec:
    """Return a spec of both variants, at most three replicas, quick to decide, unless said otherwise."""
    quick = {"maxReplicas": 3, "scaleDown": {"stabilizationWindowSeconds": 60}, "variantDwellSeconds": 120}
    return declared(
        slo=slo or {"timeToFirstToken": {"milliseconds": 5000}},
        variants=variants or (Q8, Q4),
        **quick | scaling,
    )
