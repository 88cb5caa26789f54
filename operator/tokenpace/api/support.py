"""What may be declared and has no effect in this version: reported in a condition, never ignored in silence."""

from collections.abc import Iterator
from dataclasses import dataclass

from tokenpace.api.fields import ApiModel
from tokenpace.api.scaling import Balancing, Mode, Scaling
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant

_RENDERED = {
    "source": "source",
    "quantization": "quantization",
    "resources": "resources",
    "pod_template": "podTemplate",
}
"""What a variant's pods are made of beside its engine, as the models and as manifests spell it."""


@dataclass(frozen=True, slots=True)
class UnsupportedField:
    """A declared field without effect, and what happens instead."""

    field: str
    """Path as the API server writes it, variants by name: ``spec.variants[q8].metrics``."""
    message: str

    def __str__(self) -> str:
        """Return both as a sentence."""
        return f"{self.field}: {self.message}"


def runnable_variants(spec: LLMDeploymentSpec) -> tuple[Variant, ...]:
    """Return the variants that may run, best first.

    Those are not taken out of use, and are at or above ``slo.minQuality`` or chosen by name in Manual mode.
    """
    return tuple(
        variant
        for variant in _offered(spec)
        if variant.quality >= spec.slo.min_quality or variant.name == spec.scaling.variant
    )


def servable_variants(spec: LLMDeploymentSpec) -> tuple[Variant, ...]:
    """Return the variants that the planner may choose from, best first: in Manual mode the chosen one, or the best."""
    runnable, chosen = runnable_variants(spec), spec.scaling.variant
    if chosen is not None:
        return tuple(variant for variant in runnable if variant.name == chosen)
    return runnable[:1] if spec.scaling.mode is Mode.MANUAL else runnable


def unsupported_fields(spec: LLMDeploymentSpec) -> tuple[UnsupportedField, ...]:
    """Return every declared field that has no effect in this version.

    A field that holds its default declares nothing: the API server fills defaults in, so the two look the same.
    """
    return tuple(
        UnsupportedField(field, message)
        for field, message in (*_of_scaling(spec.scaling), *_of_variants(spec), *_of_replicas(spec))
    )


def _offered(spec: LLMDeploymentSpec) -> list[Variant]:
    """Return the ladder without the variants that the user took out of use."""
    return [variant for variant in spec.ladder if variant.max_replicas > 0]


def _differs(part: ApiModel, field: str) -> bool:
    return bool(getattr(part, field) != type(part).model_fields[field].get_default(call_default_factory=True))


def _of_scaling(scaling: Scaling) -> Iterator[tuple[str, str]]:
    if scaling.balancing is Balancing.WEIGHTED:
        yield "spec.scaling.balancing", "Weighted is not supported yet; planning takes it for Random."
    if scaling.scale_to_zero_after_seconds is not None and not scaling.can_be_woken:
        yield (
            "spec.scaling.scaleToZeroAfterSeconds",
            "nothing could wake it, so that one replica stays: declare `wake`, or a schedule that asks for replicas.",
        )
    if scaling.wake is not None and scaling.scale_to_zero_after_seconds is None:
        yield "spec.scaling.wake", "nothing sleeps without `scaleToZeroAfterSeconds`."


def _of_variants(spec: LLMDeploymentSpec) -> Iterator[tuple[str, str]]:
    for variant in _offered(spec):
        if variant.scale_target_ref is not None:
            yield from (
                (
                    f"spec.variants[{variant.name}].{spelling}",
                    "nothing is rendered of a workload that exists already; it is only scaled.",
                )
                for field, spelling in _RENDERED.items()
                if _differs(variant, field)
            )


def _of_replicas(spec: LLMDeploymentSpec) -> Iterator[tuple[str, str]]:
    if spec.scaling.mode is not Mode.MANUAL and _differs(spec, "replicas"):
        yield "spec.replicas", "it has an effect only when `spec.scaling.mode` is Manual; the operator decides."
