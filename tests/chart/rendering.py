"""The chart as helm renders it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "tokenpace"

EVERYTHING: dict[str, Any] = {
    "networkPolicy.enabled": True,
    "podMonitor.enabled": True,
    "prometheusRule.enabled": True,
    "dashboard.enabled": True,
    "statusPage.enabled": True,
    "statusPage.service.enabled": True,
}
"""Switches on all that is off by default."""


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = ROOT / ".tools" / "bin" / "helm"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def template(
    values: dict[str, Any] | None = None, release: str = "tokenpace", namespace: str = "somewhere"
) -> subprocess.CompletedProcess[str]:
    sets = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    return helm("template", release, str(CHART), f"--namespace={namespace}", *sets)


def objects(
    values: dict[str, Any] | None = None, release: str = "tokenpace", namespace: str = "somewhere"
) -> list[dict[str, Any]]:
    done = template(values, release, namespace)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def of_kind(kind: str, values: dict[str, Any] | None = None, release: str = "tokenpace") -> list[dict[str, Any]]:
    return [one for one in objects(values, release) if one["kind"] == kind]


def only(kind: str, values: dict[str, Any] | None = None, release: str = "tokenpace") -> dict[str, Any]:
    (found,) = of_kind(kind, values, release)
    return found


def container(values: dict[str, Any] | None = None) -> dict[str, Any]:
    (found,) = only("Deployment", values)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found
