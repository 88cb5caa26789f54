"""What the mirrors hold, in the planner's words. Pure: plain objects in, values out."""

from datetime import datetime
from typing import Any

from tokenpace.api.names import DEPLOYMENT_LABEL, INPUTS_HASH_ANNOTATION, VARIANT_LABEL
from tokenpace.cluster.kinds import Object
from tokenpace.planning.observation import Pod, Sample

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Why a container waits while nothing is wrong."""

_ENDED = frozenset({"Succeeded", "Failed"})
_POD_CONDITIONS = frozenset({"Ready", "PodScheduled"})
_CONTAINER_STATUSES = ("initContainerStatuses", "containerStatuses")
_LAST_WORDS = ("reason", "exitCode", "message")

_LONGEST_LAST_WORDS = 300
"""Characters kept of a container's last output, from its end, where the error is. A pod keeps up to 2,048."""


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
        "conditions": [one for one in status.get("conditions", ()) if one["type"] in _POD_CONDITIONS],
        "containerStatuses": [_keep_container(one) for one in _unready_containers(status)],
    }
    return {
        "metadata": {**kept_metadata, **_chosen(metadata, ("uid", "deletionTimestamp"))},
        "status": {**kept_status, **_chosen(status, ("podIP",))},
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


def variant_of(pod: Object) -> str:
    """Return the variant that a pod is of; none is the empty one."""
    variant: str = pod["metadata"].get("labels", {}).get(VARIANT_LABEL, "")
    return variant


def template_hash_of(pod: Object) -> str:
    """Return the hash of the user's inputs that a pod was rendered from; of one that is not ours the empty one."""
    template_hash: str = pod["metadata"].get("annotations", {}).get(INPUTS_HASH_ANNOTATION, "")
    return template_hash


def observed_pod(pod: Object, sample: Sample) -> Pod:
    """Return a pod as the planner sees it."""
    metadata, status = pod["metadata"], pod.get("status", {})
    terminating = "deletionTimestamp" in metadata
    return Pod(
        name=metadata["name"],
        variant=variant_of(pod),
        template_hash=template_hash_of(pod),
        created_at_seconds=_unix_seconds(metadata["creationTimestamp"]),
        ready_since_seconds=_ready_since_seconds(status),
        terminating=terminating,
        sample=sample,
        trouble=None if terminating else _trouble(status),  # its containers end because they are told to
    )


def _chosen(mapping: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def _unix_seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _ready_since_seconds(status: Object) -> float | None:
    for condition in status.get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return _unix_seconds(condition["lastTransitionTime"])
    return None


def _unready_containers(status: Object) -> list[Object]:
    """Return the containers that are not there yet, or not any more; an init container that is done is ready."""
    containers = (container for key in _CONTAINER_STATUSES for container in status.get(key, ()))
    return [container for container in containers if not container.get("ready", False)]


def _keep_container(container: Object) -> Object:
    """Return of a container that is not ready why it waits and how it ended, now or the last time."""
    kept: Object = {"state": _chosen(container.get("state", {}), ("waiting",))}
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


def _trouble(status: Object) -> str | None:
    """Return why a pod cannot start, in the cluster's words and then in the last ones of its engine."""
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _joined(condition.get("reason"), condition.get("message"))
    for container in _unready_containers(status):
        waiting, ended = container.get("state", {}).get("waiting", {}), _ended(container)
        blocked = None if waiting.get("reason") in _STARTING else _joined(waiting.get("reason"), waiting.get("message"))
        if blocked or ended:
            return "; ".join(part for part in (blocked, _last_words(ended)) if part)
    return None


def _last_words(ended: Object | None) -> str | None:
    if ended is None:
        return None
    return _joined(f"{ended.get('reason', 'Ended')}, exit code {ended.get('exitCode')}", ended["message"])


def _joined(reason: str | None, message: str | None) -> str | None:
    return ": ".join(part for part in (reason, message) if part) or None
