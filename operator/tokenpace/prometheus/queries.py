"""The PromQL that is sent: a query for each signal of an engine type and one more, whatever the number of pods.

Of servers whose users name the metrics it is a query for each role of a metric, whatever the number of names.
What wakes sleeping models is asked for in `tokenpace.prometheus.wake`.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from tokenpace.engines.engine import Signal
from tokenpace.prometheus.settings import PrometheusSettings

_META: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
"""What means something in RE2 beside itself."""
_ESCAPE: Final = r"\\\g<0>"

CLOCK = "time()"
"""Prometheus' own time: what the age of its samples is measured against."""


def window_query(signal: Signal, settings: PrometheusSettings) -> str:
    """Return the query for every scrape of a signal, of every pod that has a name, over the window.

    A range selector instead of a `rate()`: docs/decisions/0030.
    """
    return f"{signal.metric}{{{','.join(_matchers(signal.labels, settings))}}}[{settings.window_seconds}s]"


def any_of_query(metrics: Collection[str], settings: PrometheusSettings) -> str:
    """Return the same query for every series of any of these metrics, whose names are letters, digits, `_` and `:`."""
    one_of = f'__name__=~"{"|".join(sorted(metrics))}"'
    return f"{{{','.join([one_of, *_matchers({}, settings)])}}}[{settings.window_seconds}s]"


def blank_query(settings: PrometheusSettings) -> str:
    """Return the query for the pods that were scraped all through the window, and once or more exported nothing.

    Both series are Prometheus' own, one for each target of the cluster; the answer holds only the blank ones.
    """
    samples, up = (
        f"min_over_time({window_query(Signal(metric), settings)})" for metric in ("scrape_samples_scraped", "up")
    )
    return f"{samples} == 0 and {up} == 1"


def _matchers(labels: Mapping[str, str], settings: PrometheusSettings) -> list[str]:
    present = [f'{label}!=""' for label in (settings.namespace_label, settings.pod_label)]
    required = {**labels, **settings.extra_matchers}
    return [*present, *equal(required)]


def equal(labels: Mapping[str, str]) -> list[str]:
    """Return matchers for labels that must have exactly these values, whatever the values hold."""
    return [f'{label}="{_escaped(value)}"' for label, value in labels.items()]


def one_of(labels: Mapping[str, Collection[str]]) -> list[str]:
    """Return matchers for labels that must have exactly one of some values each, whatever the values hold."""
    return [
        f'{label}=~"{_escaped("|".join(_META.sub(_ESCAPE, value) for value in sorted(values)))}"'
        for label, values in labels.items()
    ]


def _escaped(value: str) -> str:
    r"""Escape what ends or alters a double-quoted PromQL string: ``\``, ``"`` and line breaks."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
