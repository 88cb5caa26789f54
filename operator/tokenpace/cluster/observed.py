"""What the mirrors hold, in the planner's words. Pure: plain objects in, values out."""

from collections.abc import Iterable
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
        "containerStatuses": [{"state": {"waiting": waiting}} for waiting in _waiting(status)],
    }
    return {
        "metadata": {**kept_metadata, **_chosen(metadata, ("deletionTimestamp",))},
        "status": kept_status,
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


def observed_pod(pod: Object, sample: Sample) -> Pod:
    """Return a pod as the planner sees it."""
    metadata, status = pod["metadata"], pod.get("status", {})
    return Pod(
        name=metadata["name"],
        variant=metadata.get("labels", {}).get(VARIANT_LABEL, ""),
        template_hash=metadata.get("annotations", {}).get(INPUTS_HASH_ANNOTATION, ""),
        created_at_seconds=_unix_seconds(metadata["creationTimestamp"]),
        ready_since_seconds=_ready_since_seconds(status),
        terminating="deletionTimestamp" in metadata,
        sample=sample,
        trouble=_trouble(status),
    )


def observed_replicas(deployments: Iterable[Object]) -> dict[str, int]:
    """Return the replicas that each variant's Deployment asks for, by variant."""
    return {
        variant: deployment["spec"]["replicas"]
        for deployment in deployments
        if (variant := deployment["metadata"].get("labels", {}).get(VARIANT_LABEL)) is not None
    }


def _chosen(mapping: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping[key] for key in keys if key in mapping}


def _unix_seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _ready_since_seconds(status: Object) -> float | None:
    for condition in status.get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return _unix_seconds(condition["lastTransitionTime"])
    return None


def _waiting(status: Object) -> list[Object]:
    containers = [container for key in _CONTAINER_STATUSES for container in status.get(key, ())]
    return [waiting for container in containers if (waiting := container.get("state", {}).get("waiting"))]


def _trouble(status: Object) -> str | None:
    """Return why a pod cannot start, in the cluster's words."""
    unscheduled = [
        condition
        for condition in status.get("conditions", ())
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    waiting = [one for one in _waiting(status) if one.get("reason") not in _STARTING]
    for cause in (*unscheduled, *waiting):
        return ": ".join(part for part in (cause.get("reason"), cause.get("message")) if part)
    return None
