"""What wakes sleeping models: one query for all of them, joined in memory. Pure.

Users declare a metric's name and labels (`tokenpace.api.wake`), never PromQL. What is alike but for namespace and
values is one part of the query: there are as many parts as kinds of gateways, however many models. A part for each of
2,000 models took Prometheus 2.42 33 s, the square of their number; this takes 0.06 s.

The join is what keeps tenants apart: an answer counts for the namespace that its series has, and for exactly the
declared values. The matchers only keep the answer small.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tokenpace.api.wake import WakeSignal, WakeType
from tokenpace.planning.observation import Wake
from tokenpace.prometheus.queries import equal, one_of
from tokenpace.prometheus.settings import PrometheusSettings

MOST_KINDS: Final = 64
"""Kinds of signals that are asked for in a tick. Namespaces take turns, so that one can neither make the query too long
for all others nor take all places."""

ResourceKey = tuple[str, str]
"""Namespace and name of an LLMDeployment."""

_PLACE: Final = "__place__"
"""Label of the answer that says which kind it is of: no user may declare one that begins like this."""


@dataclass(frozen=True, slots=True)
class WakeAnswer:
    """What Prometheus said of the series that wake."""

    wakes: Mapping[ResourceKey, Wake]
    """Of every resource of which it said something. Of the others nothing is known: see `Wake.MISSING`."""
    problem: str | None = None
    """Why nothing or not everything was answered, in one sentence without secrets."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What many signals have in common."""

    metric_name: str
    type: WakeType
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WakeQuestion:
    """The signals of a tick, sorted by kind."""

    settings: PrometheusSettings
    kinds: Mapping[_Kind, Mapping[ResourceKey, tuple[str, ...]]]
    """By kind and resource, the values of the kind's labels."""
    left_out: int
    """Resources that are not asked for."""

    @property
    def query(self) -> str:
        """The one query: above 0 where somebody has asked within the window, else 0 or less."""
        marked = (
            f'label_replace({_values(kind, whose, self.settings)},"{_PLACE}","{place}","","")'
            for place, (kind, whose) in enumerate(self.kinds.items())
        )
        return " or ".join(marked)

    @property
    def problem(self) -> str | None:
        """Why not everything is asked for, if it is not."""
        if not self.left_out:
            return None
        return (
            f"`scaling.wake` is of more than {MOST_KINDS} kinds; of {self.left_out} LLMDeployments it is not asked for"
        )

    def read(self, result: Iterable[Mapping[str, Any]]) -> dict[ResourceKey, Wake]:
        """Return the answer. A value that is no number says nothing.

        Raises:
            MALFORMED: the result is not shaped like Prometheus'.
        """
        kinds = list(self.kinds)
        found: dict[tuple[int, str, tuple[str, ...]], float] = {}
        for series in result:
            labels = series["metric"]
            place = int(labels[_PLACE])
            values = tuple(labels.get(_named(at), "") for at in range(len(kinds[place].labels)))
            found[place, labels[self.settings.namespace_label], values] = float(series["value"][1])
        return {
            key: Wake.ASKED if value > 0 else Wake.SILENT
            for place, kind in enumerate(kinds)
            for key, values in self.kinds[kind].items()
            if not math.isnan(value := found.get((place, key[0], values), math.nan))
        }


def wake_question(signals: Mapping[ResourceKey, WakeSignal], settings: PrometheusSettings) -> WakeQuestion:
    """Return the one question for all these resources, of which there is at least one."""
    kinds: dict[_Kind, dict[ResourceKey, tuple[str, ...]]] = {}
    for key, signal in signals.items():
        declared = {
            label: value
            for label, value in sorted(signal.match_labels.items())
            if label not in settings.extra_matchers and label != settings.namespace_label
        }
        kind = _Kind(signal.metric_name, signal.type, tuple(declared))
        kinds.setdefault(kind, {})[key] = tuple(declared.values())
    ranked = _ranked(kinds)
    left_out = sum(len(kinds[kind]) for kind in ranked[MOST_KINDS:])
    return WakeQuestion(settings, {kind: kinds[kind] for kind in ranked[:MOST_KINDS]}, left_out)


def _ranked(kinds: Mapping[_Kind, Collection[ResourceKey]]) -> list[_Kind]:
    """Return the kinds, those first that are to be asked for first: every namespace's first, then every one's second.

    A namespace's own kinds are in the order of how many namespaces share them, then how many resources.
    """
    sharing = {kind: {namespace for namespace, _ in whose} for kind, whose in kinds.items()}
    common = sorted(
        kinds, key=lambda kind: (-len(sharing[kind]), -len(kinds[kind]), kind.metric_name, kind.type, kind.labels)
    )
    turns: Counter[str] = Counter()
    turn: dict[_Kind, int] = {}
    for kind in common:
        turn[kind] = min(turns[namespace] for namespace in sharing[kind])
        turns.update(sharing[kind])
    return sorted(common, key=turn.__getitem__)


def _values(kind: _Kind, whose: Mapping[ResourceKey, Sequence[str]], settings: PrometheusSettings) -> str:
    """Return the expression for the values of a kind, by namespace and labels.

    Series without a recent scrape say nothing. A counter's first request brings a series that has not grown yet: it
    counts where its target was scraped a window ago without it, which tells it from one that comes back after a gap.
    The metric is matched as a label, since in front of the braces `or` and `sum` are names and break the query.
    """
    own = [
        *equal({label: text for label, text in settings.extra_matchers.items() if label != settings.namespace_label}),
        *one_of({settings.namespace_label: {namespace for namespace, _ in whose}}),
    ]
    declared = one_of({label: {values[at] for values in whose.values()} for at, label in enumerate(kind.labels)})
    series = f"{{{','.join([*equal({'__name__': kind.metric_name}), *declared, *own])}}}"
    window = f"{settings.window_seconds}s"
    recent = f"last_over_time({series}[{round(1000 * settings.stale_after_seconds)}ms])"
    if kind.type is WakeType.GAUGE:
        return _largest(f"max_over_time({series}[{window}]) and {recent}", kind, settings)
    scraped = f"up{{{','.join(own)}}} offset {window} == 1"
    new = f"({series} unless {series} offset {window}) and on (job,instance,{settings.namespace_label}) ({scraped})"
    growth = f"increase({series}[{window}]) and {recent}"
    return f"({_largest(new, kind, settings)} > 0 or {_largest(growth, kind, settings)})"


def _largest(expression: str, kind: _Kind, settings: PrometheusSettings) -> str:
    """Return the largest value by namespace and labels.

    Labels are given names of ours first: `without` and `inf` are legal ones, and none that can be grouped by.
    """
    for place, label in enumerate(kind.labels):
        expression = f'label_replace({expression},"{_named(place)}","$1","{label}","(?s:(.*))")'
    labels = [settings.namespace_label, *map(_named, range(len(kind.labels)))]
    return f"max by ({','.join(labels)}) ({expression})"


def _named(place: int) -> str:
    return f"__label{place}__"
