"""What of a resource can be read: a spec that this version can run, and the status that an operator left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenpace.api.names import PAUSED_ANNOTATION
from tokenpace.api.reasons import ProgressingReason
from tokenpace.api.scaling import Mode
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.api.wake import WakeSignal
from tokenpace.controller.speed_cards import SpeedCards
from tokenpace.planning.memory import Memory
from tokenpace.prometheus.samples import Dialect
from tokenpace.prometheus.wake import ResourceKey


@dataclass(frozen=True, slots=True)
class Readable:
    """A resource whose spec can be run, with what is remembered of it."""

    resource: dict[str, Any]
    declared: LLMDeploymentSpec
    """With quality and cost of its speed cards."""
    spec: LLMDeploymentSpec
    status: LLMDeploymentStatus
    memory: Memory
    cards: SpeedCards = field(default_factory=SpeedCards)

    @property
    def uid(self) -> str:
        """The API server's identity of the resource: a namesake that comes later is another one."""
        uid: str = self.resource["metadata"]["uid"]
        return uid

    @property
    def key(self) -> ResourceKey:
        """Its namespace and its name."""
        return self.resource["metadata"]["namespace"], self.resource["metadata"]["name"]

    @property
    def dialects(self) -> frozenset[Dialect]:
        """What the metrics of its servers are called."""
        variants = self.spec.variants
        spoken = (variant.custom.metrics if variant.custom else variant.engine_type for variant in variants)
        return frozenset(one for one in spoken if one is not None)

    @property
    def wake_signal(self) -> WakeSignal | None:
        """What wakes it, if it may sleep."""
        return self.spec.scaling.wake if self.spec.scaling.sleeps_after_seconds is not None else None

    @property
    def hands_off(self) -> ProgressingReason | None:
        """Why nothing may be changed: the paused annotation, or a mode that only looks; None where it may."""
        if self.resource["metadata"].get("annotations", {}).get(PAUSED_ANNOTATION) == "true":
            return ProgressingReason.PAUSED
        return ProgressingReason.ADVISORY if self.declared.scaling.mode is Mode.ADVISORY else None


def readable_status(resource: Mapping[str, Any]) -> LLMDeploymentStatus:
    """Return the status as it is; one that this version cannot read counts as none, and is written anew."""
    try:
        return LLMDeploymentStatus.model_validate(resource.get("status", {}))
    except ValueError:
        return LLMDeploymentStatus()
