"""A value that the schema admits and an engine cannot run: the others go on, and what serves is not given up."""

import copy
from typing import Any

import pytest
import yaml
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS
from tokenpace.controller.manifest import ManifestError
from tokenpace.controller.render import render

TYPO = "q4_O"


def declare_both(operator: Operator, resource: Any, **broken: str) -> list[dict[str, Any]]:
    """Store an LLMDeployment of two variants, some with another quantization; return its variants."""
    body = declare(operator.fake, resource)
    body["spec"]["variants"] = copy.deepcopy(resource["spec"]["variants"])
    for variant in body["spec"]["variants"]:
        variant["quantization"] = broken.get(variant["name"], variant["quantization"])
    variants: list[dict[str, Any]] = body["spec"]["variants"]
    return variants


def sizes(operator: Operator) -> dict[str, int]:
    objects = operator.fake.objects.items()
    return {key[2]: body["spec"]["replicas"] for key, body in objects if key[0] == DEPLOYMENTS}


async def test_beside_a_variant_with_a_typo_the_other_one_runs(operator: Operator, resource: Any) -> None:
    declare_both(operator, resource, q4=TYPO)
    await operator.ticks()
    assert sizes(operator) == {"chat-q8": 1}


async def test_the_field_with_the_typo_is_named(operator: Operator, resource: Any) -> None:
    declare_both(operator, resource, q4=TYPO)
    await operator.ticks()
    told = operator.condition("NotYetSupported")
    assert (told["status"], told["reason"]) == ("True", "VariantCannotRun")
    assert told["message"].startswith("spec.variants[q4].quantization: ")


async def test_where_no_variant_can_run_the_spec_is_invalid(operator: Operator, resource: Any) -> None:
    declare_both(operator, resource, q8=TYPO, q4=TYPO)
    await operator.ticks()
    ready = operator.condition("Ready")
    assert (ready["reason"], sizes(operator)) == ("InvalidSpec", {})
    assert "spec.variants[q8].quantization" in ready["message"]
    assert "spec.variants[q4].quantization" in ready["message"]


async def test_a_typo_in_the_variant_that_serves_changes_nothing_but_is_told(operator: Operator, resource: Any) -> None:
    """Not even a better variant than the other is retired for it: its pods run, and that is what is known to run."""
    declare_both(operator, resource)
    await operator.ticks(2)
    before = copy.deepcopy(operator.fake.objects[DEPLOYMENTS, "shop", "chat-q8"]["spec"])
    operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["variants"][0]["quantization"] = TYPO
    await operator.ticks(3)
    assert operator.fake.objects[DEPLOYMENTS, "shop", "chat-q8"]["spec"] == before
    assert operator.condition("NotYetSupported")["reason"] == "VariantCannotRun"


async def test_a_variant_with_a_typo_that_serves_is_still_scaled(operator: Operator, resource: Any) -> None:
    declare_both(operator, resource)
    await operator.ticks(2)
    spec = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]
    spec["variants"][0]["quantization"] = TYPO
    spec["scaling"] = {"minReplicas": 3}
    await operator.ticks(2)
    assert sizes(operator)["chat-q8"] == 3


async def test_once_the_typo_is_mended_the_pods_are_as_declared(operator: Operator, resource: Any) -> None:
    declare_both(operator, resource)
    await operator.ticks(2)
    variant = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["variants"][0]
    variant["quantization"] = TYPO
    await operator.ticks()
    variant = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]["variants"][0]
    variant |= {"quantization": "q8_0", "engine": {"type": "LlamaCpp", "args": ["--mlock"]}}
    await operator.ticks()
    (container,) = operator.fake.objects[DEPLOYMENTS, "shop", "chat-q8"]["spec"]["template"]["spec"]["containers"]
    assert "--mlock" in str(container)
    assert operator.condition("NotYetSupported")["reason"] == "EverythingSupported"


def test_at_the_command_line_a_typo_is_an_error(resource: Any) -> None:
    resource["spec"]["variants"][1]["quantization"] = TYPO
    with pytest.raises(ManifestError, match=r"spec\.variants\[q4\]\.quantization"):
        render(yaml.safe_dump(resource))
