"""One variant of one LLMDeployment scales a workload."""

from typing import Any

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.controller.claims import contested


def declared(name: str, *variants: dict[str, Any], namespace: str = "shop", age: str = "1") -> tuple[Any, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": f"2026-11-23T10:0{age}:00Z"}
    spec = {
        "model": {"servedName": "chat", "contextTokens": 2048},
        "slo": {"generationTokensPerSecond": 60},
        "variants": [{"name": f"v{place}", "metrics": "VLLM", **one} for place, one in enumerate(variants)],
    }
    return metadata, LLMDeploymentSpec.model_validate(spec)


def naming(name: str = "vllm", kind: str = "Deployment", api_version: str = "apps/v1", **rest: Any) -> dict[str, Any]:
    return {"scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": name}, **rest}


def test_the_older_one_keeps_the_workload_in_whatever_order_they_are_listed() -> None:
    newer, older = declared("a", naming(), age="2"), declared("b", naming(), age="1")
    assert contested([newer, older]).keys() == contested([older, newer]).keys() == {"a"}


def test_of_two_made_in_the_same_second_one_keeps_it() -> None:
    assert contested([declared("b", naming()), declared("a", naming())]).keys() == {"b"}


@pytest.mark.parametrize(
    "another",
    [
        pytest.param(declared("b", naming("other")), id="another name"),
        pytest.param(declared("b", naming(kind="StatefulSet")), id="another kind"),
        pytest.param(declared("b", naming(api_version="x.dev/v1")), id="another group"),
        pytest.param(declared("b", naming(), namespace="elsewhere"), id="another namespace"),
    ],
)
def test_another_workload_is_free(another: Any) -> None:
    assert contested([declared("a", naming()), another]) == {}


def test_a_workload_in_another_version_of_its_group_is_the_same() -> None:
    assert contested([declared("a", naming()), declared("b", naming(api_version="apps/v2"))]).keys() == {"b"}


def test_the_better_of_two_variants_keeps_the_workload_and_the_message_names_both() -> None:
    (refusal,) = contested([declared("a", naming(quality="90"), naming(quality="95"))]).values()
    assert str(refusal).startswith("spec.variants[v0].scaleTargetRef: Deployment vllm is scaled by variant v1 of")
