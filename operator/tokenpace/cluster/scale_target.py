"""Workloads that exist already: read and resized through their scale subresource, and otherwise left alone.

Deployments, StatefulSets, LeaderWorkerSets, any custom resource with a scale subresource: it tells the replicas and how
the pods are found, which is all that is needed. Nothing is rendered, labelled, owned or deleted here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from tokenpace.api.names import DEPLOYMENT_LABEL, INPUTS_HASH_ANNOTATION, VARIANT_LABEL
from tokenpace.api.reasons import ReadyReason
from tokenpace.api.variant import ScaleTargetRef, Variant
from tokenpace.cluster.apply import Scale, Target
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import PODS, Kind, Object
from tokenpace.cluster.observed import has_ended, keep_pod

_TEMPLATE_LABELS = ("pod-template-hash", "controller-revision-hash")
"""What the controllers of Deployments, and of StatefulSets and those built on them, label pods of one template with."""

_SOME_TEMPLATE = "unknown"
"""The template of every pod that no controller has labelled: without any, nothing could be learned or proven of it.
When such a workload is given another one, what was learned before goes on for as long as it takes to learn anew."""


class ScaleTargetError(Exception):
    """A workload that cannot be read or scaled; the message names the field and the cure."""

    def __init__(self, reason: ReadyReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleTarget:
    """One existing workload as it is."""

    target: Target
    replicas: int
    pods: tuple[Object, ...]
    """Its pods as `keep_target_pod` returns them."""

    @property
    def template_hash(self) -> str | None:
        """Which template its newest pod is from; None where there is no pod."""
        newest = max(self.pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)
        return newest["metadata"]["annotations"][INPUTS_HASH_ANNOTATION] if newest else None


@dataclass(frozen=True, slots=True)
class ScaleTargets:
    """The existing workloads of one LLMDeployment, by variant."""

    found: Mapping[str, ScaleTarget] = field(default_factory=dict)

    @property
    def pods(self) -> tuple[Object, ...]:
        """The pods of all of them."""
        return tuple(pod for one in self.found.values() for pod in one.pods)

    @property
    def template_hashes(self) -> dict[str, str]:
        """The hash that new pods of each get, as far as it is known."""
        return {variant: known for variant, one in self.found.items() if (known := one.template_hash) is not None}

    def actions(self, fleet: Mapping[str, int]) -> tuple[Scale, ...]:
        """Return what gives them the replicas of ``fleet``; one that is not in it keeps its own."""
        return tuple(
            Scale(one.target, None, one.replicas, wanted)
            for variant, one in self.found.items()
            if (wanted := fleet.get(variant, one.replicas)) != one.replicas
        )


class ScaleTargetReader:
    """Reads existing workloads: two small requests for each, and one for every kind that has not been met before."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], Kind] = {}

    async def read(self, namespace: str, variants: Iterable[Variant]) -> ScaleTargets:
        """Return the workloads that variants bring.

        Raises:
            ScaleTargetError: one of them cannot be read; then nothing may be decided about any.
        """
        found = {}
        for variant in variants:
            if variant.scale_target_ref is not None:
                found[variant.name] = await self._read(namespace, variant.name, variant.scale_target_ref)
        return ScaleTargets(found)

    async def _read(self, namespace: str, variant: str, reference: ScaleTargetRef) -> ScaleTarget:
        where = f"spec.variants[{variant}].scaleTargetRef"
        kind = await self._kind(where, reference)
        target = Target(kind, namespace, reference.name)
        try:
            scale = await self._client.get(*target, subresource="scale")
        except ApiError as error:
            raise _unreadable(f"{where}: the size of {target}", error) from error
        selector = _selector(where, target, scale)
        try:
            pods = await self._client.list_cached(PODS, namespace=namespace, label_selector=selector)
        except ApiError as error:
            raise _unreadable(f"{where}: the pods of {target}", error) from error
        kept = (keep_target_pod(pod, variant) for pod in pods)
        return ScaleTarget(
            target=target,
            replicas=scale["spec"].get("replicas", 0),
            pods=tuple(pod for pod in kept if not has_ended(pod)),
        )

    async def _kind(self, where: str, reference: ScaleTargetRef) -> Kind:
        """Return the kind as the API server's paths spell it."""
        known = self._kinds.get((reference.api_version, reference.kind))
        if known is not None:
            return known
        try:
            served = await self._client.resources(reference.api_version)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise _unreadable(f"{where}: what {reference.api_version} serves", error) from error
            served = []
        kind = _scalable_kind(where, reference, served)
        self._kinds[reference.api_version, reference.kind] = kind
        return kind


def _scalable_kind(where: str, reference: ScaleTargetRef, served: Collection[Object]) -> Kind:
    """Return the kind of a reference among what its group serves, if it has a scale subresource."""
    plurals = [one["name"] for one in served if one["kind"] == reference.kind and "/" not in one["name"]]
    if not plurals:
        message = (
            f"{where}: this cluster has no kind {reference.kind} in {reference.api_version}; "
            "correct `apiVersion` and `kind`, or install its CustomResourceDefinition."
        )
        raise ScaleTargetError(ReadyReason.SCALE_TARGET_NOT_FOUND, message)
    if f"{plurals[0]}/scale" not in {one["name"] for one in served}:
        message = (
            f"{where}.kind: a {reference.kind} of {reference.api_version} has no scale subresource; "
            "name the workload that holds the replicas, for example a Deployment."
        )
        raise ScaleTargetError(ReadyReason.SCALE_TARGET_NOT_SCALABLE, message)
    return Kind(reference.api_version, reference.kind, plurals[0])


def _selector(where: str, target: Target, scale: Object) -> str:
    """Return what selects a workload's pods, and never the empty selector, which selects every pod."""
    selector: str = scale.get("status", {}).get("selector", "")
    if not selector:
        message = (
            f"{where}: {target} does not say which pods are its own (`status.selector` of its scale subresource is "
            "empty); its CustomResourceDefinition needs `subresources.scale.labelSelectorPath`."
        )
        raise ScaleTargetError(ReadyReason.SCALE_TARGET_NOT_SCALABLE, message)
    if DEPLOYMENT_LABEL in selector:
        message = f"{where}: {target} was made by tokenpace, which scales it already; name a workload of your own."
        raise ScaleTargetError(ReadyReason.SCALE_TARGET_TAKEN, message)
    return selector


def keep_target_pod(stored: Object, variant: str) -> Object:
    """Return the part of an existing workload's pod that is worth its memory, marked as pods of a variant are.

    Nobody labelled the pod itself: which variant it serves is known from the workload, and which template it is from
    by the label that the workload's controller gave it.
    """
    labels = stored["metadata"].get("labels", {})
    template_hash = next((labels[label] for label in _TEMPLATE_LABELS if label in labels), _SOME_TEMPLATE)
    marked = {
        **stored["metadata"],
        "labels": {VARIANT_LABEL: variant},
        "annotations": {INPUTS_HASH_ANNOTATION: template_hash},
    }
    return keep_pod({**stored, "metadata": marked})


_ANSWERS: Mapping[int | None, tuple[ReadyReason, str]] = {
    HTTPStatus.NOT_FOUND: (ReadyReason.SCALE_TARGET_NOT_FOUND, "create it, or correct the reference"),
    HTTPStatus.FORBIDDEN: (
        ReadyReason.SCALE_TARGET_FORBIDDEN,
        "grant it, for example by `rbac.scaleTargets` of the Helm chart",
    ),
}
_TRIED_AGAIN = (ReadyReason.SCALE_TARGET_UNREADABLE, "it is tried again at the next tick")


def _unreadable(what: str, error: ApiError) -> ScaleTargetError:
    reason, cure = _ANSWERS.get(error.status, _TRIED_AGAIN)
    return ScaleTargetError(reason, f"{what} cannot be read ({error}); {cure}.")
