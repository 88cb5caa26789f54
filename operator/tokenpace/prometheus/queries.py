"""The PromQL that is sent: one query for each signal of an engine type, whatever the number of pods."""

from tokenpace.engines.engine import Signal
from tokenpace.prometheus.settings import PrometheusSettings

CLOCK = "time()"
"""Prometheus' own time: what the age of its samples is measured against."""


def window_query(signal: Signal, settings: PrometheusSettings) -> str:
    """Return the query for every scrape of a signal, of every pod that has a name, over the window.

    A range selector instead of a `rate()`: docs/decisions/0030.
    """
    present = [f'{label}!=""' for label in (settings.namespace_label, settings.pod_label)]
    required = {**signal.labels, **settings.extra_matchers}
    equal = [f'{label}="{_escaped(value)}"' for label, value in required.items()]
    return f"{signal.metric}{{{','.join([*present, *equal])}}}[{settings.window_seconds}s]"


def _escaped(value: str) -> str:
    r"""Escape what ends or alters a double-quoted PromQL string: ``\``, ``"`` and line breaks."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
