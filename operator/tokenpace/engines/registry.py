"""Which engines there are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tokenpace.api.custom_server import CustomServer, DeclaredMetrics
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.custom import Custom
from tokenpace.engines.engine import EngineAdapter, FieldProblem
from tokenpace.engines.llama_cpp import LlamaCpp
from tokenpace.engines.openvino import OpenVINO
from tokenpace.engines.sglang import SGLang
from tokenpace.engines.tensorrt_llm import TensorRTLLM
from tokenpace.engines.tgi import TextGenerationInference
from tokenpace.engines.vllm import Vllm

ADAPTERS: Final[Mapping[EngineType, EngineAdapter]] = MappingProxyType(
    {
        adapter.type: adapter
        for adapter in (LlamaCpp(), TextGenerationInference(), Vllm(), SGLang(), TensorRTLLM(), OpenVINO(), Custom())
    }
)
"""The adapter of each engine, as far as it is known without a variant: see `adapter_of`."""


def adapter_of(variant: Variant) -> EngineAdapter:
    """Return the adapter that a variant is launched or read by: with what it declares, where that is its server.

    Raises:
        ValueError: it has neither an engine nor metrics; admission refuses that.
    """
    if variant.engine_type is EngineType.CUSTOM:
        return Custom(variant.custom)
    if variant.engine_type is None:
        raise ValueError(f"variant {variant.name} has neither an `engine` nor `metrics`; admission refuses that")
    return ADAPTERS[variant.engine_type]


def reader_of(metrics: DeclaredMetrics) -> EngineAdapter:
    """Return the adapter that reads a server by declared names, wherever it listens."""
    return Custom(CustomServer(metrics=metrics))


def problems(spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
    """Return what is wrong with a variant beyond the schema; empty if its engine can run and be read."""
    field = f"spec.variants[{variant.name}]"
    if variant.engine is not None:
        return adapter_of(variant).problems(spec, variant)
    if variant.metrics is EngineType.CUSTOM and variant.custom is None:
        return (FieldProblem(f"{field}.custom", "is missing: it says what the server exports"),)
    return ()
