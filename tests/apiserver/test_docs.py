"""What the documentation shows is admitted by a real API server."""

from typing import Any

import pytest
import yaml
from tests.docs.pages import LLM_DEPLOYMENTS, ROOT

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize(("where", "manifest"), LLM_DEPLOYMENTS, ids=[where for where, _ in LLM_DEPLOYMENTS])
def test_a_manifest_that_is_shown_is_admitted(where: str, manifest: dict[str, Any], llmdeployments: Any) -> None:
    manifest["metadata"].pop("namespace", None)
    assert llmdeployments("create", manifest, dry_run="All", field_validation="Strict"), where


def test_the_autoscaler_that_an_example_stands_beside_is_admitted(kubectl: Any) -> None:
    autoscaler = yaml.safe_load((ROOT / "examples" / "hpa" / "vllm-chat.yaml").read_text())
    advised = yaml.safe_load((ROOT / "examples" / "advisory-beside-hpa.yaml").read_text())
    kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", manifest=autoscaler)
    (variant,) = advised["spec"]["variants"]
    assert variant["scaleTargetRef"] == autoscaler["spec"]["scaleTargetRef"]
