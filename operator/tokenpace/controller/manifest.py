"""From a resource as the cluster holds it to a spec that this version can run. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import runnable_variants, servable_variants, unsupported_fields
from tokenpace.engines.engine import FieldProblem
from tokenpace.engines.registry import problems
from tokenpace.planning.schedules import schedule_problems


class ManifestError(Exception):
    """A resource that cannot be run; the message names the field and the cure."""


def parse_spec(resource: Mapping[str, Any]) -> LLMDeploymentSpec:
    """Return the spec as it is declared.

    Raises:
        ManifestError: the spec is not what the schema asks for (another version of the CRD admitted it).
    """
    try:
        return LLMDeploymentSpec.model_validate(resource.get("spec", {}))
    except ValidationError as error:
        found = (f"{'.'.join(map(str, ('spec', *one['loc'])))}: {one['msg']}" for one in error.errors())
        raise ManifestError("; ".join(found)) from error


def runnable_spec(spec: LLMDeploymentSpec, launched: Collection[str] = ()) -> LLMDeploymentSpec:
    """Return the spec with only the variants that this version can run.

    A variant with a value that its engine cannot run is left out, unless its pods were ``launched`` before: they stay
    as they are until the value is right.

    Raises:
        ManifestError: there is none, or a schedule names no time.
    """
    variants = tuple(one for one in runnable_variants(spec) if one.name in launched or not problems(spec, one))
    runnable = spec.model_copy(update={"variants": variants})
    if not servable_variants(runnable):
        if found := field_problems(spec):
            raise ManifestError("; ".join(f"{problem.field}: {problem.message}" for problem in found))
        needed = "none that `scaling.variant` and `slo.minQuality` allow has `maxReplicas` > 0"
        raise ManifestError(" ".join((f"spec.variants: {needed}.", *map(str, unsupported_fields(spec)))))
    if unclear := "; ".join(schedule_problems(spec.scaling.schedules)):
        raise ManifestError(unclear)
    return runnable


def field_problems(spec: LLMDeploymentSpec) -> tuple[FieldProblem, ...]:
    """Return the values that the schema admits and an engine cannot run, of the variants that may run."""
    return tuple(problem for variant in runnable_variants(spec) for problem in problems(spec, variant))
