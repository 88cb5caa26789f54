"""The PromQL that is sent: one query for each engine type, whatever the number of pods."""

from collections.abc import Collection, Mapping

from tokenpace.engines.engine import Signal
from tokenpace.prometheus.settings import PrometheusSettings

CLOCK = "time()"
"""Prometheus' own time: what the age of its samples is measured against."""


def window_query(signals: Collection[Signal], settings: PrometheusSettings) -> str:
    """Return the query for every scrape of these signals, of every pod, over the window.

    A range selector instead of one `rate()` for each signal: docs/decisions/0030.
    """
    metrics = "|".join(sorted({signal.metric for signal in signals}))
    matchers = [f'__name__=~"{metrics}"', *_matchers(settings)]
    return f"{{{','.join(matchers)}}}[{settings.window_seconds}s]"


def _matchers(settings: PrometheusSettings) -> list[str]:
    """Only pods that have a name, in the cluster that the extra matchers choose."""
    named = [f'{label}!=""' for label in (settings.namespace_label, settings.pod_label)]
    return [*named, *_equal(settings.extra_matchers)]


def _equal(labels: Mapping[str, str]) -> list[str]:
    return [f'{label}="{_escaped(value)}"' for label, value in labels.items()]


def _escaped(value: str) -> str:
    r"""Escape what ends or alters a double-quoted PromQL string: ``\``, ``"`` and line breaks."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
