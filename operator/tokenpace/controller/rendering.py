"""Everything that follows from a spec and from what its pods were rendered from before. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.kinds import Object
from tokenpace.cluster.objects import Pin, batch_limits, desired_objects, outdated_variants, template_hashes


@dataclass(frozen=True, slots=True)
class Rendering:
    """The objects of one LLMDeployment as they should be, and what they say about new pods."""

    desired: tuple[Object, ...]
    hashes: Mapping[str, str]
    """By variant, the hash of the inputs that new pods get."""
    slots: Mapping[str, int]
    """By variant, how many requests a new pod works on at once."""
    outdated: tuple[str, ...]
    """Variants whose pods this version of the operator would render otherwise than they are."""


def rendering(owner: Mapping[str, Any], spec: LLMDeploymentSpec, pins: Mapping[str, Pin]) -> Rendering:
    """Render an LLMDeployment.

    Args:
        owner: the resource's metadata: its name, its namespace and its UID.
        spec: that this version can run.
        pins: what each variant's pods are rendered from now.
    """
    resource = {"metadata": owner}
    desired = desired_objects(resource, spec, pins)
    return Rendering(
        desired=desired,
        hashes=template_hashes(desired),
        slots=batch_limits(spec, desired),
        outdated=outdated_variants(resource, spec, pins),
    )


def owner_of(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a resource's metadata its objects carry."""
    metadata = resource["metadata"]
    return {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
