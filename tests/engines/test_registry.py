from typing import Any

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType
from tokenpace.engines.engine import FieldProblem
from tokenpace.engines.registry import ADAPTERS, problems

UNSUPPORTED = sorted(set(EngineType) - ADAPTERS.keys())


def spec_of(variant: dict[str, Any]) -> LLMDeploymentSpec:
    return LLMDeploymentSpec.model_validate(
        {
            "model": {"servedName": "chat", "contextTokens": 2048},
            "slo": {"generationTokensPerSecond": 100},
            "variants": [{"name": "a", **variant}],
        }
    )


@pytest.mark.parametrize("engine_type", UNSUPPORTED)
def test_an_engine_that_is_not_supported_yet_is_a_problem_of_its_field(engine_type: EngineType) -> None:
    spec = spec_of({"engine": {"type": engine_type}})
    assert problems(spec, spec.variants[0]) == (
        FieldProblem(
            "spec.variants[a].engine.type", f"{engine_type} is not supported yet; supported: LlamaCpp, TGI, VLLM"
        ),
    )


def test_metrics_that_are_not_supported_yet_are_a_problem_of_their_field() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    spec = spec_of({"scaleTargetRef": target, "metrics": "SGLang"})
    (problem,) = problems(spec, spec.variants[0])
    assert problem.field == "spec.variants[a].metrics"


def test_an_existing_workload_with_readable_metrics_has_no_problems() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    spec = spec_of({"scaleTargetRef": target, "metrics": "LlamaCpp"})
    assert problems(spec, spec.variants[0]) == ()


def test_every_adapter_is_registered_under_its_own_type() -> None:
    assert all(adapter.type == engine_type for engine_type, adapter in ADAPTERS.items())
