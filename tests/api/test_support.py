from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenpace.api.resource import LLMDeployment
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import runnable_variants, servable_variants, unsupported_fields
from tokenpace.api.variant import Variant
from tokenpace.engines.registry import problems

ROOT = Path(__file__).parents[2]
MODEL = {"servedName": "chat", "contextTokens": 2048, "source": {"image": {"path": "/models", "file": "q8.gguf"}}}
Q8 = {"name": "q8", "engine": {"type": "LlamaCpp"}, "quality": "99"}
Q4 = {"name": "q4", "engine": {"type": "LlamaCpp"}, "quality": "95"}
Q2 = {"name": "q2", "engine": {"type": "LlamaCpp"}, "quality": "80"}
NOTHING = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 0}
TODAY = {
    "name": "today",
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
    "metrics": "SGLang",
}


def spec(*variants: dict[str, Any], slo: dict[str, Any] | None = None, **rest: Any) -> LLMDeploymentSpec:
    return LLMDeploymentSpec.model_validate(
        {
            "model": MODEL,
            "slo": {"generationTokensPerSecond": 60, **(slo or {})},
            "variants": list(variants) or [Q8],
            **rest,
        }
    )


def paths(declared: LLMDeploymentSpec) -> list[str]:
    return [found.field for found in unsupported_fields(declared)]


def test_everything_that_this_version_does_is_supported() -> None:
    declared = spec(
        Q8
        | {
            "hourlyCost": "0.1",
            "minReplicas": 1,
            "maxReplicas": 4,
            "quantization": "q8_0",
            "resources": {"limits": {"cpu": 2}},
            "podTemplate": {"spec": {"nodeSelector": {"disk": "fast"}}},
            "expected": {"startupSeconds": 20},
        },
        slo={
            "prefillTokensPerSecond": 100,
            "stream": {"tokensPerSecond": 5},
            "timeToFirstToken": {"milliseconds": 900},
            "readyTokensPerSecond": 10,
            "burstTokensPerSecond": 10,
            "backlogDrainSeconds": 20,
            "objective": "99",
            "windowHours": 1,
            "minQuality": "90",
        },
        traffic={"promptTokens": 100, "generatedTokens": 100},
        scaling={
            "mode": "Auto",
            "minReplicas": 2,
            "maxReplicas": 4,
            "maxHourlyCost": "0.4",
            "balancing": "LeastRequest",
            "scaleDown": {"stabilizationWindowSeconds": 60},
        },
    )
    assert unsupported_fields(declared) == ()


def test_the_first_manifest_of_the_readme_is_wholly_supported() -> None:
    manifest = yaml.safe_load((ROOT / "examples" / "cpu-llama-cpp.yaml").read_text())
    declared = LLMDeployment.model_validate(manifest).spec
    assert unsupported_fields(declared) == ()
    assert problems(declared, declared.variants[0]) == ()


@pytest.mark.parametrize(
    ("field", "declared"),
    [
        ("spec.scaling.balancing", spec(scaling={"balancing": "Weighted"})),
        ("spec.scaling.scaleToZeroAfterSeconds", spec(scaling={"scaleToZeroAfterSeconds": 0})),
        ("spec.scaling.scaleToZeroAfterSeconds", spec(scaling={"scaleToZeroAfterSeconds": 60, "schedules": [NOTHING]})),
        ("spec.scaling.wake", spec(scaling={"wake": {"metricName": "up"}})),
        ("spec.replicas", spec(replicas=3)),
    ],
)
def test_a_field_without_effect_is_named(field: str, declared: LLMDeploymentSpec) -> None:
    assert paths(declared) == [field]


@pytest.mark.parametrize("waking", [{"wake": {"metricName": "up"}}, {"schedules": [{**NOTHING, "minReplicas": 1}]}])
def test_what_can_be_woken_may_sleep(waking: dict[str, Any]) -> None:
    assert unsupported_fields(spec(scaling={"scaleToZeroAfterSeconds": 60, **waking})) == ()


def test_defaults_that_the_api_server_filled_in_declare_nothing() -> None:
    filled_in = LLMDeploymentSpec.model_validate(spec().as_manifest())
    assert unsupported_fields(filled_in) == ()


def names(variants: Iterable[Variant]) -> list[str]:
    return [variant.name for variant in variants]


def test_every_variant_may_serve_best_first() -> None:
    declared = spec(Q4, Q8)
    assert names(servable_variants(declared)) == ["q8", "q4"]
    assert unsupported_fields(declared) == ()


def test_all_that_a_switch_between_variants_is_told_has_an_effect() -> None:
    scaling = {
        "preference": "Cost",
        "maxSurge": 0,
        "variantDwellSeconds": 0,
        "degraded": {"maxTokensPercent": 20, "whenSpent": "KeepSLO"},
    }
    declared = spec(Q8 | {"hourlyCost": "1"}, Q4 | {"hourlyCost": "1"}, scaling=scaling)
    assert unsupported_fields(declared) == ()


def test_a_workload_that_exists_already_runs() -> None:
    declared = spec(TODAY)
    assert (servable_variants(declared), unsupported_fields(declared)) == (declared.variants, ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", {"volume": {"claimName": "weights", "path": "/"}}),
        ("quantization", "awq"),
        ("resources", {"limits": {"cpu": 2}}),
        ("podTemplate", {"spec": {}}),
    ],
)
def test_what_pods_are_made_of_has_no_effect_on_a_workload_that_exists_already(field: str, value: Any) -> None:
    declared = spec(TODAY | {field: value})
    assert paths(declared) == [f"spec.variants[today].{field}"]


def test_advice_is_supported() -> None:
    assert unsupported_fields(spec(scaling={"mode": "Advisory"})) == ()


def test_a_variant_below_the_floor_never_runs() -> None:
    declared = spec(Q4, Q2, slo={"minQuality": "96"})
    assert servable_variants(declared) == runnable_variants(declared) == ()
    assert unsupported_fields(declared) == ()


def test_in_manual_mode_the_chosen_variant_serves_and_the_others_may_run_until_it_does() -> None:
    declared = spec(Q8, Q4, scaling={"mode": "Manual", "variant": "q4"}, replicas=3)
    assert names(servable_variants(declared)) == ["q4"]
    assert names(runnable_variants(declared)) == ["q8", "q4"]
    assert unsupported_fields(declared) == ()


def test_in_manual_mode_without_a_choice_the_best_variant_serves() -> None:
    assert names(servable_variants(spec(Q4, Q8, scaling={"mode": "Manual"}))) == ["q8"]


def test_in_manual_mode_the_chosen_variant_may_be_below_the_floor() -> None:
    declared = spec(Q8, Q4, slo={"minQuality": "96"}, scaling={"mode": "Manual", "variant": "q4"})
    assert names(servable_variants(declared)) == ["q4"]


@pytest.mark.parametrize("scaling", [{}, {"mode": "Manual", "variant": "q8"}])
def test_a_variant_that_was_taken_out_of_use_never_runs(scaling: dict[str, Any]) -> None:
    assert runnable_variants(spec(Q8 | {"maxReplicas": 0}, scaling=scaling)) == ()


def test_a_variant_that_was_taken_out_of_use_makes_way_for_the_next() -> None:
    assert names(servable_variants(spec(Q8 | {"maxReplicas": 0}, Q4))) == ["q4"]
