"""What every inference server must tell tokenpace: how it is launched, drained and read.

A new engine is one new file beside this one. Nothing outside `engines/` knows an engine's flags,
ports or metric names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tokenpace.api.model_source import ModelSource
from tokenpace.api.spec import EngineType, LLMDeploymentSpec, Variant
from tokenpace.planning.observation import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that one variant's pods are rendered from."""

    spec: LLMDeploymentSpec
    variant: Variant
    source: ModelSource
    image: str
    streams: int | None
    """Batch limit to launch with, near 1.3 times the planned streams; None leaves it to the engine."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A value that the schema cannot check and the engine cannot run: the field, what is wrong, and the cure."""

    field: str
    message: str


class Signal(Protocol):
    """Renders one PromQL query for every pod of an engine type at once."""

    def __call__(self, *, matchers: str, window: str, by: str) -> str:
        """Return PromQL that yields one sample for each (namespace, pod).

        Args:
            matchers: label matchers to put inside the braces, possibly empty.
            window: range of the query as PromQL writes it, for example ``60s``.
            by: the labels of namespace and pod, comma-separated.
        """


class EngineAdapter(Protocol):
    """One inference server."""

    type: EngineType
    default_image: str
    """Tested image; pinned into the workload when it is created, so that an upgrade restarts no pod."""
    port: int
    drain_seconds: int
    """Longest time that a running request is waited for when a pod ends."""
    signals: Mapping[str, Signal]
    """Queries by name. Their number is what one tick costs, whatever the number of pods."""

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what this engine cannot run."""

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return a PodTemplateSpec (plain dict) whose main container is named ``engine``, port ``http``."""

    def read(self, values: Mapping[str, float], *, window_seconds: float) -> Reading | None:
        """Translate one pod's query results, by signal name, into a `Reading`.

        Returns None when the values do not suffice: the pod then counts as having no series. Values may
        be absent; never NaN or infinite (the caller drops those).
        """
