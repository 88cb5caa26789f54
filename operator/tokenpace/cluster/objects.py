"""What should be: the objects of one LLMDeployment. Pure, and the same for the same arguments, to the byte.

Pods of large models take minutes to start and hold GPUs, so what a variant's pods are made of changes only when the
user's inputs do. The template that was applied is kept on the Deployment; another version of the operator, with
another default image or other flags, finds it there and leaves the pods alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from tokenpace.api import names
from tokenpace.api.fields import ApiModel
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant
from tokenpace.cluster.kinds import Object
from tokenpace.engines.engine import HTTP_PORT, Launch
from tokenpace.engines.registry import adapter_of, problems

SERVICE_PORT = 80

_ROLLOUT_DEADLINE_SECONDS = 1800
"""Downloading and loading a large model takes tens of minutes; Kubernetes' default of 600 would call that a failure.
Nothing is undone at the deadline: the Deployment only says that it is stuck."""

_RENDERED = {
    **dict.fromkeys(("engine", "quantization", "resources", "pod_template"), True),
    "custom": {"port", "health_path", "metrics_path"},
}
"""What of a variant its pods are made of."""

_NO_PINS: Mapping[str, "Pin"] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a variant's pods were rendered from and into, as their Deployment remembers it."""

    inputs_hash: str
    template: Object


def inputs_hash(spec: LLMDeploymentSpec, variant: Variant) -> str:
    """Return a hash of everything a user declares that a pod of this variant is made of.

    Values that equal a default are left out, so that a field which a later version adds changes no hash.
    """
    inputs = {
        "model": _declared(spec.model, exclude={"source"}),
        "source": _declared(variant.source or spec.model.source),
        "variant": _respelled(_declared(variant, include=_RENDERED)),
    }
    return hashlib.sha256(_canonical(inputs).encode()).hexdigest()[:16]


def desired_objects(
    resource: Mapping[str, Any],
    spec: LLMDeploymentSpec,
    pins: Mapping[str, Pin] = _NO_PINS,
) -> tuple[Object, ...]:
    """Return the Deployments (one a variant, without replicas), the Service and the PodDisruptionBudget.

    Where every variant brings its own workload, nothing: whoever made those has put a Service in front of them.

    Args:
        resource: the LLMDeployment; without a UID (a manifest that no cluster has seen) nothing is owned.
        spec: its spec. A variant that brings its own workload has no Deployment. One that its engine cannot run must
            have a pin, and keeps it.
        pins: what each variant's pods are rendered from now, from `pins_of`.
    """
    deployments = tuple(
        _deployment(resource, variant, _current_pin(resource, spec, variant, pins)) for variant in _launched(spec)
    )
    return (*deployments, _service(resource), _disruption_budget(resource)) if deployments else ()


def pins_of(deployments: Iterable[Object]) -> dict[str, Pin]:
    """Return by variant what the Deployments of an LLMDeployment remember; one that remembers nothing is left out."""
    pins = {}
    for deployment in deployments:
        metadata = deployment["metadata"]
        variant, annotations = metadata.get("labels", {}).get(names.VARIANT_LABEL), metadata.get("annotations", {})
        try:
            pins[variant] = Pin(
                inputs_hash=annotations[names.INPUTS_HASH_ANNOTATION],
                template=json.loads(annotations[names.APPLIED_TEMPLATE_ANNOTATION]),
            )
        except (KeyError, ValueError):  # created a moment ago, or edited by hand: rendered anew
            continue
    return pins


def template_hashes(desired: Iterable[Object]) -> dict[str, str]:
    """Return the inputs hash that new pods of each variant get."""
    return {
        variant: body["metadata"]["annotations"][names.INPUTS_HASH_ANNOTATION]
        for variant, body in _deployments(desired).items()
    }


def batch_limits(spec: LLMDeploymentSpec, desired: Iterable[Object]) -> dict[str, int]:
    """Return by variant how many requests a new pod works on at once, where its engine is told so."""
    deployments = _deployments(desired)
    limits = {
        variant.name: adapter_of(variant).batch_limit(deployments[variant.name]["spec"]["template"])
        for variant in _launched(spec)
    }
    return {name: limit for name, limit in limits.items() if limit is not None}


def outdated_variants(resource: Mapping[str, Any], spec: LLMDeploymentSpec, pins: Mapping[str, Pin]) -> tuple[str, ...]:
    """Return the variants whose pods this version of the operator would render otherwise than they are."""
    return tuple(
        variant.name
        for variant in _launched(spec)
        if (pin := pins.get(variant.name)) is not None
        and pin.inputs_hash == inputs_hash(spec, variant)
        and pin != _rendered(resource, spec, variant)
    )


def _deployments(desired: Iterable[Object]) -> dict[str, Object]:
    return {body["metadata"]["labels"][names.VARIANT_LABEL]: body for body in desired if body["kind"] == "Deployment"}


def _launched(spec: LLMDeploymentSpec) -> list[Variant]:
    return [variant for variant in spec.ladder if variant.engine is not None]


def _current_pin(
    resource: Mapping[str, Any],
    spec: LLMDeploymentSpec,
    variant: Variant,
    pins: Mapping[str, Pin],
) -> Pin:
    pin = pins.get(variant.name)
    if pin is not None and (pin.inputs_hash == inputs_hash(spec, variant) or problems(spec, variant)):
        return pin  # also what cannot be rendered any more: pods that serve are not given up for a typo
    return _rendered(resource, spec, variant)


def _rendered(resource: Mapping[str, Any], spec: LLMDeploymentSpec, variant: Variant) -> Pin:
    """Render a variant's pods as this version of the operator does."""
    engine, source = variant.engine, variant.source or spec.model.source
    if engine is None or source is None:
        raise ValueError(f"variant {variant.name} has no engine or no source; admission refuses that")
    adapter = adapter_of(variant)
    image = engine.image or adapter.default_image(variant)
    if image is None:
        raise ValueError(f"variant {variant.name} has no image; `problems` says so")
    launch = Launch(spec=spec, variant=variant, source=source, image=image)
    digest = inputs_hash(spec, variant)
    template = adapter.pod_template(launch)
    metadata = template.get("metadata", {})
    labels = {**metadata.get("labels", {}), **names.variant_labels(resource["metadata"]["name"], variant.name)}
    annotations = {**metadata.get("annotations", {}), names.INPUTS_HASH_ANNOTATION: digest}
    labelled = {**template, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
    return Pin(inputs_hash=digest, template=labelled)


def _deployment(resource: Mapping[str, Any], variant: Variant, pin: Pin) -> Object:
    name = resource["metadata"]["name"]
    annotations = {
        names.INPUTS_HASH_ANNOTATION: pin.inputs_hash,
        names.APPLIED_TEMPLATE_ANNOTATION: _canonical(pin.template),
    }
    metadata = _metadata(resource, names.workload_name(name, variant.name), names.variant_labels(name, variant.name))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            "selector": {"matchLabels": names.variant_selector(name, variant.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": _ROLLOUT_DEADLINE_SECONDS,
            "revisionHistoryLimit": 2,
            "template": pin.template,
        },
    }


def _service(resource: Mapping[str, Any]) -> Object:
    """Return the Service in front of every variant: a switch of variant is invisible to clients."""
    name = resource["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(resource, names.service_name(name), names.fleet_labels(name)),
        "spec": {
            "selector": names.fleet_selector(name),
            "ports": [{"name": HTTP_PORT, "port": SERVICE_PORT, "protocol": "TCP", "targetPort": HTTP_PORT}],
        },
    }


def _disruption_budget(resource: Mapping[str, Any]) -> Object:
    """Return the limit of one pod at a time for drained nodes; a pod that is not ready may always be evicted."""
    name = resource["metadata"]["name"]
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(resource, names.disruption_budget_name(name), names.fleet_labels(name)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": names.fleet_selector(name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _metadata(resource: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> Object:
    """Return the metadata of an object that goes when its LLMDeployment goes, without holding it up."""
    owner = resource["metadata"]
    metadata: Object = {"name": name, "labels": dict(labels)}
    if "namespace" in owner:
        metadata["namespace"] = owner["namespace"]
    if "uid" in owner:
        metadata["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": owner["name"],
                "uid": owner["uid"],
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]
    return metadata


def _declared(model: ApiModel | None, **fields: Any) -> Any:
    return None if model is None else model.model_dump(mode="json", by_alias=True, exclude_defaults=True, **fields)


def _respelled(variant: Object) -> Object:
    """Return a declared variant in one spelling: environment by name, and `cpu: 4` as `cpu: "4"`."""
    variant.get("engine", {}).get("env", []).sort(key=itemgetter("name"))
    for amounts in variant.get("resources", {}).values():
        amounts.update({name: str(amount) for name, amount in amounts.items()})
    return variant


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
