"""Who wrote an object last, from the record that the API server keeps."""

from typing import Any

import pytest

from tokenpace.api.names import VARIANT_LABEL
from tokenpace.cluster.writers import keep_writers, last_other_writer, sizes_of

REPLICAS = {"f:spec": {"f:replicas": {}}}
TEMPLATE = {"f:spec": {"f:template": {"f:spec": {}}}}


def entry(manager: str, fields: dict[str, Any], time: str = "2026-11-23T08:00:00Z", **more: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": "Update",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    } | more


def deployment(*record: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "chat-q8",
            "namespace": "shop",
            "labels": {VARIANT_LABEL: "q8"},
            "managedFields": list(record),
        },
        "spec": {"replicas": 3},
    }


@pytest.mark.parametrize("manager", ["kubectl", "kubectl-edit", "kube-controller-manager", "keda"])
def test_whoever_set_the_replicas_is_named(manager: str) -> None:
    live = deployment(entry("tokenpace", TEMPLATE), entry(manager, REPLICAS, subresource="scale"))
    assert sizes_of([live])["q8"].writer == manager


def test_one_of_several_that_agree_on_the_replicas_is_us() -> None:
    live = deployment(entry("tokenpace", REPLICAS), entry("helm", REPLICAS, time="2026-11-23T09:00:00Z"))
    assert sizes_of([live])["q8"].is_ours


def test_without_a_record_nobody_is_named() -> None:
    assert sizes_of([deployment()])["q8"].writer is None


def test_the_last_of_the_others_is_named_for_an_edit() -> None:
    live = deployment(
        entry("helm", TEMPLATE),
        entry("kubectl-edit", TEMPLATE, time="2026-11-23T09:00:00Z"),
        entry("tokenpace", TEMPLATE, time="2026-11-23T10:00:00Z"),
    )
    assert last_other_writer(live) == "kubectl-edit"


def test_whoever_writes_only_status_has_edited_nothing() -> None:
    live = deployment(entry("kube-controller-manager", {"f:status": {}}, subresource="status"))
    assert last_other_writer(live) is None


def test_what_is_kept_of_the_record_says_the_same_and_is_small() -> None:
    many = {f"f:field-{number}": {} for number in range(1000)}
    live = deployment(
        entry("tokenpace", {"f:spec": many}),
        entry("keda", {"f:spec": {**many, "f:replicas": {}}}, subresource="scale"),
        entry("kube-controller-manager", {"f:status": many}, subresource="status"),
    )
    kept = keep_writers(live)
    assert (sizes_of([kept]), last_other_writer(kept)) == (sizes_of([live]), "keda")
    assert len(str(kept["metadata"]["managedFields"])) < 300
