"""Which engines there are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.engine import EngineAdapter, FieldProblem
from tokenpace.engines.llama_cpp import LlamaCpp
from tokenpace.engines.tgi import TextGenerationInference
from tokenpace.engines.vllm import Vllm

ADAPTERS: Final[Mapping[EngineType, EngineAdapter]] = MappingProxyType(
    {adapter.type: adapter for adapter in (LlamaCpp(), TextGenerationInference(), Vllm())}
)
"""The adapter of each engine that can be launched and read; other types are not supported yet."""


def problems(spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
    """Return what is wrong with a variant beyond the schema; empty if its engine can run and be read."""
    engine_type = variant.engine.type if variant.engine else variant.metrics
    adapter = ADAPTERS.get(engine_type) if engine_type else None
    if adapter is None:
        field = f"spec.variants[{variant.name}].{'engine.type' if variant.engine else 'metrics'}"
        return (FieldProblem(field, f"{engine_type} is not supported yet; supported: {', '.join(ADAPTERS)}"),)
    return adapter.problems(spec, variant) if variant.engine else ()
