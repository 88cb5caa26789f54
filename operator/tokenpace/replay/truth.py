"""What is true of the simulated fleet, whatever anybody believes of it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.replay.traffic import Traffic


class Prefill(StrEnum):
    """How prompts share the engine with streams."""

    SEPARATE = "Separate"
    """A prompt stops every stream until it is read, as in Text Generation Inference and llama.cpp."""
    CHUNKED = "Chunked"
    """Every step takes a piece of the prompt along, as in vLLM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Seconds that one replica takes, of one variant on its hardware."""

    step_seconds: tuple[float, ...]
    """A decode step with 1, 2, 3 … streams; the last is that with a full batch, and its length is the batch limit."""
    prompt_token_seconds: float
    """One prompt token of a long prompt."""
    shortest_prompt_seconds: float
    """No prompt takes less, however short."""
    prefill: Prefill = Prefill.SEPARATE
    tokens_per_chunk: int = 512
    """Prompt tokens that one step takes along when prefill is chunked."""
    kv_tokens: int | None = None
    """Tokens, of prompts and answers, that fit the memory; None where memory never binds."""
    source: str = ""
    """Where the figures come from: shown in the report."""

    def prompt_seconds(self, prompt_tokens: int) -> float:
        """Seconds of engine time that one prompt takes."""
        return max(self.shortest_prompt_seconds, self.prompt_token_seconds * prompt_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantTruth:
    """One variant as it really is."""

    speeds: Speeds
    startup_seconds: Callable[[random.Random], float]
    """Seconds from the creation of a pod to Ready, drawn for each."""
    counts_tokens_live: bool = True
    """Whether generated tokens are counted as they come, or when a request ends."""


class Spread(StrEnum):
    """What stands in front of the pods."""

    RANDOM = "Random"
    """A Kubernetes Service and a connection for each request."""
    STICKY = "Sticky"
    """A Kubernetes Service and clients that keep their connections: a pod is drawn once for each."""
    LEAST_REQUEST = "LeastRequest"
    """A proxy that sends each request to the pod with the fewest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong, by the clock of the replay: (from, until) in seconds."""

    stock: Mapping[str, tuple[tuple[float, float, int], ...]] = field(default_factory=dict)
    """By variant: from, until, and the most pods that can be scheduled meanwhile. What runs already stays."""
    metrics_lost: tuple[tuple[float, float], ...] = ()
    """Prometheus answers nothing."""
    lost_scrape_share: float = 0.0
    """Share of scrapes that fail, each by chance."""
    failures: tuple[float, ...] = ()
    """Moments at which one serving pod, drawn by chance, dies with everything that it was working on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A service and its truth."""

    name: str
    spec: LLMDeploymentSpec
    """What its owner declared, also about speeds: that may be wrong."""
    variants: Mapping[str, VariantTruth]
    spread: Spread = Spread.RANDOM
    connections_per_client: int = 1
    """Of sticky clients."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """Serving at the start, by variant; nothing: one of the best variant."""
    scrape_seconds: float = 10.0
    window_seconds: float = 60.0
    """Of the operator's queries."""
    tick_seconds: float = 10.0
    """Of the operator's loop."""
    drain_seconds: float = 300.0
    """What a pod that was told to go may still take to end its streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What one replay is about."""

    name: str
    about: str
    """One sentence for the report."""
    fleet: Fleet
    traffic: Callable[[int], Traffic]
    """By seed."""
    faults: Faults = field(default_factory=Faults)
