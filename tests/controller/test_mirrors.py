from typing import Any, cast

from tokenpace.api import names
from tokenpace.cluster.apply import Target
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.kinds import DEPLOYMENTS
from tokenpace.cluster.scale_target import ScaleTarget, ScaleTargets
from tokenpace.controller.mirrors import Holdings, Mirrors


def pod(name: str, created_at: str = "2026-01-01T10:00:00Z") -> dict[str, Any]:
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
        mirrors._pods.parts[0]._take("ADDED", seen)
    resource = {
        "metadata": {
            "namespace": "shop",
            "name": "chat",
            "uid": "uid-of-chat",
            "creationTimestamp": "2026-01-01T10:00:00Z",
        }
    }
    assert [one["metadata"]["name"] for one in mirrors.holdings(resource).pods] == ["new"]


def test_without_namespaces_each_kind_is_mirrored_once_for_the_whole_cluster() -> None:
    mirrors = Mirrors(cast("ApiClient", None), on_change=lambda: None)
    assert {mirror._namespace for mirror in mirrors.by_name.values()} == {None}


def test_with_namespaces_each_kind_is_mirrored_in_each_of_them_and_nowhere_else() -> None:
    mirrors = Mirrors(cast("ApiClient", None), on_change=lambda: None, namespaces=("shop", "lab"))
    assert {f"{mirror._kind.plural} {mirror._namespace}" for mirror in mirrors.by_name.values()} == {
        f"{plural} {namespace}"
        for plural in ("llmdeployments", "llmspeedcards", "deployments", "services", "poddisruptionbudgets", "pods")
        for namespace in ("shop", "lab")
    }


def test_what_two_namespaces_hold_is_read_as_one() -> None:
    mirrors = Mirrors(cast("ApiClient", None), on_change=lambda: None, namespaces=("shop", "lab"))
    for part in mirrors._pods.parts:
        seen = pod("chat-q8-1")
        seen["metadata"]["namespace"] = part._namespace
        part._take("ADDED", seen)
    assert set(mirrors._pods.objects) == {("shop", "chat-q8-1"), ("lab", "chat-q8-1")}


def test_a_pod_that_a_variant_brings_counts_once_though_it_carries_our_label() -> None:
    """So that our Service may reach it."""
    target = Target(DEPLOYMENTS, "shop", "vllm")
    brought = ScaleTarget(target=target, replicas=1, pods=(pod("theirs"),))
    holdings = Holdings(deployments=(), others=(), pods=(pod("ours"), pod("theirs")))
    with_targets = holdings.with_targets(ScaleTargets({"today": brought}))
    assert [one["metadata"]["name"] for one in with_targets.pods] == ["ours", "theirs"]
