"""What the compared autoscalers read of a view: pods, and series as Prometheus would give them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from tokenpace.replay.truth import Speeds
from tokenpace.replay.view import PodView, Scrape, View, rate

RATE_SECONDS = 60.0
"""Window of the rates that the originals query: production-stack, WVA and Prometheus' own examples take 1m."""

STALE_AFTER_SCRAPES = 1.5
"""A failed scrape ends a series at once: Prometheus marks it as stale. None is late by half an interval."""


def pods_of(view: View, variant: str) -> tuple[PodView, ...]:
    """Return a variant's pods that were not told to go."""
    return tuple(pod for pod in view.pods if pod.variant == variant and not pod.terminating)


def series_of(view: View, variant: str) -> tuple[PodView, ...]:
    """Return a variant's pods that may have series, also those that end their last streams."""
    return tuple(pod for pod in view.pods if pod.variant == variant)


def is_ready(pod: PodView) -> bool:
    """Say whether a pod gets requests."""
    return pod.ready_since_seconds is not None and not pod.terminating


def instant(pod: PodView, view: View, scrape_seconds: float) -> Scrape | None:
    """Return the pod's scrape that an instant query sees; None where the last one failed or there is none."""
    if not pod.scrapes:
        return None
    last = pod.scrapes[-1]
    return last if view.at_seconds - last.at_seconds <= STALE_AFTER_SCRAPES * scrape_seconds else None


def rate_of(pod: PodView, view: View, counter: str, window_seconds: float = RATE_SECONDS) -> float | None:
    """Return a counter's growth a second over the window that ends now; None with fewer than two scrapes."""
    return rate(pod.scrapes, counter, view.at_seconds - window_seconds)


class Round(NamedTuple):
    """What one round of scrapes over a variant's pods has shown."""

    at_seconds: float
    values: tuple[float, ...]


def rounds(
    view: View, variant: str, value: Callable[[Scrape], float], *, window_seconds: float, scrape_seconds: float
) -> tuple[Round, ...]:
    """Return the window's scrapes of all pods that were not told to go, one round for each scrape interval.

    The originals scrape pods themselves, all at one moment; Prometheus scrapes each pod at a moment of its own.
    """

    def number(scrape: Scrape) -> int:
        return int(scrape.at_seconds // scrape_seconds)

    since_seconds = view.at_seconds - window_seconds
    scrapes = sorted(
        (
            scrape
            for pod in pods_of(view, variant)
            for scrape in pod.scrapes
            if since_seconds < scrape.at_seconds <= view.at_seconds
        ),
        key=number,
    )
    found = [tuple(together) for _, together in groupby(scrapes, number)]
    return tuple(
        Round(max(scrape.at_seconds for scrape in together), tuple(map(value, together))) for together in found
    )


def total_in_flight(view: View, variant: str, *, window_seconds: float, scrape_seconds: float) -> float | None:
    """Return the window's mean of the requests in all pods, queued ones included; None without any scrape.

    A pod whose scrape failed is taken to be as busy as the others.
    """
    ready_since = [pod.ready_since_seconds for pod in pods_of(view, variant) if pod.ready_since_seconds is not None]
    found = rounds(
        view,
        variant,
        lambda scrape: float(scrape.running + scrape.waiting),
        window_seconds=window_seconds,
        scrape_seconds=scrape_seconds,
    )
    totals = [
        sum(values) / len(values) * max(len(values), sum(since <= at_seconds for since in ready_since))
        for at_seconds, values in found
    ]
    return sum(totals) / len(totals) if totals else None


@dataclass(frozen=True, slots=True)
class KvMemory:
    """The memory that a pod's streams share, as far as its batch can fill it.

    Where the slots of the batch are scarcer than memory they stand for it, as in llama.cpp, which gives each slot its
    part. Without that no autoscaler that reads memory could work there at all: with 32 slots for requests of 1,300
    tokens, a memory of half a million is never more than 9 % full.
    """

    speeds: Speeds

    def share(self, scrape: Scrape) -> float:
        """Return the share in use."""
        return max(scrape.kv_share, scrape.running / len(self.speeds.step_seconds))

    def tokens(self, tokens_per_stream: float) -> float:
        """Return the tokens that it can hold, where a stream holds so many."""
        slots = len(self.speeds.step_seconds) * tokens_per_stream
        return slots if self.speeds.kv_tokens is None else min(slots, float(self.speeds.kv_tokens))
