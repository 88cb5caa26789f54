"""From what Prometheus answers to one `Sample` for each pod. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from tokenpace.api.variant import EngineType
from tokenpace.engines.engine import EngineAdapter, Signal
from tokenpace.engines.window import Scrape, Window
from tokenpace.planning.observation import Idle, Live, Missing, Reading, Sample, Stale
from tokenpace.prometheus.settings import PrometheusSettings

PodKey = tuple[str, str]
"""Namespace and name of a pod."""

_Scrapes = dict[float, dict[str, float]]
"""Values by signal, by timestamp."""


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """What Prometheus said in one tick."""

    samples: Mapping[PodKey, Sample]
    """Of every pod with series. A pod that is not here has none: see `sample_of`."""
    problems: Mapping[EngineType, str]
    """By engine type, why nothing or not everything was answered, in one sentence without secrets."""

    @property
    def problem(self) -> str | None:
        """All problems in one sentence, each once; None when everything was answered."""
        return "; ".join(dict.fromkeys(self.problems.values())) or None


def sample_of(samples: Mapping[PodKey, Sample], namespace: str, pod: str) -> Sample:
    """Return what is known of a ready pod: without series nothing is, and that is not zero."""
    return samples.get((namespace, pod), Missing())


def read_samples(
    result: Iterable[Mapping[str, Any]], adapter: EngineAdapter, at_seconds: float, settings: PrometheusSettings
) -> dict[PodKey, Sample]:
    """Return the samples in the answer to a `window_query`, evaluated at `at_seconds` of Prometheus' clock.

    A pod whose scrapes do not suffice for a reading is left out: it counts as having no series.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: the result is not shaped like Prometheus'.
    """
    windows = _windows(result, adapter.signals, settings)
    read = ((pod, _sample(window, adapter, at_seconds, settings)) for pod, window in windows)
    return {pod: sample for pod, sample in read if sample is not None}


def _sample(
    window: Window, adapter: EngineAdapter, at_seconds: float, settings: PrometheusSettings
) -> Live | Idle | Stale | None:
    age_seconds = at_seconds - window.scrapes[-1].at_seconds
    if age_seconds > settings.stale_after_seconds:
        return Stale(age_seconds)
    reading = adapter.read(window)
    if reading is None or not all(math.isfinite(number) for number in astuple(reading) if number is not None):
        return None
    return Live(reading) if _works(reading) else Idle(reading)


def _works(reading: Reading) -> bool:
    return any(
        (
            reading.generated_tokens_per_second,
            reading.prompt_tokens_per_second,
            reading.running_streams,
            reading.waiting_requests,
        )
    )


def _windows(
    result: Iterable[Mapping[str, Any]], signals: Mapping[str, Signal], settings: PrometheusSettings
) -> Iterator[tuple[PodKey, Window]]:
    """Yield each pod with its scrapes.

    A pod that two jobs scrape has two sets of them. One set is taken, the one with more scrapes, because adding
    them up would double the load, and two clocks in one series would look like restarts.
    """
    for pod, targets in _scrapes_by_target(result, signals, settings).items():
        scrapes = max(targets.values(), key=lambda scrapes: (len(scrapes), max(scrapes)))
        yield pod, Window(tuple(Scrape(at, scrapes[at]) for at in sorted(scrapes)))


def _scrapes_by_target(
    result: Iterable[Mapping[str, Any]], signals: Mapping[str, Signal], settings: PrometheusSettings
) -> dict[PodKey, dict[tuple[str, str], _Scrapes]]:
    pods: dict[PodKey, dict[tuple[str, str], _Scrapes]] = {}
    for series in result:
        labels = series["metric"]
        names = [name for name, signal in signals.items() if _belongs(labels, signal)]
        pod = labels[settings.namespace_label], labels[settings.pod_label]
        target = labels.get("job", ""), labels.get("instance", "")
        for at, value in _finite(series["values"]):
            values = pods.setdefault(pod, {}).setdefault(target, {}).setdefault(at, {})
            for name in names:
                values[name] = values.get(name, 0.0) + value
    return pods


def _belongs(labels: Mapping[str, str], signal: Signal) -> bool:
    return labels["__name__"] == signal.metric and signal.labels.items() <= labels.items()


def _finite(values: Iterable[tuple[Any, Any]]) -> Iterator[tuple[float, float]]:
    """Yield timestamps and values, without those that are NaN, infinite or no numbers at all."""
    for at, text in values:
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            yield float(at), value
