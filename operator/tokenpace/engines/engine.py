"""What every inference server must tell tokenpace: how it is launched, drained and read.

A new engine is one new file beside this one, and its line in `registry`: CONTRIBUTING.md walks through it. Nothing
outside `engines/` knows an engine's flags, ports or metric names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from tokenpace.api.model_source import ModelSource
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.description import Description
from tokenpace.engines.window import Window
from tokenpace.planning.observation import Reading

ENGINE_CONTAINER = "engine"
"""Name of the main container of every rendered pod; what `podTemplate` patches it by."""

HTTP_PORT = "http"
"""Name of the port that clients, probes and Prometheus use, the same on every engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that one variant's pods are rendered from."""

    spec: LLMDeploymentSpec
    variant: Variant
    source: ModelSource
    image: str


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A value that the schema cannot check and the engine cannot run: the field, what is wrong, and the cure."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Signal:
    """The series that an adapter reads under one name of its own.

    They are all series of `metric` that carry `labels`; those that differ in other labels (vLLM's ``engine``,
    SGLang's ``tp_rank``) are added up, scrape by scrape.
    """

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)


class GenerationApi(StrEnum):
    """How a server is asked for a generation: what `tokenpace.probing` speaks."""

    COMPLETIONS = "Completions"
    """OpenAI's completions, by default at `COMPLETIONS_PATH`: unlike chat, they need no template, which base models
    lack."""
    TEXT_GENERATION = "TextGeneration"
    """Text Generation Inference's own, at ``/``."""


COMPLETIONS_PATH: Final = "/v1/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a server says of itself: how `tokenpace bench` tells which one answers, and in which version."""

    owned_by: str | None = None
    """Of the models that it lists, in lower case; None where that is no name of the server."""
    paths: tuple[str, ...] = ("version",)
    """Where it tells its version, from the root of its API; the first that answers, newest name first."""
    marks: frozenset[str] = frozenset()
    """Fields of that answer which no other server has: what a server without `owned_by` is known by."""
    version: str = "version"
    model: str = "id"
    slots: str | None = None
    """Names of these in the answer."""


class PromptScoring(StrEnum):
    """How a server tells the probabilities of tokens that it is given: what perplexity is measured by."""

    ECHO = "Echo"
    """OpenAI's completions with ``echo`` and ``logprobs``: the whole text in one request."""
    PREFILL_DETAILS = "PrefillDetails"
    """Text Generation Inference's ``decoder_input_details``: the same."""
    NEXT_TOKENS = "NextTokens"
    """llama.cpp's ``n_probs``: it names those of generated tokens only, so that each position is a request."""


class EngineAdapter(Protocol):
    """One inference server."""

    @property
    def type(self) -> EngineType:
        """What manifests call it."""

    @property
    def port(self) -> int:
        """Port of its API, and of its metrics."""

    @property
    def drain_seconds(self) -> int:
        """Longest time that running requests are waited for when a pod ends."""

    @property
    def generation_api(self) -> GenerationApi:
        """The API that canaries speak."""

    @property
    def completions_path(self) -> str:
        """Where `GenerationApi.COMPLETIONS` are answered."""

    @property
    def silent_until_used(self) -> bool:
        """Whether a server that was never used exports nothing at all: it is then idle, and not missing."""

    @property
    def metric_prefixes(self) -> tuple[str, ...]:
        """How the names of its metrics begin; none where users name them."""

    @property
    def introduction(self) -> Introduction:
        """What it says of itself."""

    @property
    def prompt_scoring(self) -> PromptScoring:
        """How it tells the probabilities of a prompt's tokens, where it can be made to."""

    @property
    def signals(self) -> Mapping[str, Signal]:
        """What `read` needs, by the adapter's own names. Their number is what a tick costs, whatever that of the pods.

        A metric that was renamed between versions is two signals, and `read` takes the one that is there.
        """

    @property
    def description(self) -> Description:
        """What users should know of it: its section in `docs/engines.md`."""

    def default_image(self, variant: Variant, /) -> str | None:
        """Return the image for the variant's hardware, pinned into the workload when it is created.

        A variant for whose hardware there is none has `problems` until its ``engine.image`` names one.
        """

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        """Return what this engine cannot run."""

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        """Return a PodTemplateSpec (plain dict) whose main container is `ENGINE_CONTAINER` with port `HTTP_PORT`.

        Only for a variant without `problems`.
        """

    def batch_limit(self, template: Mapping[str, Any]) -> int | None:
        """Return how many requests a pod of this template works on at once; None where the engine decides.

        Launch it with the user's own argument, else ``expected.atStreams``: beyond the streams that the declared speed
        was seen at, requests queue instead of slowing every stream.
        """

    def read(self, window: Window) -> Reading | None:
        """Translate one pod's scrapes into a `Reading`; None when they do not suffice.

        The window has at least one scrape and every value is finite, but a scrape may lack signals: TGI exports
        a series only after its first use, so that absent is neither zero nor an error there.
        """
