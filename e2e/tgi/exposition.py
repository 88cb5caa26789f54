"""The metrics of TGI's router v3, in the text format of Prometheus.

prometheus_client would append `_total` to counters and show a series before its first use; TGI's exporter does neither.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from operator import mul

TYPES = {
    "tgi_request_count": "counter",
    "tgi_request_success": "counter",
    "tgi_request_failure": "counter",
    "tgi_request_duration": "histogram",
    "tgi_request_validation_duration": "histogram",
    "tgi_request_queue_duration": "histogram",
    "tgi_request_inference_duration": "histogram",
    "tgi_request_mean_time_per_token_duration": "histogram",
    "tgi_request_generated_tokens": "histogram",
    "tgi_request_input_length": "histogram",
    "tgi_request_max_new_tokens": "histogram",
    "tgi_request_skipped_tokens": "summary",
    "tgi_queue_size": "gauge",
    "tgi_batch_current_size": "gauge",
    "tgi_batch_current_max_tokens": "gauge",
    "tgi_batch_concat": "counter",
    "tgi_batch_inference_count": "counter",
    "tgi_batch_inference_success": "counter",
    "tgi_batch_inference_duration": "histogram",
}
DURATION_EDGES = tuple(accumulate(repeat(1.5, 34), mul, initial=0.0001 * 1.5))
"""Upper edges in seconds of the buckets of every duration."""

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Distribution:
    """Observations of one series; without edges only their sum and number, as a summary without quantiles."""

    edges: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.edges) + 1)

    def observe(self, value: float) -> None:
        """Count one value into the first bucket whose upper edge it does not exceed."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value


class Exposition:
    """All series; one exists from its first use on, as in TGI."""

    def __init__(self, *, max_input_tokens: int, max_total_tokens: int) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        self._distributions: dict[str, dict[Labels, Distribution]] = {}
        self._token_edges = {
            "tgi_request_input_length": hundred_edges(max_input_tokens),
            "tgi_request_max_new_tokens": hundred_edges(max_total_tokens),
            "tgi_request_generated_tokens": hundred_edges(max_total_tokens),
        }

    def increment(self, counter: str, **labels: str) -> None:
        """Add one to a counter."""
        series = self._values.setdefault(counter, {})
        key = tuple(labels.items())
        series[key] = series.get(key, 0) + 1

    def set(self, gauge: str, value: float) -> None:
        """Set a gauge."""
        self._values[gauge] = {(): value}

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record a value in a histogram or a summary."""
        series = self._distributions.setdefault(name, {})
        key = tuple(labels.items())
        if key not in series:
            series[key] = Distribution(self._edges(name))
        series[key].observe(value)

    def render(self) -> str:
        """The text of an answer to a scrape; empty before the first request."""
        return "".join(f"{line}\n" for line in self._lines())

    def _edges(self, name: str) -> Sequence[float]:
        if TYPES[name] == "summary":
            return ()
        return self._token_edges.get(name, DURATION_EDGES)

    def _lines(self) -> Iterator[str]:
        for name, values in self._values.items():
            yield f"# TYPE {name} {TYPES[name]}"
            yield from (f"{name}{_braces(labels)} {_number(value)}" for labels, value in values.items())
            yield ""
        for name, distributions in self._distributions.items():
            yield f"# TYPE {name} {TYPES[name]}"
            for labels, distribution in distributions.items():
                yield from _distribution_lines(name, labels, distribution)
            yield ""


def hundred_edges(largest: int) -> tuple[float, ...]:
    """A hundred equal buckets up to the largest number of tokens."""
    return tuple(largest / 100 * step for step in range(1, 101))


def _distribution_lines(name: str, labels: Labels, distribution: Distribution) -> Iterator[str]:
    count = 0
    for edge, more in zip(distribution.edges, distribution.counts, strict=False):
        count += more
        yield f"{name}_bucket{_braces((*labels, ('le', _number(edge))))} {count}"
    whole = sum(distribution.counts)
    if distribution.edges:
        yield f"{name}_bucket{_braces((*labels, ('le', '+Inf')))} {whole}"
    yield f"{name}_sum{_braces(labels)} {_number(distribution.total)}"
    yield f"{name}_count{_braces(labels)} {whole}"


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
