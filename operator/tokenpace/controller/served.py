"""Which LLMDeployments this operator serves, as they are at this moment."""

from typing import Any

from tokenpace.controller.mirrors import Mirrors


def served(mirrors: Mirrors) -> list[dict[str, Any]]:
    """Return the resources that are ours to serve."""
    return [resource for resource in mirrors.resources.objects.values() if _is_ours(resource, mirrors)]


def as_it_is_now(resource: dict[str, Any], mirrors: Mirrors) -> dict[str, Any] | None:
    """Return a resource that has waited for its turn; None where it is gone, or not ours to serve any more."""
    metadata = resource["metadata"]
    current = mirrors.resources.get((metadata["namespace"], metadata["name"]))
    if current is None or current["metadata"]["uid"] != metadata["uid"]:  # a namesake is another one
        return None
    return current if _is_ours(current, mirrors) else None


def _is_ours(resource: dict[str, Any], mirrors: Mirrors) -> bool:
    metadata = resource["metadata"]
    return "deletionTimestamp" not in metadata and not mirrors.served_by_another(metadata["namespace"])
