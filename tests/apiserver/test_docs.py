"""What the documentation shows is admitted by a real API server."""

from typing import Any

import pytest
from tests.docs.pages import LLM_DEPLOYMENTS

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize(("where", "manifest"), LLM_DEPLOYMENTS, ids=[where for where, _ in LLM_DEPLOYMENTS])
def test_a_manifest_that_is_shown_is_admitted(where: str, manifest: dict[str, Any], llmdeployments: Any) -> None:
    manifest["metadata"].pop("namespace", None)
    assert llmdeployments("create", manifest, dry_run="All", field_validation="Strict"), where
