"""What users say about an engine by its own command line, and what launches and checks make of it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tokenpace.api.variant import Variant
from tokenpace.engines.engine import ENGINE_CONTAINER, FieldProblem
from tokenpace.engines.hardware import ASKED_BY, Hardware, device_count, hardware


def given_arguments(variant: Variant) -> Sequence[str]:
    """Return the user's own arguments; they come last and win."""
    return variant.engine.args if variant.engine else ()


def flag_values(args: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return the values that arguments give to a flag under any of its names, in either spelling of a shell.

    vLLM and llama.cpp take ``_`` for ``-`` in a long flag; others refuse it themselves. A flag at the very end has the
    value ``""``.
    """
    values = []
    for flag, following in pairwise([*args, ""]):
        name, joined, value = flag.partition("=")
        if (name.replace("_", "-") if name.startswith("--") else name) in flags:
            values.append(value if joined else following)
    return values


def launched_streams(variant: Variant, flags: Sequence[str]) -> int | None:
    """Return the batch limit to launch with: the user's own argument, else the streams of the expected speed.

    None where neither is said. Only for a variant without `number_problems` of these flags.
    """
    given = flag_values(given_arguments(variant), flags)
    return int(given[-1]) if given else variant.expected.at_streams


def launched_quantization(variant: Variant) -> str | None:
    """Return the precision to launch with, in the engine's spelling; None for weights as they are."""
    precision = (variant.quantization or "none").lower()
    return None if precision == "none" else precision


def launched_devices(variant: Variant, flags: Sequence[str]) -> int | None:
    """Return the accelerators to spread the model over; None for one, or where the user's own arguments say how.

    Args:
        variant: what is launched.
        flags: of every way to spread a model.
    """
    count = device_count(variant)
    return count if count > 1 and not flag_values(given_arguments(variant), flags) else None


def with_values(flags: Mapping[str, str | int | None]) -> list[str]:
    """Return the arguments for the flags that have a value; the engine decides about the others."""
    return [part for flag, value in flags.items() if value is not None for part in (flag, str(value))]


def batch_limit_of(template: Mapping[str, Any], flags: Sequence[str]) -> int | None:
    """Return the batch limit that the engine's container is launched with, as its last argument says."""
    (engine,) = [one for one in template["spec"]["containers"] if one["name"] == ENGINE_CONTAINER]
    given = flag_values(engine.get("args", ()), flags)
    return int(given[-1]) if given and given[-1].isdecimal() else None


def owned_flag_problems(variant: Variant, field: str, owned: Sequence[str]) -> Iterator[FieldProblem]:
    """Yield the user's arguments that the Service, the probes or other variants rely on."""
    for flag in owned:
        if flag_values(given_arguments(variant), (flag,)):
            yield FieldProblem(f"{field}.engine.args", f"`{flag}` is set by tokenpace: leave it out")


def number_problems(variant: Variant, field: str, flags: Sequence[str], because: str) -> Iterator[FieldProblem]:
    """Yield a batch limit that is no number."""
    if not all(value.isdecimal() and int(value) > 0 for value in flag_values(given_arguments(variant), flags)):
        yield FieldProblem(f"{field}.engine.args", f"`{flags[0]}` needs a number: {because}")


def quantization_problems(
    variant: Variant, field: str, engine: str, legal: Sequence[str], advice: str
) -> Iterator[FieldProblem]:
    """Yield a precision that the engine does not know."""
    if variant.quantization is not None and variant.quantization.lower() not in legal:
        message = f"`{variant.quantization}` is none of {engine}'s: {', '.join(legal)}. {advice}"
        yield FieldProblem(f"{field}.quantization", message)


def image_problems(variant: Variant, field: str, images: Mapping[Hardware, str]) -> Iterator[FieldProblem]:
    """Yield that no image is named, where the engine has none for the hardware."""
    if hardware(variant) not in images and not (variant.engine and variant.engine.image):
        known = " and ".join(f"{make} ({ASKED_BY[make]})" for make in images) or "nothing"
        yield FieldProblem(f"{field}.engine.image", f"is missing: there is a default for {known}".replace("…", "..."))
