"""What the mirrors hold, in the planner's words. Pure: plain objects in, values out."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tokenpace.api.names import DEPLOYMENT_LABEL, INPUTS_HASH_ANNOTATION, VARIANT_LABEL
from tokenpace.cluster.kinds import Object
from tokenpace.planning.observation import Hindrance, Missing, Pod, Sample

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Why a container waits while nothing is wrong."""

_ENDED = frozenset({"Succeeded", "Failed"})
_POD_CONDITIONS = frozenset({"Ready", "PodScheduled"})
_UNREADY_POD_CONDITIONS = _POD_CONDITIONS | {"ContainersReady", "PodReadyToStartContainers"}
_CONTAINER_STATUSES = ("initContainerStatuses", "containerStatuses")
_LAST_WORDS = ("reason", "exitCode", "message")

_QUOTA = "exceeded quota"
"""What the ResourceQuota admission plugin says in every refusal."""

_LONGEST_LAST_WORDS = 300
"""Characters kept of a container's last output, from its end, where the error is. A pod keeps up to 2,048."""


class _Plight(NamedTuple):
    """What keeps a pod from serving, and in which words."""

    hindrance: Hindrance
    message: str | None


_NOTHING = _Plight(Hindrance.NONE, None)


def without_managed_fields(stored: Object) -> Object:
    """Return an object without the record of who set which field, which is often more than half of it."""
    metadata = {key: value for key, value in stored["metadata"].items() if key != "managedFields"}
    return {**stored, "metadata": metadata}


def keep_pod(stored: Object) -> Object:
    """Return the part of a pod that `observed_pod` reads: a fifteenth of it."""
    metadata, status = stored["metadata"], stored.get("status", {})
    kept_metadata: dict[str, Any] = {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "creationTimestamp": metadata["creationTimestamp"],
        "labels": _chosen(metadata.get("labels", {}), (DEPLOYMENT_LABEL, VARIANT_LABEL)),
        "annotations": _chosen(metadata.get("annotations", {}), (INPUTS_HASH_ANNOTATION,)),
    }
    kept_status: dict[str, Any] = {
        "phase": status.get("phase"),
        "containerStatuses": [_keep_container(one) for one in _unready_containers(status)],
    }
    is_ready = _condition(status, "Ready").get("status") == "True"
    read = _POD_CONDITIONS if is_ready else _UNREADY_POD_CONDITIONS
    kept_status["conditions"] = [one for one in status.get("conditions", ()) if one["type"] in read]
    return {
        "metadata": {**kept_metadata, **_chosen(metadata, ("uid", "deletionTimestamp"))},
        "spec": {} if is_ready else _keep_place(stored.get("spec", {})),
        "status": {**kept_status, **_chosen(status, ("podIP", "reason"))},
    }


def pod_owner(pod: Object) -> str | None:
    """Return the LLMDeployment that a pod belongs to, as `owner_of_pods` writes it.

    Pods are told by their label, as the Service does: between a pod and its LLMDeployment stand a ReplicaSet and a
    Deployment.
    """
    metadata = pod["metadata"]
    name = metadata.get("labels", {}).get(DEPLOYMENT_LABEL)
    return None if name is None else owner_of_pods(metadata["namespace"], name)


def owner_of_pods(namespace: str, name: str) -> str:
    """Return what `Mirror.by_owner` finds the pods of an LLMDeployment by."""
    return f"{namespace}/{name}"


def has_ended(pod: Object) -> bool:
    """Tell whether a pod has ended for good (evicted, for example): it stays listed and is no replica."""
    return pod["status"].get("phase") in _ENDED


def is_serving(pod: Object) -> bool:
    """Tell whether a pod gets requests: it is ready, and nobody has told it to end."""
    is_ready = _condition(pod.get("status", {}), "Ready").get("status") == "True"
    return is_ready and "deletionTimestamp" not in pod["metadata"]


def variant_of(stored: Mapping[str, Any]) -> str:
    """Return the variant that a pod or another object is of; none is the empty one."""
    variant: str = stored["metadata"].get("labels", {}).get(VARIANT_LABEL, "")
    return variant


def template_hash_of(stored: Mapping[str, Any]) -> str:
    """Return the hash of the user's inputs that it was rendered from; of what is not ours the empty one."""
    template_hash: str = stored["metadata"].get("annotations", {}).get(INPUTS_HASH_ANNOTATION, "")
    return template_hash


def observed_pod(pod: Object, sample: Sample) -> Pod:
    """Return a pod as the planner sees it."""
    metadata, status = pod["metadata"], pod.get("status", {})
    terminating = "deletionTimestamp" in metadata
    ready_since_seconds = _since_seconds(status, "Ready", "True")
    plight = _plight(pod, terminating=terminating) if ready_since_seconds is None else _NOTHING
    return Pod(
        name=metadata["name"],
        variant=variant_of(pod),
        template_hash=template_hash_of(pod),
        created_at_seconds=_unix_seconds(metadata["creationTimestamp"]),
        ready_since_seconds=ready_since_seconds,
        terminating=terminating,
        sample=sample,
        scheduled_at_seconds=_since_seconds(status, "PodScheduled", "True"),
        unready_since_seconds=_since_seconds(status, "Ready", "False"),
        ends_by_seconds=_unix_seconds(metadata["deletionTimestamp"]) if terminating else None,
        hindrance=plight.hindrance,
        hindrance_message=plight.message,
    )


def refused_replicas(deployment: Object, pods: Collection[Object]) -> tuple[Pod, ...]:
    """Return the replicas of a Deployment that the cluster makes no pod of, as a quota or a policy has it.

    Nothing but a condition tells of them: a ReplicaSet that may not make a pod says so, and its Deployment repeats it.
    While pods are renewed one of them may be refused though as many are there as are asked for.
    """
    metadata, failure = deployment["metadata"], _condition(deployment.get("status", {}), "ReplicaFailure")
    replicas: int = deployment["spec"].get("replicas", 0)
    if not replicas or (failure.get("status"), failure.get("reason")) != ("True", "FailedCreate"):
        return ()
    variant = variant_of(deployment)
    there = sum(variant_of(pod) == variant and "deletionTimestamp" not in pod["metadata"] for pod in pods)
    refused = Pod(
        name=metadata["name"],
        variant=variant,
        template_hash=template_hash_of(deployment),
        created_at_seconds=_unix_seconds(failure["lastTransitionTime"]),
        ready_since_seconds=None,
        terminating=False,
        sample=Missing(),
        hindrance=Hindrance.OVER_QUOTA if _QUOTA in failure.get("message", "") else Hindrance.REFUSED,
        hindrance_message=_joined(failure["reason"], failure.get("message")),
    )
    return (refused,) * max(replicas - there, 1)


def _chosen(mapping: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def _unix_seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _condition(status: Object, kind: str) -> Object:
    """Return a condition; an empty one where there is none."""
    return next((one for one in status.get("conditions", ()) if one["type"] == kind), {})


def _since_seconds(status: Object, kind: str, value: str) -> float | None:
    """Return since when a condition has had a value; None if it has another one."""
    condition = _condition(status, kind)
    since = condition.get("lastTransitionTime") if condition.get("status") == value else None
    return None if since is None else _unix_seconds(since)


def _keep_place(spec: Object) -> Object:
    """Return of a pod's spec which node it is on, and which claims it mounts."""
    claims = [one for one in spec.get("volumes", ()) if "persistentVolumeClaim" in one]
    return {**_chosen(spec, ("nodeName",)), **({"volumes": claims} if claims else {})}


def _unready_containers(status: Object) -> list[Object]:
    """Return the containers that are not there yet, or not any more; an init container that is done is ready."""
    containers = (container for key in _CONTAINER_STATUSES for container in status.get(key, ()))
    return [container for container in containers if not container.get("ready", False)]


def _keep_container(container: Object) -> Object:
    """Return of a container that is not ready why it waits and how it ended, now or the last time."""
    state = container.get("state", {})
    kept: Object = {"state": {**_chosen(state, ("waiting",)), **({"running": {}} if "running" in state else {})}}
    ended = _ended(container)
    return {**kept, "lastState": {"terminated": ended}} if ended else kept


def _ended(container: Object) -> Object | None:
    """Return how a container ended: with its exit code, its reason and the end of what it had to say."""
    for state in ("state", "lastState"):
        terminated = container.get(state, {}).get("terminated")
        if terminated is not None:
            kept = _chosen(terminated, _LAST_WORDS)
            return {**kept, "message": " ".join(kept.get("message", "").split())[-_LONGEST_LAST_WORDS:].lstrip()}
    return None


def _plight(pod: Object, *, terminating: bool) -> _Plight:
    """Return what keeps a pod from being Ready, as far as its status tells."""
    status, spec = pod.get("status", {}), pod.get("spec", {})
    on_node = f"node {spec.get('nodeName', 'unknown')}"
    if _is_lost(status):
        cure = f"if it is gone for good, `kubectl delete node {spec.get('nodeName', 'NAME')}` ends its pods"
        return _Plight(Hindrance.LOST, f"NodeLost: nothing is heard of {on_node} any more; {cure}")
    if terminating:  # its containers end because they are told to
        return _NOTHING
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return _Plight(Hindrance.UNSCHEDULABLE, _joined(scheduled.get("reason"), scheduled.get("message")))
    blocked = _blocked(status)
    if blocked:
        return _Plight(Hindrance.BLOCKED, blocked)
    if _condition(status, "PodReadyToStartContainers").get("status") == "False":
        return _Plight(Hindrance.UNPREPARED, f"its volumes or its network are not ready on {on_node}{_claims(spec)}")
    return _Plight(Hindrance.NONE, _progress(status))


def _is_lost(status: Object) -> bool:
    """Tell whether a pod's node is not heard of.

    Then the node controller takes Ready back, and nothing else: what the kubelet said of the containers stays. A
    kubelet that says so itself names a readiness gate. Before Kubernetes 1.27 the pod could get a reason, too.
    """
    ready, containers = _condition(status, "Ready"), _condition(status, "ContainersReady")
    taken_back = ready.get("status") == "False" and ready.get("reason") != "ReadinessGatesNotReady"
    return (
        status.get("reason") == "NodeLost"
        or ready.get("status") == "Unknown"
        or (taken_back and containers.get("status") == "True")
    )


def _blocked(status: Object) -> str | None:
    """Return why containers cannot start, in the cluster's words and then in the last ones of the engine."""
    for container in _unready_containers(status):
        waiting, ended = container.get("state", {}).get("waiting", {}), _ended(container)
        blocked = None if waiting.get("reason") in _STARTING else _joined(waiting.get("reason"), waiting.get("message"))
        if blocked or ended:
            return "; ".join(part for part in (blocked, _last_words(ended)) if part)
    return None


def _claims(spec: Object) -> str:
    """Return what to do about a claim that another node may hold, as the end of a sentence; nothing without claims."""
    names = [one["persistentVolumeClaim"].get("claimName", "") for one in spec.get("volumes", ())]
    if not names:
        return ""
    return (
        f"; a claim that is ReadWriteOnce ({', '.join(names)}) can be on one node at a time: make it ReadWriteMany, or "
        "keep the pods on one node (`podTemplate`)"
    )


def _progress(status: Object) -> str | None:
    """Return how far a pod has come of which nothing says that it cannot start."""
    for container in _unready_containers(status):
        state = container.get("state", {})
        if "running" in state:
            return "its container runs, and its probe has not passed yet: a model is loaded, or it hangs"
        if state.get("waiting", {}).get("reason") in _STARTING:
            return "its container is not there yet: an image is fetched"
    return None


def _last_words(ended: Object | None) -> str | None:
    if ended is None:
        return None
    return _joined(f"{ended.get('reason', 'Ended')}, exit code {ended.get('exitCode')}", ended["message"])


def _joined(reason: str | None, message: str | None) -> str | None:
    return ": ".join(part for part in (reason, message) if part) or None
