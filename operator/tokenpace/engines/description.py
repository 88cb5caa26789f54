"""What users should know of an engine beside what its code says: the hand-written parts of `docs/engines.md`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tokenpace.engines.hardware import Hardware


class When(StrEnum):
    """When a signal moves, or what stands for one that there is not."""

    LIVE = "live"
    ON_ARRIVAL = "on arrival"
    AT_END = "at request end"
    ESTIMATED = "estimated"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that an adapter reads: what, from which series (Markdown), and when those move."""

    what: str
    series: str
    when: When


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way in which an engine is launched and read; most have a single one, without a name."""

    name: str = ""
    launched: tuple[tuple[str, str], ...] = ()
    """Flag or setting, and what it is set to."""
    measured: tuple[Measure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was verified, and how; the rest is from documentation alone."""

    metrics: str
    serving: str
    """Its API under load, and switching."""
    image: str
    flags: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One engine's section."""

    title: str
    introduction: str = ""
    example: Mapping[str, Any]
    """A variant that it can run, with weights that take a token: shown, and rendered to see what pods get."""
    images: Mapping[Hardware, str] = field(default_factory=dict)
    quantizations: tuple[str, ...] = ()
    """What may be declared."""
    quantization: str
    """What is made of it."""
    modes: tuple[Mode, ...]
    drained: str
    user: str = "a number that no image uses for anything; the *restricted* Pod Security Standard holds"
    verified: Verified
    notes: tuple[str, ...] = ()
