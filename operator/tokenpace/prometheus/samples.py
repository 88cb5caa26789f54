"""From what Prometheus answers to one `Sample` for each pod. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from operator import attrgetter
from typing import Any

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.api.variant import EngineType
from tokenpace.engines.engine import EngineAdapter
from tokenpace.engines.window import Scrape, Window
from tokenpace.planning.observation import Idle, Live, Missing, Reading, Sample, Stale
from tokenpace.prometheus.settings import PrometheusSettings

Dialect = EngineType | DeclaredMetrics
"""What a server's metrics are called: by its engine's adapter, or by its user."""

PodKey = tuple[str, str]
"""Namespace and name of a pod."""

Target = tuple[str, str]
"""Job and instance: who scraped, and where."""

Series = Mapping[PodKey, Mapping[Target, Mapping[float, float]]]
"""One signal of every pod: value by timestamp, by target."""


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """What Prometheus said in one tick."""

    samples: Mapping[PodKey, Sample]
    """Of every pod with series. A pod that is not here has none: see `sample_of`."""
    problems: Mapping[Dialect, str]
    """Why nothing or not everything was answered, in one sentence without secrets."""
    declared: Mapping[DeclaredMetrics, Mapping[PodKey, Sample]] = field(default_factory=dict)
    """By the names that users declare, of every pod with series of these names: two may mean different things by one
    name, so that a pod is read only by those of its own resource."""
    at_seconds: float | None = None
    """The moment that this is about, by Prometheus' clock; None where it did not tell the time."""

    @property
    def problem(self) -> str | None:
        """All problems in one sentence, each once; None when everything was answered."""
        return "; ".join(dict.fromkeys(self.problems.values())) or None

    def of(self, dialects: Iterable[Dialect]) -> "MetricsAnswer":
        """Return the answer as a resource sees it whose servers speak these."""
        found = [self.declared[one] for one in dialects if isinstance(one, DeclaredMetrics) and one in self.declared]
        if not found:
            return self
        return replace(self, samples=dict(chain.from_iterable(one.items() for one in (self.samples, *found))))


def sample_of(samples: Mapping[PodKey, Sample], namespace: str, pod: str) -> Sample:
    """Return what is known of a ready pod: without series nothing is, and that is not zero."""
    return samples.get((namespace, pod), Missing())


def read_series(result: Iterable[Mapping[str, Any]], settings: PrometheusSettings) -> Series:
    """Return the answer to a `window_query`, small: 8,000 pods give 3 MB of JSON for each signal.

    Series of one target are added up, scrape by scrape. Values that are NaN, infinite or no numbers are left out.

    Raises:
        MALFORMED: the result is not shaped like Prometheus'.
    """
    pods: dict[PodKey, dict[Target, dict[float, float]]] = {}
    namespace_label, pod_label = settings.namespace_label, settings.pod_label
    for series in result:
        labels = series["metric"]
        pod = labels[namespace_label], labels[pod_label]
        target = labels.get("job", ""), labels.get("instance", "")
        found = _finite(series["values"])
        values = pods.setdefault(pod, {}).setdefault(target, found)
        if values is not found:
            for at, value in found.items():
                values[at] = values.get(at, 0.0) + value
    return pods


def read_samples(
    series: Mapping[str, Series], adapter: EngineAdapter, at_seconds: float, settings: PrometheusSettings
) -> dict[PodKey, Sample]:
    """Return the samples in what was answered for each signal, at a moment of Prometheus' clock.

    A pod whose scrapes do not suffice for a reading is left out: it counts as having no series.
    """
    pods = frozenset().union(*series.values())
    windows = ((pod, _window({name: signal.get(pod, {}) for name, signal in series.items()})) for pod in pods)
    read = (
        (pod, sample_in(window, adapter, at_seconds, settings.stale_after_seconds))
        for pod, window in windows
        if window.scrapes
    )
    return {pod: sample for pod, sample in read if sample is not None}


def sample_in(
    window: Window, adapter: EngineAdapter, at_seconds: float, stale_after_seconds: float
) -> Live | Idle | Stale | None:
    """Return what one pod's scrapes say, of which there is at least one; None where they do not suffice.

    Args:
        window: the scrapes.
        adapter: of the pod's engine.
        at_seconds: now, by the clock of the scrapes.
        stale_after_seconds: the pod is not decided on when its last scrape is older.
    """
    age_seconds = at_seconds - window.scrapes[-1].at_seconds
    if age_seconds > stale_after_seconds:
        return Stale(age_seconds)
    reading = adapter.read(window)
    if reading is None or not _is_finite(reading):
        return None
    return Live(reading) if _works(reading) else Idle(reading)


def read_blank(result: Iterable[Mapping[str, Any]], settings: PrometheusSettings) -> dict[PodKey, Sample]:
    """Return the answer to a `blank_query`: what exported nothing has done nothing, if its engine is such a one.

    Raises:
        MALFORMED: the result is not shaped like Prometheus'.
    """
    nothing = Reading(
        window_seconds=settings.window_seconds,
        generated_tokens_per_second=0.0,
        prompt_tokens_per_second=0.0,
        running_streams=0.0,
        waiting_requests=0.0,
        requests_per_second=0.0,
    )
    labels = (series["metric"] for series in result)
    return {(pod[settings.namespace_label], pod[settings.pod_label]): Idle(nothing) for pod in labels}


_numbers_of = attrgetter(*(one.name for one in fields(Reading) if one.name != "unmeasured"))


def _is_finite(reading: Reading) -> bool:
    return all(map(math.isfinite, filter(None, _numbers_of(reading))))


def _works(reading: Reading) -> bool:
    return any(
        (
            reading.generated_tokens_per_second,
            reading.prompt_tokens_per_second,
            reading.running_streams,
            reading.waiting_requests,
        )
    )


def _window(signals: Mapping[str, Mapping[Target, Mapping[float, float]]]) -> Window:
    """Return one pod's scrapes.

    A pod that two jobs scrape has two sets of them. One set is taken, the one with more scrapes, because adding
    them up would double the load, and two clocks in one series would look like restarts.
    """
    targets: dict[Target, dict[float, dict[str, float]]] = {}
    for name, by_target in signals.items():
        for target, values in by_target.items():
            scrapes = targets.setdefault(target, {})
            for at, value in values.items():
                if at in scrapes:
                    scrapes[at][name] = value
                else:
                    scrapes[at] = {name: value}
    most = max(targets.values(), key=lambda scrapes: (len(scrapes), max(scrapes, default=0.0)), default={})
    return Window(tuple([Scrape(at, most[at]) for at in sorted(most)]))


def _finite(values: Iterable[tuple[Any, Any]]) -> dict[float, float]:
    """Return the values that are numbers, by timestamp; nearly always that is every one of them."""
    try:
        found = {float(at): float(text) for at, text in values}
    except ValueError:
        found = {float(at): float(text) for at, text in values if _is_number(text)}
    if all(map(math.isfinite, found.values())):
        return found
    return {at: value for at, value in found.items() if math.isfinite(value)}


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
