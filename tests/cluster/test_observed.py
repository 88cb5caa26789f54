import copy
from typing import Any

import pytest

from tokenpace.api import names
from tokenpace.cluster.observed import (
    has_ended,
    keep_pod,
    observed_pod,
    owner_of_pods,
    pod_owner,
    without_managed_fields,
)
from tokenpace.planning.observation import Missing, Pod

_CREATED = 1_700_000_000.0


@pytest.fixture
def pod() -> dict[str, Any]:
    """A ready pod as the API server lists it, shortened."""
    return {
        "metadata": {
            "name": "chat-q8-5d9c7-abcde",
            "namespace": "shop",
            "uid": "u",
            "creationTimestamp": "2023-11-14T22:13:20Z",
            "labels": {names.DEPLOYMENT_LABEL: "chat", names.VARIANT_LABEL: "q8", "pod-template-hash": "5d9c7"},
            "annotations": {names.INPUTS_HASH_ANNOTATION: "0123456789abcdef", "other": "x"},
            "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {"containers": [{"name": "engine"}]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2023-11-14T22:13:20Z"},
                {"type": "ContainersReady", "status": "True", "lastTransitionTime": "2023-11-14T22:13:50Z"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2023-11-14T22:13:50Z"},
            ],
            "containerStatuses": [
                {"name": "engine", "ready": True, "state": {"running": {"startedAt": "2023-11-14T22:13:30Z"}}}
            ],
        },
    }


def _seen(pod: dict[str, Any]) -> Pod:
    return observed_pod(keep_pod(pod), Missing())


def _not_ready(pod: dict[str, Any], **state: Any) -> dict[str, Any]:
    pod["status"]["conditions"][2]["status"] = "False"
    pod["status"]["containerStatuses"][0] |= {"ready": False, "state": state}
    return pod


def _ended(**terminated: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2023-11-14T22:13:30Z", **terminated}}


def test_a_ready_pod_serves_since_it_became_ready(pod: Any) -> None:
    assert _seen(pod) == Pod(
        name="chat-q8-5d9c7-abcde",
        variant="q8",
        template_hash="0123456789abcdef",
        created_at_seconds=_CREATED,
        ready_since_seconds=_CREATED + 30,
        terminating=False,
        sample=Missing(),
    )


def test_a_pod_that_is_not_ready_does_not_serve(pod: Any) -> None:
    assert not _seen(_not_ready(pod, running={})).serving


def test_a_terminating_pod_does_not_serve_although_it_is_ready(pod: Any) -> None:
    pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:20:00Z"
    assert _seen(pod).terminating
    assert not _seen(pod).serving


def test_a_pod_without_status_is_new_and_nothing_is_wrong_with_it(pod: Any) -> None:
    del pod["status"]
    assert _seen(pod).ready_since_seconds is None
    assert _seen(pod).trouble is None


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_starts_is_in_no_trouble(pod: Any, reason: str) -> None:
    assert _seen(_not_ready(pod, waiting={"reason": reason})).trouble is None


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError"])
def test_a_container_that_cannot_start_is_trouble_in_the_clusters_words(pod: Any, reason: str) -> None:
    waiting = {"reason": reason, "message": "back-off 5m0s"}
    assert _seen(_not_ready(pod, waiting=waiting)).trouble == f"{reason}: back-off 5m0s"


def test_an_engine_that_crashes_again_and_again_is_quoted(pod: Any) -> None:
    _not_ready(pod, waiting={"reason": "CrashLoopBackOff", "message": "back-off 10s"})
    pod["status"]["containerStatuses"][0]["lastState"] = _ended(message="loading\nerror: tensor is missing\n")
    assert _seen(pod).trouble == "CrashLoopBackOff: back-off 10s; Error, exit code 1: loading error: tensor is missing"


def test_an_engine_that_starts_anew_after_a_crash_is_in_trouble_until_it_is_ready(pod: Any) -> None:
    _not_ready(pod, running={})
    pod["status"]["containerStatuses"][0]["lastState"] = _ended(exitCode=137, reason="OOMKilled")
    assert _seen(pod).trouble == "OOMKilled, exit code 137"
    pod["status"]["containerStatuses"][0]["ready"] = True
    assert _seen(pod).trouble is None


def test_of_long_last_words_the_end_is_kept(pod: Any) -> None:
    _not_ready(pod, **_ended(message="x" * 2000 + " CUDA out of memory"))
    kept = keep_pod(pod)["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"]
    assert (len(kept), kept.endswith("x CUDA out of memory")) == (300, True)


def test_an_init_container_that_is_done_is_no_trouble(pod: Any) -> None:
    pod["status"]["initContainerStatuses"] = [{"ready": True, "state": _ended(exitCode=0, reason="Completed")}]
    assert _seen(_not_ready(pod, waiting={"reason": "PodInitializing"})).trouble is None


def test_an_engine_that_ends_because_it_is_told_to_is_no_trouble(pod: Any) -> None:
    pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:20:00Z"
    assert _seen(_not_ready(pod, **_ended(exitCode=143))).trouble is None


def test_an_init_container_that_cannot_start_is_trouble_too(pod: Any) -> None:
    pod["status"]["initContainerStatuses"] = [{"state": {"waiting": {"reason": "ErrImagePull"}}}]
    assert _seen(_not_ready(pod, waiting={"reason": "PodInitializing"})).trouble == "ErrImagePull"


def test_a_pod_that_no_node_can_take_is_trouble(pod: Any) -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    pod["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}],
    }
    assert _seen(pod).trouble == f"Unschedulable: {message}"


def test_pruning_changes_nothing_that_is_read(pod: Any) -> None:
    waits = _not_ready(copy.deepcopy(pod), waiting={"reason": "ErrImagePull", "message": "no"})
    ended = _not_ready(copy.deepcopy(pod), **_ended(message="y " * 400))
    for one in (pod, waits, ended):
        assert observed_pod(keep_pod(one), Missing()) == observed_pod(one, Missing())


def test_pruning_twice_changes_nothing(pod: Any) -> None:
    for one in (pod, _not_ready(copy.deepcopy(pod), **_ended(message="y " * 400))):
        assert keep_pod(keep_pod(one)) == keep_pod(one)


def test_a_pruned_pod_can_still_be_told_from_others_and_asked(pod: Any) -> None:
    kept = keep_pod(pod)
    assert (kept["metadata"]["uid"], kept["status"]["podIP"]) == ("u", "10.0.0.7")


@pytest.mark.parametrize(("phase", "ended"), [("Failed", True), ("Succeeded", True), ("Running", False)])
def test_an_evicted_pod_has_ended(pod: Any, phase: str, ended: bool) -> None:
    pod["status"]["phase"] = phase
    assert has_ended(keep_pod(pod)) is ended


def test_a_pod_belongs_to_the_llmdeployment_of_its_label(pod: Any) -> None:
    assert pod_owner(keep_pod(pod)) == owner_of_pods("shop", "chat")


def test_a_pod_without_the_label_belongs_to_nobody(pod: Any) -> None:
    del pod["metadata"]["labels"]
    assert pod_owner(keep_pod(pod)) is None


def test_the_record_of_who_set_which_field_is_dropped_and_the_original_kept_whole(pod: Any) -> None:
    assert "managedFields" not in without_managed_fields(pod)["metadata"]
    assert "managedFields" in pod["metadata"]
