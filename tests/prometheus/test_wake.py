"""What wakes, as a real Prometheus answers: one query for all, each value as it stands, each namespace for itself."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prometheus.conftest import NOW, StartPrometheus

from tokenpace.api.wake import WakeSignal
from tokenpace.planning.observation import Wake
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.prometheus.wake import ResourceKey, WakeAnswer, wake_question

pytestmark = pytest.mark.prometheus

SETTINGS = PrometheusSettings()
AGES = tuple(range(-180, 0, 15))
"""When the gateway was scraped, in seconds before `NOW`."""

ODD_VALUES = (
    '"} or vector(1) or up{a="',
    "\\",
    '\\"',
    "a\nb",
    "\t\r\x7f",
    "$1 ${pod}",
    "'`",
    "}[1y]",
    "größe-模型-🙂",
    "# comment",
    "{{.}}",
    " ",
)


def steady(value: float) -> dict[int, float]:
    return dict.fromkeys(AGES, value)


def counted(*, asked: int | None = None, scraped: Iterable[int] = AGES) -> dict[int, float]:
    """Return a counter that has stood at 500, and grew at a moment if one is given."""
    return {age: 500.0 + (asked is not None and age >= asked) for age in scraped}


SERIES: tuple[tuple[str, dict[str, str], Mapping[int, float]], ...] = (
    ("requests_total", {"model": "asked"}, counted(asked=-20)),
    ("requests_total", {"model": "long-ago"}, counted(asked=-90)),
    ("requests_total", {"model": "silent"}, counted()),
    ("requests_total", {"model": "restarted"}, {**counted(), -15: 1.0}),
    # Its very first request has made the series.
    ("requests_total", {"model": "first"}, {-15: 1.0}),
    # A target that was not scraped for a while, and has counted nothing meanwhile.
    ("requests_total", {"model": "gap", "instance": "back:80"}, counted(scraped=(-15,))),
    ("requests_total", {"model": "gap-over", "instance": "back:80"}, counted(scraped=(-30, -15))),
    ("requests_total", {"model": "stale"}, counted(asked=-60, scraped=tuple(range(-180, -50, 15)))),
    ("requests_total", {"model": "no-number"}, steady(float("nan"))),
    ("requests_total", {"model": "one-of-two", "pod": "a"}, counted()),
    ("requests_total", {"model": "one-of-two", "pod": "b"}, counted(asked=-20)),
    ("requests_total", {"model": "theirs", "namespace": "other"}, counted(asked=-20)),
    ("requests_total", {"model": "cluster", "cluster": "eu"}, counted()),
    ("requests_total", {"model": "cluster", "cluster": "us"}, counted(asked=-20)),
    ("requests_total", {"model": "renamed", "tenant": "team", "namespace": "gateways"}, counted(asked=-20)),
    ("queue", {"model": "waiting"}, steady(3.0)),
    ("queue", {"model": "empty"}, steady(0.0)),
    ("queue", {"model": "was-waiting"}, {**steady(0.0), -30: 2.0}),
    ("queue", {"model": "below"}, steady(-1.0)),
    ("or", {"model": "keyword"}, counted(asked=-20)),
    *(("odd_total", {"model": value}, counted(asked=-20)) for value in ODD_VALUES),
    ("up", {"instance": "gateway:80"}, steady(1.0)),
    ("up", {"instance": "back:80"}, {age: float(age >= -30) for age in AGES if age not in range(-75, -30)}),
    ("up", {"instance": "gateway:80", "namespace": "other"}, steady(1.0)),
)


def quoted(value: str) -> str:
    """Return a label value as OpenMetrics has it."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def lines() -> Iterator[tuple[str, str]]:
    for metric, own, values in SERIES:
        labels = {"namespace": "team", "job": "gateway", "instance": "gateway:80", **own}
        rendered = ",".join(f"{label}={quoted(value)}" for label, value in labels.items())
        for age, value in sorted(values.items()):
            yield metric, f"{metric}{{{rendered}}} {value} {NOW + age:.3f}"


@pytest.fixture(scope="module")
def gateway_url(tmp_path_factory: pytest.TempPathFactory, start_prometheus: StartPrometheus) -> Iterator[str]:
    """A real Prometheus that has scraped `SERIES`."""
    directory: Path = tmp_path_factory.mktemp("gateway")
    written = sorted(lines(), key=lambda line: line[0])
    (directory / "scrapes.txt").write_text("".join(f"{line}\n" for _, line in written) + "# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", directory / "scrapes.txt", directory / "data"]
    subprocess.run(command, check=True, capture_output=True)
    with start_prometheus(directory, "global: {}\n") as url:
        yield url


async def wakes(url: str, signals: Mapping[ResourceKey, WakeSignal], **changes: Any) -> WakeAnswer:
    prometheus = Prometheus(PrometheusSettings(url=url, **changes))
    try:
        return await prometheus.wakes(signals, NOW)
    finally:
        await prometheus.close()


async def wake(url: str, metric: str, namespace: str = "team", kind: str = "Counter", **labels: str) -> Wake:
    """Return what is known of one resource."""
    signal = WakeSignal.model_validate({"metricName": metric, "matchLabels": labels, "type": kind})
    answer = await wakes(url, {(namespace, "chat"): signal})
    assert answer.problem is None
    return answer.wakes.get((namespace, "chat"), Wake.MISSING)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("asked", Wake.ASKED),
        ("long-ago", Wake.SILENT),
        ("silent", Wake.SILENT),
        ("restarted", Wake.ASKED),
        ("first", Wake.ASKED),
        ("gap", Wake.MISSING),
        ("gap-over", Wake.SILENT),
        ("stale", Wake.MISSING),
        ("no-number", Wake.MISSING),
        ("one-of-two", Wake.ASKED),
        ("never-there", Wake.MISSING),
    ],
)
async def test_a_counter_asks_when_it_grows(gateway_url: str, model: str, expected: Wake) -> None:
    assert await wake(gateway_url, "requests_total", model=model) is expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("waiting", Wake.ASKED),
        ("was-waiting", Wake.ASKED),
        ("empty", Wake.SILENT),
        ("below", Wake.SILENT),
        ("never-there", Wake.MISSING),
    ],
)
async def test_a_gauge_asks_while_it_is_above_zero(gateway_url: str, model: str, expected: Wake) -> None:
    assert await wake(gateway_url, "queue", kind="Gauge", model=model) is expected


async def test_nobody_reads_the_series_of_another_namespace(gateway_url: str) -> None:
    assert await wake(gateway_url, "requests_total", model="theirs") is Wake.MISSING
    assert await wake(gateway_url, "requests_total", namespace="other", model="theirs") is Wake.ASKED


async def test_a_label_that_is_the_operators_own_is_not_the_users(gateway_url: str) -> None:
    """Where another label holds the namespace, the schema does not know it."""
    signal = WakeSignal.model_validate(
        {"metricName": "requests_total", "matchLabels": {"model": "renamed", "tenant": "team", "cluster": "us"}}
    )
    for namespace, expected in (("team", Wake.ASKED), ("other", None)):
        answer = await wakes(
            gateway_url, {(namespace, "chat"): signal}, namespace_label="tenant", extra_matchers={"cluster": ""}
        )
        assert (answer.problem, answer.wakes.get((namespace, "chat"))) == (None, expected)


async def test_an_extra_matcher_leaves_out_other_clusters(gateway_url: str) -> None:
    signal = WakeSignal.model_validate({"metricName": "requests_total", "matchLabels": {"model": "cluster"}})
    answer = await wakes(gateway_url, {("team", "chat"): signal}, extra_matchers={"cluster": "eu"})
    assert answer.wakes == {("team", "chat"): Wake.SILENT}


@pytest.mark.parametrize("value", ODD_VALUES)
async def test_a_value_is_compared_as_it_stands(gateway_url: str, value: str) -> None:
    assert await wake(gateway_url, "odd_total", model=value) is Wake.ASKED


@pytest.mark.parametrize("metric", ["or", "sum", "by", "inf", "bool"])
async def test_a_name_that_is_a_word_of_promql_breaks_nobody_elses_query(gateway_url: str, metric: str) -> None:
    signals = {
        ("team", "odd"): WakeSignal.model_validate({"metricName": metric}),
        ("team", "chat"): WakeSignal.model_validate(
            {"metricName": "requests_total", "matchLabels": {"model": "asked"}}
        ),
    }
    answer = await wakes(gateway_url, signals)
    assert (answer.problem, answer.wakes["team", "chat"]) == (None, Wake.ASKED)


KEYWORDS = (
    "and",
    "atan2",
    "bool",
    "by",
    "count",
    "end",
    "group_left",
    "offset",
    "on",
    "or",
    "start",
    "sum",
    "without",
    "inf",
    "NaN",
)


@pytest.mark.parametrize("label", [*KEYWORDS, "job", "instance", "place", "le"])
async def test_a_label_that_is_a_word_of_promql_breaks_nothing(gateway_url: str, label: str) -> None:
    assert await wake(gateway_url, "requests_total", **{label: "nothing"}) is Wake.MISSING


async def test_models_that_share_a_query_are_told_apart(gateway_url: str) -> None:
    """The matchers of the query let through what is of one's namespace and another one's value."""

    def of(model: str, route: str = "") -> WakeSignal:
        labels = {"model": model, "route": route}
        return WakeSignal.model_validate({"metricName": "requests_total", "matchLabels": labels})

    signals = {
        ("team", "asked"): of("asked"),
        ("team", "asked-too"): of("asked"),
        ("team", "silent"): of("silent"),
        ("team", "dots"): of("a.ked"),
        ("team", "part"): of("ask"),
        ("team", "everything"): of(".*"),
        ("team", "nothing"): of(""),
        ("team", "theirs"): of("theirs"),
        ("team", "elsewhere"): of("asked", "chat"),
        ("other", "ours"): of("asked"),
        ("other", "theirs"): of("theirs"),
    }
    answer = await wakes(gateway_url, signals)
    assert answer == WakeAnswer(
        {
            ("team", "asked"): Wake.ASKED,
            ("team", "asked-too"): Wake.ASKED,
            ("team", "silent"): Wake.SILENT,
            ("other", "theirs"): Wake.ASKED,
        }
    )


MODELS = {labels.get("model") for _, labels, _ in SERIES}


def labelled(model: str) -> WakeSignal:
    return WakeSignal(metric_name="requests_total", match_labels={"model": model})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128), min_size=1, max_size=8))
def test_no_value_changes_what_is_asked(gateway_url: str, values: list[str]) -> None:
    """Whatever they hold, the query is one that Prometheus takes, and the others' answers are as they were."""
    odd = {("team", f"odd-{place}"): labelled(value) for place, value in enumerate(values)}
    question = wake_question({**odd, ("team", "chat"): labelled("asked")}, SETTINGS)
    answer = requests.post(f"{gateway_url}/api/v1/query", data={"query": question.query, "time": NOW}, timeout=5).json()
    assert answer["status"] == "success", answer
    found = question.read(answer["data"]["result"])
    assert found.pop(("team", "chat")) is Wake.ASKED
    assert found.keys() <= {key for key, signal in odd.items() if signal.match_labels["model"] in MODELS}


async def test_two_thousand_models_are_answered_at_once(gateway_url: str) -> None:
    """Within the time that a tick's queries may take; every tenth is one of those that are asked for."""
    signals = {
        (f"team-{number}" if number % 10 else "team", f"chat-{number}"): WakeSignal.model_validate(
            {"metricName": "requests_total", "matchLabels": {"model": "asked", "number": ""}}
        )
        for number in range(2000)
    }
    answer = await wakes(gateway_url, signals)
    assert (answer.problem, len(answer.wakes)) == (None, 200)
