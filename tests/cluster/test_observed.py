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
    refused_replicas,
    without_managed_fields,
)
from tokenpace.planning.observation import Hindrance, Missing, Pod

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
    for condition in pod["status"]["conditions"][1:]:
        condition |= {"status": "False", "reason": "ContainersNotReady"}
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
        scheduled_at_seconds=_CREATED,
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
    assert _seen(pod).hindrance is Hindrance.NONE


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_starts_is_in_no_trouble(pod: Any, reason: str) -> None:
    assert _seen(_not_ready(pod, waiting={"reason": reason})).hindrance is Hindrance.NONE


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError"])
def test_a_container_that_cannot_start_is_trouble_in_the_clusters_words(pod: Any, reason: str) -> None:
    waiting = {"reason": reason, "message": "back-off 5m0s"}
    assert _seen(_not_ready(pod, waiting=waiting)).hindrance_message == f"{reason}: back-off 5m0s"


def test_an_engine_that_crashes_again_and_again_is_quoted(pod: Any) -> None:
    _not_ready(pod, waiting={"reason": "CrashLoopBackOff", "message": "back-off 10s"})
    pod["status"]["containerStatuses"][0]["lastState"] = _ended(message="loading\nerror: tensor is missing\n")
    assert (
        _seen(pod).hindrance_message
        == "CrashLoopBackOff: back-off 10s; Error, exit code 1: loading error: tensor is missing"
    )


def test_an_engine_that_starts_anew_after_a_crash_is_in_trouble_until_it_is_ready(pod: Any) -> None:
    _not_ready(pod, running={})
    pod["status"]["containerStatuses"][0]["lastState"] = _ended(exitCode=137, reason="OOMKilled")
    assert _seen(pod).hindrance_message == "OOMKilled, exit code 137"
    pod["status"]["containerStatuses"][0]["ready"] = True
    assert _seen(pod).hindrance is Hindrance.NONE


def test_of_long_last_words_the_end_is_kept(pod: Any) -> None:
    _not_ready(pod, **_ended(message="x" * 2000 + " CUDA out of memory"))
    kept = keep_pod(pod)["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"]
    assert (len(kept), kept.endswith("x CUDA out of memory")) == (300, True)


def test_an_init_container_that_is_done_is_no_trouble(pod: Any) -> None:
    pod["status"]["initContainerStatuses"] = [{"ready": True, "state": _ended(exitCode=0, reason="Completed")}]
    assert _seen(_not_ready(pod, waiting={"reason": "PodInitializing"})).hindrance is Hindrance.NONE


def test_an_engine_that_ends_because_it_is_told_to_is_no_trouble(pod: Any) -> None:
    pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:20:00Z"
    assert _seen(_not_ready(pod, **_ended(exitCode=143))).hindrance is Hindrance.NONE


def test_an_init_container_that_cannot_start_is_trouble_too(pod: Any) -> None:
    pod["status"]["initContainerStatuses"] = [{"state": {"waiting": {"reason": "ErrImagePull"}}}]
    assert _seen(_not_ready(pod, waiting={"reason": "PodInitializing"})).hindrance_message == "ErrImagePull"


def test_a_pod_that_no_node_can_take_is_trouble(pod: Any) -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    pod["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}],
    }
    assert _seen(pod).hindrance_message == f"Unschedulable: {message}"


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


# --- What keeps a pod from serving, as Kubernetes 1.34 says it


def _conditions(pod: dict[str, Any], **wanted: str) -> dict[str, Any]:
    at = "2023-11-14T22:14:00Z"
    pod["status"]["conditions"] = [
        {"type": kind, "status": status, "lastTransitionTime": at} for kind, status in wanted.items()
    ]
    return pod


def test_a_pod_whose_volumes_are_not_there_says_so_with_its_node_and_its_claims(pod: Any) -> None:
    pod["spec"] |= {
        "nodeName": "gpu-2",
        "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "weights"}}, {"name": "scratch"}],
    }
    _not_ready(pod, waiting={"reason": "ContainerCreating"})
    _conditions(pod, PodScheduled="True", PodReadyToStartContainers="False", ContainersReady="False", Ready="False")
    assert _seen(pod).hindrance is Hindrance.UNPREPARED
    message = _seen(pod).hindrance_message or ""
    assert message.startswith("its volumes or its network are not ready on node gpu-2; a claim that is ReadWriteOnce")
    assert "(weights)" in message


def test_a_pod_that_fetches_its_image_and_one_that_loads_its_model_are_told_apart(pod: Any) -> None:
    ready_to_start = {"PodReadyToStartContainers": "True", "ContainersReady": "False", "Ready": "False"}
    fetching = _conditions(_not_ready(copy.deepcopy(pod), waiting={"reason": "ContainerCreating"}), **ready_to_start)
    loading = _conditions(_not_ready(copy.deepcopy(pod), running={"startedAt": "x"}), **ready_to_start)
    assert {_seen(one).hindrance for one in (fetching, loading)} == {Hindrance.NONE}
    assert "an image is fetched" in (_seen(fetching).hindrance_message or "")
    assert "its probe has not passed yet" in (_seen(loading).hindrance_message or "")


@pytest.mark.parametrize("ready", ["False", "Unknown"])
def test_a_pod_that_lost_its_ready_but_not_its_containers_is_on_a_lost_node(pod: Any, ready: str) -> None:
    pod["spec"]["nodeName"] = "gpu-2"
    _conditions(pod, PodScheduled="True", ContainersReady="True", Ready=ready)
    assert _seen(pod).hindrance is Hindrance.LOST
    assert (_seen(pod).hindrance_message or "").startswith("NodeLost: nothing is heard of node gpu-2")
    pod["metadata"]["deletionTimestamp"] = "2023-11-14T22:20:00Z"
    assert _seen(pod).hindrance is Hindrance.LOST


def test_a_pod_with_the_reason_of_older_clusters_is_on_a_lost_node_too(pod: Any) -> None:
    pod["status"]["reason"] = "NodeLost"
    _conditions(pod, PodScheduled="True", ContainersReady="False", Ready="False")
    assert _seen(pod).hindrance is Hindrance.LOST


def test_a_pod_that_waits_for_a_readiness_gate_is_on_no_lost_node(pod: Any) -> None:
    _conditions(pod, PodScheduled="True", ContainersReady="True", Ready="False")
    pod["status"]["conditions"][2]["reason"] = "ReadinessGatesNotReady"
    assert _seen(pod).hindrance is Hindrance.NONE


def test_of_a_pod_that_is_ready_neither_place_nor_further_conditions_are_kept(pod: Any) -> None:
    pod["spec"]["nodeName"] = "gpu-2"
    kept = keep_pod(pod)
    assert kept["spec"] == {}
    assert {one["type"] for one in kept["status"]["conditions"]} == {"PodScheduled", "Ready"}


# --- Replicas that no pod is made of

_QUOTA = 'pods "chat-q8-5d9c7-x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1'
_POLICY = 'pods "chat-q8-5d9c7-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'


def _deployment(replicas: int, message: str = _QUOTA, reason: str = "FailedCreate") -> dict[str, Any]:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}
    at = {"lastUpdateTime": "2023-11-14T22:14:00Z", "lastTransitionTime": "2023-11-14T22:14:00Z"}
    progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetCreated", **at}
    return {
        "metadata": {
            "name": "chat-q8",
            "labels": {names.VARIANT_LABEL: "q8"},
            "annotations": {names.INPUTS_HASH_ANNOTATION: "0123456789abcdef"},
        },
        "spec": {"replicas": replicas},
        "status": {"conditions": [progressing, failure | at]},
    }


@pytest.mark.parametrize(("message", "hindrance"), [(_QUOTA, Hindrance.OVER_QUOTA), (_POLICY, Hindrance.REFUSED)])
def test_replicas_that_no_pod_is_made_of_are_there_in_the_clusters_words(
    pod: Any, message: str, hindrance: Hindrance
) -> None:
    refused = refused_replicas(_deployment(3, message), [pod])
    assert [one.name for one in refused] == ["chat-q8", "chat-q8"]
    assert (refused[0].hindrance, refused[0].hindrance_message) == (hindrance, f"FailedCreate: {message}")
    assert (refused[0].variant, refused[0].template_hash) == ("q8", "0123456789abcdef")
    assert refused[0].created_at_seconds == _CREATED + 40


def test_while_pods_are_renewed_one_may_be_refused_though_all_are_there(pod: Any) -> None:
    assert len(refused_replicas(_deployment(1), [pod])) == 1


@pytest.mark.parametrize(
    "deployment",
    [_deployment(0), _deployment(2, reason="FailedDelete"), _deployment(2) | {"status": {}}],
    ids=["asked for none", "a pod cannot be deleted", "no condition"],
)
def test_without_a_refusal_no_replica_is_added(deployment: dict[str, Any]) -> None:
    assert refused_replicas(deployment, []) == ()
