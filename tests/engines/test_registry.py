from typing import Any

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType
from tokenpace.engines.engine import FieldProblem
from tokenpace.engines.registry import ADAPTERS, problems


def spec_of(variant: dict[str, Any]) -> LLMDeploymentSpec:
    return LLMDeploymentSpec.model_validate(
        {
            "model": {"servedName": "chat", "contextTokens": 2048},
            "slo": {"generationTokensPerSecond": 100},
            "variants": [{"name": "a", **variant}],
        }
    )


def test_every_engine_that_can_be_declared_has_an_adapter() -> None:
    assert ADAPTERS.keys() == set(EngineType)


def test_a_workload_whose_metrics_nobody_named_cannot_be_read() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    spec = spec_of({"scaleTargetRef": target, "metrics": "Custom"})
    message = "is missing: it says what the server exports"
    assert problems(spec, spec.variants[0]) == (FieldProblem("spec.variants[a].custom", message),)


def test_an_existing_workload_with_readable_metrics_has_no_problems() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    spec = spec_of({"scaleTargetRef": target, "metrics": "LlamaCpp"})
    assert problems(spec, spec.variants[0]) == ()


def test_every_adapter_is_registered_under_its_own_type() -> None:
    assert all(adapter.type == engine_type for engine_type, adapter in ADAPTERS.items())
