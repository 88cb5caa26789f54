"""What may be declared and has no effect in this version: reported in a condition, never ignored in silence."""

from collections.abc import Iterator
from dataclasses import dataclass

from tokenpace.api.fields import ApiModel
from tokenpace.api.scaling import Balancing, Mode, Preference, Scaling
from tokenpace.api.slo import SLO
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant

SUPPORTED_ENGINES = frozenset({EngineType.LLAMA_CPP, EngineType.TGI, EngineType.VLLM})


@dataclass(frozen=True, slots=True)
class UnsupportedField:
    """A declared field without effect, and what happens instead."""

    field: str
    """Path as the API server writes it, variants by name: ``spec.variants[q8].metrics``."""
    message: str

    def __str__(self) -> str:
        """Return both as a sentence."""
        return f"{self.field}: {self.message}"


def variant_in_use(spec: LLMDeploymentSpec) -> Variant | None:
    """Return the one variant that this version runs, or None where it can run none of them.

    In Manual mode that is the chosen one, else the best that is at or above ``slo.minQuality``.
    """
    runnable = [variant for variant in _offered(spec) if _is_runnable(variant)]
    chosen = spec.scaling.variant
    if chosen is not None:
        return next((variant for variant in runnable if variant.name == chosen), None)
    return next((variant for variant in runnable if variant.quality >= spec.slo.min_quality), None)


def unsupported_fields(spec: LLMDeploymentSpec) -> tuple[UnsupportedField, ...]:
    """Return every declared field that has no effect in this version.

    A field that holds its default declares nothing: the API server fills defaults in, so the two look the same.
    """
    return tuple(
        UnsupportedField(field, message)
        for field, message in (*_of_slo(spec.slo), *_of_scaling(spec.scaling), *_of_variants(spec), *_of_replicas(spec))
    )


def _offered(spec: LLMDeploymentSpec) -> list[Variant]:
    """Return the ladder without the variants that the user took out of use."""
    return [variant for variant in spec.ladder if variant.max_replicas > 0]


def _is_runnable(variant: Variant) -> bool:
    return _engine_type(variant) in SUPPORTED_ENGINES


def _engine_type(variant: Variant) -> EngineType | None:
    """Return the inference server that a variant is launched with or, of one that runs anyway, measured as."""
    return variant.engine.type if variant.engine is not None else variant.metrics


def _differs(part: ApiModel, field: str) -> bool:
    return bool(getattr(part, field) != type(part).model_fields[field].default)


def _of_slo(slo: SLO) -> Iterator[tuple[str, str]]:
    for field, path in (("objective", "objective"), ("window_hours", "windowHours")):
        if _differs(slo, field):
            yield f"spec.slo.{path}", "the error budget is not kept yet; `SLOMet` says what holds now."


def _of_scaling(scaling: Scaling) -> Iterator[tuple[str, str]]:
    if scaling.balancing is Balancing.WEIGHTED:
        yield "spec.scaling.balancing", "Weighted is not supported yet; planning takes it for Random."
    if scaling.preference is Preference.COST:
        yield "spec.scaling.preference", "variants are not compared yet; the best allowed one runs."
    if scaling.degraded is not None:
        yield "spec.scaling.degraded", "variants are not switched yet; no quality budget is spent."
    if scaling.scale_to_zero_after_seconds is not None:
        yield "spec.scaling.scaleToZeroAfterSeconds", "a fleet is not scaled to zero yet; one replica stays."
    for field, path in (("max_surge", "maxSurge"), ("variant_dwell_seconds", "variantDwellSeconds")):
        if _differs(scaling, field):
            yield f"spec.scaling.{path}", "variants are not switched yet."


def _of_variants(spec: LLMDeploymentSpec) -> Iterator[tuple[str, str]]:
    used = variant_in_use(spec)
    for variant in _offered(spec):
        path = f"spec.variants[{variant.name}]"
        if not _is_runnable(variant):
            legal = ", ".join(sorted(SUPPORTED_ENGINES))
            field = "engine.type" if variant.engine is not None else "metrics"
            yield f"{path}.{field}", f"this inference server is not supported yet; supported: {legal}."
        elif variant != used:
            runs = "none of the variants runs" if used is None else f"only {used.name} runs"
            yield path, f"variants are not switched yet; {runs}."


def _of_replicas(spec: LLMDeploymentSpec) -> Iterator[tuple[str, str]]:
    if spec.scaling.mode is not Mode.MANUAL and _differs(spec, "replicas"):
        yield "spec.replicas", "it has an effect only when `spec.scaling.mode` is Manual; the operator decides."
