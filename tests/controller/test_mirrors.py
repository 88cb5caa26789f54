from typing import Any, cast

from tokenpace.api import names
from tokenpace.cluster.client import ApiClient
from tokenpace.controller.mirrors import Mirrors


def pod(name: str, created_at: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "resourceVersion": "1",
            "creationTimestamp": created_at,
            "labels": {names.DEPLOYMENT_LABEL: "chat"},
        },
        "status": {"phase": "Running"},
    }


def test_pods_of_a_deleted_namesake_are_not_inherited() -> None:
    mirrors = Mirrors(cast("ApiClient", None), on_change=lambda: None)
    for seen in (pod("old", "2026-01-01T09:59:59Z"), pod("new", "2026-01-01T10:00:00Z")):
        mirrors._pods._take("ADDED", seen)
    resource = {
        "metadata": {
            "namespace": "shop",
            "name": "chat",
            "uid": "uid-of-chat",
            "creationTimestamp": "2026-01-01T10:00:00Z",
        }
    }
    assert [one["metadata"]["name"] for one in mirrors.holdings(resource).pods] == ["new"]
