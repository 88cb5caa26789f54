"""Who wrote an object last, from the API server's own record (`metadata.managedFields`). Pure.

Kubernetes, "Server-Side Apply": each entry names a manager and the fields that it set last; a field that somebody else
changes leaves the entry of whoever had it. ``kubectl scale`` writes as ``kubectl``, ``kubectl edit`` as
``kubectl-edit``, a HorizontalPodAutoscaler as ``kube-controller-manager``, KEDA as ``keda``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenpace.api.names import FIELD_MANAGER, VARIANT_LABEL
from tokenpace.cluster.apply import Target, target_of
from tokenpace.cluster.kinds import Object


@dataclass(frozen=True, slots=True)
class Size:
    """The replicas that a workload asks for, and who has set them."""

    target: Target
    replicas: int
    writer: str | None
    """None where nobody says, as the scale subresource does not."""

    @property
    def is_ours(self) -> bool:
        """Whether an operator of this kind has set it."""
        return self.writer == FIELD_MANAGER


def keep_writers(stored: Object) -> Object:
    """Return an object with no more of the record than its writers, and which of them set its replicas.

    The whole record is often more than half of an object. Whoever writes status alone is left out.
    """
    record = stored["metadata"].get("managedFields", ())
    kept = [_kept(entry) for entry in record if entry.get("subresource") != "status"]
    return {**stored, "metadata": {**stored["metadata"], "managedFields": kept}}


def sizes_of(deployments: Iterable[Object]) -> dict[str, Size]:
    """Return the size of each variant's Deployment."""
    return {
        variant: Size(target_of(deployment), deployment["spec"].get("replicas", 0), _size_writer(deployment))
        for deployment in deployments
        if (variant := deployment["metadata"].get("labels", {}).get(VARIANT_LABEL)) is not None
    }


def last_other_writer(live: Object) -> str | None:
    """Return who besides us wrote an object last; None where the record names nobody, as for an admission webhook."""
    others = [entry for entry in _entries(live) if entry.get("manager") != FIELD_MANAGER]
    return _latest(others)


def _size_writer(live: Object) -> str | None:
    """Return who set the replicas. Of several that agree on them, us."""
    owners = [entry for entry in _entries(live) if _sets_replicas(entry)]
    return FIELD_MANAGER if any(one.get("manager") == FIELD_MANAGER for one in owners) else _latest(owners)


def _entries(live: Object) -> list[Mapping[str, Any]]:
    return [one for one in live["metadata"].get("managedFields", ()) if one.get("subresource") != "status"]


def _latest(entries: Iterable[Mapping[str, Any]]) -> str | None:
    latest = max(entries, key=lambda entry: str(entry.get("time", "")), default=None)
    return None if latest is None else latest.get("manager")


def _sets_replicas(entry: Mapping[str, Any]) -> bool:
    return "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})


def _kept(entry: Mapping[str, Any]) -> Object:
    kept = {key: entry[key] for key in ("manager", "time") if key in entry}
    return {**kept, "fieldsV1": {"f:spec": {"f:replicas": {}}}} if _sets_replicas(entry) else kept
