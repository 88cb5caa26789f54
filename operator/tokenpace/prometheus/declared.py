"""Servers whose users say what their metrics are called: many names, and still one query a role. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.engines.registry import reader_of
from tokenpace.planning.observation import Sample
from tokenpace.prometheus.samples import PodKey, Series, read_samples, read_series
from tokenpace.prometheus.settings import PrometheusSettings

SeriesByName = Mapping[str, Series]
"""What was answered of each metric."""


def names_by_role(declared: Iterable[DeclaredMetrics]) -> dict[str, set[str]]:
    """Return every name that is declared for each role: as many queries as there are roles, whoever declares."""
    names: dict[str, set[str]] = {}
    for metrics in declared:
        for role, signal in reader_of(metrics).signals.items():
            names.setdefault(role, set()).add(signal.metric)
    return names


def read_by_name(result: Iterable[Mapping[str, Any]], settings: PrometheusSettings) -> SeriesByName:
    """Return the answer to an `any_of_query`, metric by metric.

    Raises:
        MALFORMED: the result is not shaped like Prometheus'.
    """
    results: dict[str, list[Mapping[str, Any]]] = {}
    for series in result:
        results.setdefault(series["metric"]["__name__"], []).append(series)
    return {name: read_series(found, settings) for name, found in results.items()}


def read_declared(
    declared: Collection[DeclaredMetrics],
    answers: Mapping[str, SeriesByName],
    at_seconds: float,
    settings: PrometheusSettings,
) -> dict[DeclaredMetrics, Mapping[PodKey, Sample]]:
    """Return for each of the declared sets of names the pods that export them, from what each role was answered."""
    found: dict[DeclaredMetrics, Mapping[PodKey, Sample]] = {}
    for metrics in declared:
        reader = reader_of(metrics)
        series = {role: answers[role].get(signal.metric, {}) for role, signal in reader.signals.items()}
        found[metrics] = read_samples(series, reader, at_seconds, settings)
    return found
