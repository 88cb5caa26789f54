"""Whose an existing workload is: one variant of one LLMDeployment scales it. Two would undo each other. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenpace.api.reasons import ReadyReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.scale_target import ScaleTargetError
from tokenpace.cluster.writers import sizes_of
from tokenpace.controller.mirrors import Holdings


def contested(declared: Iterable[tuple[Mapping[str, Any], LLMDeploymentSpec]]) -> dict[str, ScaleTargetError]:
    """Return by UID the LLMDeployments that name a workload which another one, or another variant, named before.

    Args:
        declared: metadata and spec of every LLMDeployment. The oldest is the first, whatever the order here.
    """
    owners: dict[tuple[str, str, str, str], str] = {}
    refused = {}
    for metadata, spec in sorted(declared, key=lambda one: _age(one[0])):
        namespace, name = metadata["namespace"], metadata["name"]
        for variant in spec.ladder:
            reference = variant.scale_target_ref
            if reference is None:
                continue
            group = reference.api_version.rpartition("/")[0]  # a workload is the same in every version of its group
            claimant = f"variant {variant.name} of LLMDeployment {name}"
            owner = owners.setdefault((namespace, group, reference.kind, reference.name), claimant)
            if owner != claimant:
                message = (
                    f"spec.variants[{variant.name}].scaleTargetRef: {reference.kind} {reference.name} is scaled by "
                    f"{owner}, and two would undo each other; name another workload, or let go of it there."
                )
                refused[metadata["uid"]] = ScaleTargetError(ReadyReason.SCALE_TARGET_TAKEN, message)
    return refused


def check_names(spec: LLMDeploymentSpec, holdings: Holdings) -> None:
    """Check that no variant that brings its own workload still has one that was made for it.

    Raises:
        ScaleTargetError: replicas of the two would be taken for one another.
    """
    made = sizes_of(holdings.deployments)
    for variant in spec.variants:
        if variant.scale_target_ref is not None and variant.name in made:
            message = (
                f"spec.variants[{variant.name}].scaleTargetRef: the variant of this name still has the Deployment that "
                "tokenpace made; give the one that brings its own workload another name, and the old one retires."
            )
            raise ScaleTargetError(ReadyReason.SCALE_TARGET_TAKEN, message)


def _age(metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    return metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"]
