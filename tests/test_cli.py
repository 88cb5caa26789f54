"""The commands, as a person runs them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tokenpace.api.schema import DEFINITIONS, Definition, crd_yaml
from tokenpace.cli import app
from tokenpace.controller.lookup import LookupFailedError

ROOT = Path(__file__).parent.parent
EXISTING = [ROOT / "examples" / name for name in ("existing-vllm.yaml", "advisory-beside-hpa.yaml")]
"""Those about a workload that somebody else made."""
EXAMPLES = sorted(set((ROOT / "examples").glob("*.yaml")) - set(EXISTING))
RUNNER = CliRunner()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_render_prints_the_objects_of_an_example(example: Path) -> None:
    result = RUNNER.invoke(app, ["render", str(example)])
    kinds = [document["kind"] for document in yaml.safe_load_all(result.stdout)]
    assert kinds[-2:] == ["Service", "PodDisruptionBudget"]
    assert set(kinds[:-2]) == {"Deployment"}


@pytest.mark.parametrize("example", EXISTING, ids=lambda path: path.name)
def test_render_prints_nothing_of_a_workload_that_exists_already(example: Path) -> None:
    result = RUNNER.invoke(app, ["render", str(example)])
    assert (result.exit_code, result.stdout) == (0, "")


def test_what_render_prints_asks_for_no_replicas() -> None:
    """Replicas belong to the scale subresource: applied, they would fight the operator."""
    result = RUNNER.invoke(app, ["render", str(EXAMPLES[0])])
    deployment = next(yaml.safe_load_all(result.stdout))
    assert "replicas" not in deployment["spec"]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        pytest.param("a: [", "not YAML", id="not YAML"),
        pytest.param("kind: Pod", "must be an LLMDeployment", id="another kind"),
        pytest.param("", "holds no LLMDeployment", id="nothing"),
        pytest.param(
            "{apiVersion: tokenpace.dev/v1alpha1, kind: LLMDeployment, metadata: {name: chat}, spec: {}}",
            "spec.model",
            id="a field is missing",
        ),
        pytest.param(
            "{apiVersion: tokenpace.dev/v1alpha1, kind: LLMDeployment, spec: {}}", "metadata.name", id="no name"
        ),
    ],
)
def test_render_says_what_is_wrong_with_a_manifest(manifest: str, words: str) -> None:
    result = RUNNER.invoke(app, ["render", "-"], input=manifest)
    assert (result.exit_code, words in result.stderr) == (1, True)


def test_render_of_a_file_that_is_not_there_is_an_error_and_no_traceback() -> None:
    result = RUNNER.invoke(app, ["render", "no-such-file.yaml"])
    assert (result.exit_code, "no-such-file.yaml" in result.stderr) == (1, True)


def test_crd_prints_what_is_committed() -> None:
    assert RUNNER.invoke(app, ["crd"]).stdout == "---\n".join(map(crd_yaml, DEFINITIONS))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
def test_crd_prints_the_one_that_is_asked_for(definition: Definition) -> None:
    assert RUNNER.invoke(app, ["crd", definition.plural]).stdout == crd_yaml(definition)


def test_crd_of_what_there_is_not_names_what_there_is() -> None:
    result = RUNNER.invoke(app, ["crd", "pods"])
    assert (result.exit_code, "llmspeedcards" in result.stderr) == (2, True)


def test_the_reference_of_the_fields_is_what_is_committed() -> None:
    """`make crd` writes it."""
    assert RUNNER.invoke(app, ["crd", "--reference"]).stdout == (ROOT / "docs" / "reference.md").read_text()


def test_explain_prints_what_is_said_of_a_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = yaml.safe_load(EXAMPLES[0].read_text())["spec"]

    async def found(name: str, namespace: str | None) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": namespace, "generation": 1}, "spec": spec}

    monkeypatch.setattr("tokenpace.cli.look_up", found)
    result = RUNNER.invoke(app, ["explain", "chat", "-n", "shop"])
    assert (result.exit_code, "LLMDeployment shop/chat" in result.stdout) == (0, True)


def test_explain_prints_json_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = yaml.safe_load(EXAMPLES[0].read_text())["spec"]

    async def found(name: str, namespace: str | None) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": namespace, "generation": 1}, "spec": spec}

    monkeypatch.setattr("tokenpace.cli.look_up", found)
    result = RUNNER.invoke(app, ["explain", "chat", "-n", "shop", "-o", "json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["name"], told["reported"]) == (0, "chat", "NotYet")


def test_explain_of_a_resource_that_is_not_there_is_an_error_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(*_: object) -> dict[str, Any]:
        raise LookupFailedError("there is no LLMDeployment chat")

    monkeypatch.setattr("tokenpace.cli.look_up", missing)
    result = RUNNER.invoke(app, ["explain", "chat"])
    assert (result.exit_code, result.stdout, "no LLMDeployment chat" in result.stderr) == (1, "", True)


@pytest.fixture
def one_in_the_cluster(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, bool]]:
    """A cluster with one LLMDeployment; the list says what was asked of it."""
    asked: list[tuple[str | None, bool]] = []

    async def found(namespace: str | None, *, everywhere: bool) -> list[dict[str, Any]]:
        asked.append((namespace, everywhere))
        return [{"metadata": {"name": "chat", "namespace": "shop"}, "spec": {"slo": {}}}]

    monkeypatch.setattr("tokenpace.cli.look_up_all", found)
    return asked


def test_status_prints_a_plain_table_where_no_person_looks(one_in_the_cluster: Any) -> None:
    result = RUNNER.invoke(app, ["status", "-n", "shop"])
    heading, row = result.stdout.splitlines()
    assert (result.exit_code, heading.split()[:2], row.split()[:2]) == (0, ["NAMESPACE", "NAME"], ["shop", "chat"])
    assert "\x1b" not in result.stdout
    assert one_in_the_cluster == [("shop", False)]


def test_status_cuts_nothing_where_no_person_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def long(*_: object, **__: object) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "a" * 40, "namespace": "b" * 63}, "spec": {"slo": {}}}]

    monkeypatch.setattr("tokenpace.cli.look_up_all", long)
    row = RUNNER.invoke(app, ["status"]).stdout.splitlines()[1].split()
    assert row[:2] == ["b" * 63, "a" * 40]


def test_status_prints_json_for_programs(one_in_the_cluster: Any) -> None:
    result = RUNNER.invoke(app, ["status", "--all-namespaces", "-o", "json"])
    assert json.loads(result.stdout)["items"][0]["name"] == "chat"
    assert one_in_the_cluster == [(None, True)]


def test_status_looks_again_until_it_is_interrupted(one_in_the_cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupt_the_third(_: float) -> None:
        if len(one_in_the_cluster) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tokenpace.cli.asyncio.sleep", interrupt_the_third)
    result = RUNNER.invoke(app, ["status", "--watch"])
    assert (result.exit_code, result.stdout.count("chat")) == (0, 3)


def test_status_of_a_cluster_that_cannot_be_read_is_an_error_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreadable(*_: object, **__: object) -> list[dict[str, Any]]:
        raise LookupFailedError("no cluster is configured")

    monkeypatch.setattr("tokenpace.cli.look_up_all", unreadable)
    result = RUNNER.invoke(app, ["status"])
    assert (result.exit_code, result.stdout, "no cluster is configured" in result.stderr) == (1, "", True)


def test_import_prints_an_llmdeployment_for_a_scaled_object() -> None:
    scaled = {"metadata": {"name": "chat"}, "spec": {"scaleTargetRef": {"name": "vllm-chat"}}}
    text = yaml.safe_dump({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", **scaled})
    result = RUNNER.invoke(app, ["import", "scaledobject", "-"], input=text)
    assert (result.exit_code, yaml.safe_load(result.stdout)["spec"]["scaling"]["mode"]) == (0, "Advisory")


def test_import_of_something_else_is_an_error_and_no_traceback() -> None:
    result = RUNNER.invoke(app, ["import", "scaledobject", "-"], input="kind: Pod")
    assert (result.exit_code, result.stdout, "holds no ScaledObject" in result.stderr) == (1, "", True)


def test_run_names_the_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENPACE_TICK_SECONDS", "soon")
    result = RUNNER.invoke(app, ["run"])
    assert (result.exit_code, "tick_seconds" in result.stderr) == (2, True)


def test_the_operator_starts_without_what_only_a_replay_needs() -> None:
    """Its image holds no extras."""
    lists_modules = "import sys, tokenpace.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", lists_modules], capture_output=True, check=True, text=True).stdout
    assert {"tokenpace.replay", "numpy", "matplotlib", "jinja2"} & set(loaded.split()) == set()


def test_a_replay_without_its_extra_says_how_to_install_it(tmp_path: Path) -> None:
    without = "import sys; sys.modules['numpy'] = None; from tokenpace.cli import app; app(sys.argv[1:])"
    asked = [sys.executable, "-c", without, "replay", "--out", str(tmp_path)]
    result = subprocess.run(asked, capture_output=True, check=False, text=True)
    assert (result.returncode, result.stderr) == (
        1,
        "tokenpace replay: numpy is missing: pip install 'tokenpace[replay]'\n",
    )
