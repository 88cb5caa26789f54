"""Promises about the operator's image: what the operator does not run is not in it, and what is in it is listed."""

import json

import pytest

from e2e.running_operator import RunningOperator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

EXTRAS = {"jinja2", "matplotlib", "numpy", "scipy", "statsmodels", "pandas"}
LIST_DISTRIBUTIONS = (
    "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)


def within(operator: RunningOperator, *command: str) -> str:
    return operator.kubectl("exec", f"pod/{operator.pod()['metadata']['name']}", "--", *command)


@pytest.fixture(scope="module")
def installed(operator: RunningOperator) -> dict[str, str]:
    """Versions by the names of what Python finds in the image."""
    found: dict[str, str] = json.loads(within(operator, "python", "-c", LIST_DISTRIBUTIONS))
    return {name.replace("_", "-").replace(".", "-"): version for name, version in found.items()}


def test_it_holds_nothing_that_only_replays_and_plots_need(installed: dict[str, str]) -> None:
    assert "tokenpace" in installed
    assert not EXTRAS & installed.keys()


def test_it_holds_nothing_that_installs_more(installed: dict[str, str]) -> None:
    assert not {"pip", "setuptools"} & installed.keys()


def test_its_bill_of_materials_names_every_package_in_its_version(
    operator: RunningOperator, installed: dict[str, str]
) -> None:
    bill = json.loads(within(operator, "cat", "/opt/tokenpace/share/sbom.cdx.json"))
    listed = {(one["name"], one["version"]) for one in [bill["metadata"]["component"], *bill["components"]]}
    assert set(installed.items()) <= listed


def test_nothing_can_be_written_where_it_runs(operator: RunningOperator) -> None:
    tried = "import os; print([p for p in ('/', '/opt/tokenpace', os.path.expanduser('~')) if os.access(p, os.W_OK)])"
    assert within(operator, "python", "-c", tried).strip() == "[]"
    assert within(operator, "id", "-u").strip() == "65532"
