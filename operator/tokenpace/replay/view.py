"""What an autoscaler may see: the cluster's objects, and what Prometheus has scraped. Nothing else.

A scrape holds every counter and gauge that the engines of the comparison export; each policy reads those that its
original reads. Counters start at 0 with their pod's process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Scrape(NamedTuple):
    """One pod's metrics at one moment."""

    at_seconds: float
    running: int
    """Gauge: requests in the batch, in prefill or decoding."""
    waiting: int
    """Gauge: requests in the pod's queue."""
    kv_share: float
    """Gauge: share of the KV memory in use; 0 where the truth has no limit."""
    generated_tokens: float
    """Counter, live or at the end of requests as the engine counts."""
    prompt_tokens: float
    """Counter of prompt tokens whose prefill has ended."""
    admitted: int
    """Counter of requests that reached the pod."""
    first_tokens: int
    """Counter of requests that have their first token."""
    ended: int
    """Counter."""
    ended_generated_tokens: float
    """Counter: generated tokens of ended requests."""
    ended_prompt_tokens: float
    first_token_seconds: float
    """Counter: sum over requests of the time from arrival at the pod to the first token."""
    queue_seconds: float
    """Counter: sum over requests of the time in the pod's queue."""
    prefill_seconds: float
    """Counter: seconds that the engine spent on prompts."""
    stream_seconds: float
    """Counter: sum over streams of the time after their first token: seconds of inter-token latency."""
    ended_seconds: float
    """Counter: sum over ended requests of their whole time in the pod."""
    ended_stream_seconds: float
    """Counter: sum over ended requests of the time after their first token."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod, and its scrapes of the last ten minutes, oldest first; failed scrapes are absent."""

    name: str
    variant: str
    created_at_seconds: float
    ready_since_seconds: float | None
    terminating: bool
    unschedulable: bool
    scrapes: Sequence[Scrape]


@dataclass(frozen=True, slots=True)
class View:
    """One moment."""

    at_seconds: float
    replicas: Mapping[str, int]
    """What each variant's workload asks for."""
    pods: tuple[PodView, ...]
    metrics_lost: bool
    """Prometheus does not answer: every `scrapes` is empty."""


def increase(scrapes: Sequence[Scrape], counter: str, since_seconds: float) -> float | None:
    """Return how much a counter grew over the scrapes not older than `since_seconds`; None with fewer than two.

    A fall is a restart: the counter grew from 0, as for PromQL's `increase` (which also extrapolates; we do not).
    """
    values = [getattr(scrape, counter) for scrape in scrapes if scrape.at_seconds >= since_seconds]
    if len(values) < 2:  # noqa: PLR2004 - a growth has a beginning and an end
        return None
    return float(sum(after - before if after >= before else after for before, after in zip(values, values[1:])))  # noqa: B905, RUF007


def rate(scrapes: Sequence[Scrape], counter: str, since_seconds: float) -> float | None:
    """Return a counter's growth a second over the scrapes not older than `since_seconds`; None with fewer than two."""
    grown = increase(scrapes, counter, since_seconds)
    if grown is None:
        return None
    times = [scrape.at_seconds for scrape in scrapes if scrape.at_seconds >= since_seconds]
    return grown / (times[-1] - times[0])


def mean(scrapes: Sequence[Scrape], gauge: str, since_seconds: float) -> float | None:
    """Return a gauge's mean over the scrapes not older than `since_seconds`; None without any."""
    values = [getattr(scrape, gauge) for scrape in scrapes if scrape.at_seconds >= since_seconds]
    return float(sum(values) / len(values)) if values else None
