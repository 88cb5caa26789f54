"""What a user asks a benchmark for, and the command line that asks for the same."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from tokenpace.api.resource import LLMDeployment
from tokenpace.api.variant import EngineType, Variant
from tokenpace.bench.errors import BenchError
from tokenpace.engines.engine import COMPLETIONS_PATH
from tokenpace.engines.hardware import device_count
from tokenpace.engines.registry import adapter_of

SELF: Final = "self"
"""As `reference`: the variant that is measured is the one that the others are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Each is the option of its name; None where it was not given."""

    url: str
    engine: EngineType | None = None
    engine_version: str | None = None
    model: str | None = None
    model_name: str | None = None
    api: str = "completions"
    prompt_tokens: int = 256
    generated_tokens: int = 64
    spread: float = 0.5
    trace: Path | None = None
    rate: tuple[float, ...] = ()
    completions: int = 50
    bisections: int = 2
    lone: int = 10
    seed: int = 1
    timeout_seconds: float = 300.0
    quality: bool = False
    quality_positions: int = 160
    task_scores: Path | None = None
    reference: str | None = None
    quantization: str | None = None
    image: str | None = None
    hourly_cost: float | None = None
    hardware: str | None = None
    accelerators: int = 0
    cpu: str | None = None
    memory: str | None = None


def arguments(options: Options) -> tuple[str, ...]:
    """Return the command line that asks for the same: every option that differs from its default."""
    return tuple(_flags(options))


def _flags(options: Options) -> Iterator[str]:
    for one in fields(options):
        value = getattr(options, one.name)
        if value == one.default:
            continue
        flag = f"--{one.name.replace('_', '-')}"
        if value is True:
            yield flag
        else:
            for each in value if isinstance(value, tuple) else (value,):
                yield f"{flag}={each:g}" if isinstance(each, float) else f"{flag}={each}"


def command(options: Options) -> str:
    """Return the command line as a person would type it."""
    return shlex.join(["tokenpace", "bench", *arguments(options)])


def of_variant(manifest: str, name: str | None) -> dict[str, Any]:
    """Return the options that follow from a variant of a manifest.

    Raises:
        BenchError: there is no such variant, or the manifest is no LLMDeployment.
    """
    try:
        resource = LLMDeployment.model_validate(yaml.safe_load(manifest))
    except (yaml.YAMLError, ValidationError) as error:
        raise BenchError(f"MANIFEST: is no LLMDeployment: {error}") from error
    spec, variants = resource.spec, {one.name: one for one in resource.spec.variants}
    variant = variants.get(name or next(iter(variants)))
    if variant is None or (name is None and len(variants) > 1):
        raise BenchError(f"--variant: must be one of {', '.join(variants)}")
    metadata = yaml.safe_load(manifest)["metadata"]
    namespace = f".{metadata['namespace']}" if "namespace" in metadata else ""
    source = spec.model.source  # not the variant's own: cards of one ladder are of one model
    path = COMPLETIONS_PATH if variant.engine_type is None else adapter_of(variant).completions_path
    return {
        "url": f"http://{metadata['name']}{namespace}{path.removesuffix('/completions').removesuffix('/v1')}",
        "engine": variant.engine_type,
        "model": spec.model.served_name,
        "model_name": source.hugging_face.repo if source and source.hugging_face else None,
        "prompt_tokens": spec.traffic.prompt_tokens,
        "generated_tokens": spec.traffic.generated_tokens,
        "quantization": variant.quantization,
        "image": variant.engine and variant.engine.image,
        "hourly_cost": variant.hourly_cost and float(variant.hourly_cost),
        **_machine(variant),
    }


def _machine(variant: Variant) -> dict[str, Any]:
    limits = {name: str(amount) for name, amount in variant.resources.limits.items()}
    return {"accelerators": device_count(variant), "cpu": limits.get("cpu"), "memory": limits.get("memory")}
