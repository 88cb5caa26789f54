"""From a resource as the cluster holds it to a spec that this version can run. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import runnable_variants, servable_variants, unsupported_fields
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
        found = (f"spec.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ManifestError("; ".join(found)) from error


def runnable_spec(spec: LLMDeploymentSpec) -> LLMDeploymentSpec:
    """Return the spec with only the variants that this version can run.

    Raises:
        ManifestError: there is none, the engine of one cannot run it, or a schedule names no time.
    """
    if not servable_variants(spec):
        needed = "none that `scaling.variant` and `slo.minQuality` allow has a supported engine and `maxReplicas` > 0"
        raise ManifestError(" ".join((f"spec.variants: {needed}.", *map(str, unsupported_fields(spec)))))
    if unclear := "; ".join(schedule_problems(spec.scaling.schedules)):
        raise ManifestError(unclear)
    runnable = runnable_variants(spec)
    if found := [problem for variant in runnable for problem in problems(spec, variant)]:
        raise ManifestError("; ".join(f"{problem.field}: {problem.message}" for problem in found))
    return spec.model_copy(update={"variants": runnable})
