"""What the documentation shows is as it says: manifests, commands, values, links."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from tests.docs.pages import LLM_DEPLOYMENTS, PAGES, ROOT, blocks, prose

from tokenpace.api import reasons
from tokenpace.api.resource import LLMDeployment
from tokenpace.cli import app
from tokenpace.controller.manifest import runnable_spec

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize(("where", "manifest"), LLM_DEPLOYMENTS, ids=[where for where, _ in LLM_DEPLOYMENTS])
def test_a_manifest_that_is_shown_can_be_served(where: str, manifest: dict[str, Any]) -> None:
    runnable_spec(LLMDeployment.model_validate(manifest).spec)
    assert where


@pytest.mark.parametrize(("where", "manifest"), LLM_DEPLOYMENTS, ids=[where for where, _ in LLM_DEPLOYMENTS])
def test_a_manifest_that_is_shown_has_no_field_that_the_schema_does_not_know(
    where: str, manifest: dict[str, Any]
) -> None:
    """The models ignore unknown fields; the API server would refuse them."""
    crd = yaml.safe_load((ROOT / "crds" / "tokenpace.dev_llmdeployments.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert list(unknown(manifest["spec"], schema)) == [], where


def unknown(value: Any, schema: dict[str, Any], path: str = "spec") -> list[str]:
    if isinstance(value, list):
        return [found for inner in value for found in unknown(inner, schema.get("items", {}), f"{path}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = [f"{path}.{key}" for key in value.keys() - schema["properties"].keys()]
    for key in value.keys() & schema["properties"].keys():
        found += unknown(value[key], schema["properties"][key], f"{path}.{key}")
    return found


@on_every_page
def test_every_yaml_block_is_yaml(page: Path) -> None:
    for block in blocks(page, "yaml"):
        list(yaml.safe_load_all(block))


@on_every_page
def test_every_command_of_ours_that_is_shown_exists(page: Path) -> None:
    shown = {
        name
        for block in blocks(page, "console")
        for name in re.findall(r"(?:^\$ |-- |\| )(?:kubectl )?tokenpace (\w+)", block, flags=re.MULTILINE)
    }
    assert shown <= COMMANDS.keys()


@on_every_page
def test_every_value_of_the_chart_that_is_set_exists(page: Path) -> None:
    values = yaml.safe_load((ROOT / "charts" / "tokenpace" / "values.yaml").read_text())
    for block in blocks(page, "console"):
        for path in re.findall(r"--set ([\w.]+)=", block):
            first, *rest = path.split(".")
            assert first in values, path
            if rest:
                assert rest[0] in values[first], path


@on_every_page
def test_no_upgrade_is_shown_that_leaves_out_the_defaults_of_new_values(page: Path) -> None:
    """`--reuse-values` keeps the old chart's: a value that the new one adds is nil in its templates."""
    assert not [block for block in blocks(page, "console") if " --reuse-values" in block]


@on_every_page
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", prose(page)):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{target} of {page.name}"
        if anchor:
            assert anchor.removeprefix("#") in anchors(path), f"{anchor} of {path.name}, from {page.name}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == {name for name in pages if f"({name})" in contents}


def test_troubleshooting_names_only_reasons_that_the_operator_gives() -> None:
    known = {reason.value for one in vars(reasons).values() if isinstance(one, type) for reason in one}  # type: ignore[attr-defined]
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert set(re.findall(r"^\| `\w+` (?:True|False|Unknown), `(\w+)`", text, flags=re.MULTILINE)) <= known


def test_troubleshooting_knows_every_way_in_which_scaling_is_limited() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    told = {one for one in reasons.ScalingLimitedReason if f"`{one}`" in text}
    assert told == set(reasons.ScalingLimitedReason) - {"NotLimited"}
