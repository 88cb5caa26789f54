"""What a failed test leaves behind: resources, events and logs, for whoever has to find out why."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from e2e.kubectl import TOOLS

BROKEN_AT = pytest.StashKey[str]()
"""On a module: the first of its tests that failed."""

_KINDS = "llmdeployments,deployments,replicasets,pods,services,endpointslices,poddisruptionbudgets,events"


def keep(test: str, fixtures: Mapping[str, Any]) -> str:
    """Write down what the fixtures of a test point at, as far as they were made; return where."""
    directory = TOOLS / "e2e" / "failures" / test
    directory.mkdir(parents=True, exist_ok=True)
    if "namespace" in fixtures:
        (directory / "objects.yaml").write_text(yaml.safe_dump_all(fixtures["namespace"].list(_KINDS)))
    if "operator" in fixtures:
        (directory / "operator.jsonl").write_text(
            "".join(f"{json.dumps(line)}\n" for line in fixtures["operator"].log())
        )
    return str(directory)
