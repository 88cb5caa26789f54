"""The corpus of manifests, before a real API server: each rejection names the field and the cure."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiException

from tokenpace.api.resource import LLMDeployment

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "tests" / "api" / "manifests"
Call = Callable[..., dict[str, Any]]


def files(*patterns: tuple[Path, str]) -> Any:
    paths = sorted(path for folder, pattern in patterns for path in folder.glob(pattern))
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def dry_run(llmdeployments: Call, manifest: dict[str, Any]) -> dict[str, Any]:
    return llmdeployments("create", manifest, dry_run="All", field_validation="Strict")


def complaints(error: ApiException) -> list[str]:
    """Return what the API server found, one line a finding, as kubectl prints it."""
    answer = json.loads(error.body)
    causes = answer["details"].get("causes") if "details" in answer else None
    return [f"{cause['field']}: {cause['message']}" for cause in causes] if causes else [answer["message"]]


@files((MANIFESTS / "good", "*.yaml"), (ROOT / "examples", "*.yaml"))
def test_a_good_manifest_is_admitted_and_read_with_the_same_defaults(path: Path, llmdeployments: Call) -> None:
    manifest = yaml.safe_load(path.read_text())
    admitted = dry_run(llmdeployments, manifest)
    assert LLMDeployment.model_validate(admitted) == LLMDeployment.model_validate(manifest)


@files((MANIFESTS / "bad", "*/*.yaml"))
def test_a_bad_manifest_is_refused_with_the_field_and_the_cure(path: Path, llmdeployments: Call) -> None:
    text = path.read_text()
    field, words = (line.split(": ", 1)[1] for line in text.splitlines()[:2])
    with pytest.raises(ApiException) as refusal:
        dry_run(llmdeployments, yaml.safe_load(text))
    found = complaints(refusal.value)
    assert [one for one in found if one.startswith(f"{field}: ") and words in one], found


def test_a_misspelt_field_is_refused_by_its_name(llmdeployments: Call) -> None:
    manifest = yaml.safe_load((MANIFESTS / "good" / "minimal.yaml").read_text())
    manifest["spec"]["slo"]["generationTokensPerSec"] = 60
    with pytest.raises(ApiException) as refusal:
        dry_run(llmdeployments, manifest)
    assert 'unknown field "spec.slo.generationTokensPerSec"' in complaints(refusal.value)[0]


MODES = ("Auto", "Advisory")


@pytest.mark.parametrize("mode", MODES)
def test_replicas_belong_to_the_operator_unless_the_mode_is_manual(
    mode: str, create: Callable[..., str], llmdeployments: Call
) -> None:
    name = create(scaling={"mode": mode})
    with pytest.raises(ApiException) as refusal:
        llmdeployments("patch", name, {"spec": {"replicas": 3}})
    assert complaints(refusal.value)[0].startswith("spec.replicas: Forbidden: `replicas` may be changed only when")


@pytest.mark.parametrize("mode", MODES)
def test_one_edit_takes_over_from_the_operator(mode: str, create: Callable[..., str], llmdeployments: Call) -> None:
    name = create(scaling={"mode": mode})
    taken = llmdeployments("patch", name, {"spec": {"scaling": {"mode": "Manual"}, "replicas": 3}})
    assert taken["spec"]["replicas"] == 3


@pytest.mark.parametrize("mode", MODES)
def test_one_edit_hands_back_to_the_operator(mode: str, create: Callable[..., str], llmdeployments: Call) -> None:
    name = create(scaling={"mode": "Manual"}, replicas=5)
    handed_back = llmdeployments("patch", name, {"spec": {"scaling": {"mode": mode}, "replicas": None}})
    assert handed_back["spec"]["replicas"] == 1


def test_a_change_of_something_else_is_admitted_in_auto_mode(create: Callable[..., str], llmdeployments: Call) -> None:
    name = create()
    changed = llmdeployments("patch", name, {"spec": {"slo": {"generationTokensPerSecond": 90}}})
    assert changed["metadata"]["generation"] == 2


def test_two_owners_may_each_have_a_variant(kubectl: Callable[..., str], create: Callable[..., str]) -> None:
    name = create()
    q4 = {"name": "q4", "quality": "95", "engine": {"type": "LlamaCpp"}}
    theirs = {
        "apiVersion": "tokenpace.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": {"variants": [q4]},
    }
    kubectl("apply", "--server-side", "--field-manager=somebody", "--filename=-", manifest=theirs)
    names = kubectl("get", "llmdep", name, "--output=jsonpath={.spec.variants[*].name}")
    assert sorted(names.split()) == ["q4", "q8"]
