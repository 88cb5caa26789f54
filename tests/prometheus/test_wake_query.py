"""The one query for whatever wakes, and what may come back."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.prometheus.test_faults import FakePrometheus, fake, status

from tokenpace.api.wake import WakeSignal
from tokenpace.planning.observation import Wake
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.prometheus.wake import MOST_KINDS, wake_question

__all__ = ["fake"]

SETTINGS = PrometheusSettings()
KEY = ("team", "chat")


def signal(**changes: Any) -> WakeSignal:
    return WakeSignal.model_validate({"metricName": "requests_total", **changes})


def length(*signals: WakeSignal) -> int:
    named = {(f"team-{number}", "chat"): one for number, one in enumerate(signals)}
    return len(wake_question(named, SETTINGS).query)


def test_a_namespace_and_a_value_are_all_that_a_model_adds_to_the_query() -> None:
    alike = [signal(matchLabels={"model": f"m{number}"}) for number in range(100)]
    assert length(*alike) - length(alike[0]) < 100 * 64


def test_kinds_beyond_the_bound_are_not_asked_for_and_those_that_most_share_come_first() -> None:
    kinds = {("many", f"c{number}"): signal(metricName=f"a{number}") for number in range(2 * MOST_KINDS)}
    shared = {(f"team-{number}", "chat"): signal(metricName="zz") for number in range(2)}
    question = wake_question(kinds | shared, SETTINGS)
    assert len(question.kinds) == MOST_KINDS
    assert next(iter(question.kinds)).metric_name == "zz"
    assert question.problem == (
        f"`scaling.wake` is of more than {MOST_KINDS} kinds; of {MOST_KINDS + 1} LLMDeployments it is not asked for"
    )


@pytest.mark.parametrize("own", [1, 3])
def test_a_namespace_of_many_kinds_displaces_no_first_kind_of_another(own: int) -> None:
    """Nor by names that sort first, nor by many resources of each kind."""
    greedy = {
        ("greedy", f"c{number}-{copy}"): signal(metricName=f"a{number}")
        for number in range(2 * MOST_KINDS)
        for copy in range(5)
    }
    others = {
        (f"team-{team:02}", f"chat-{number}"): signal(metricName=f"z{team}_{number}")
        for team in range(MOST_KINDS - 1)
        for number in range(own)
    }
    asked = {key[0] for whose in wake_question(greedy | others, SETTINGS).kinds.values() for key in whose}
    assert asked == {"greedy", *(namespace for namespace, _ in others)}


def test_two_namespaces_that_share_many_kinds_displace_no_first_kind_of_another() -> None:
    shared = {
        (namespace, f"c{number}"): signal(metricName=f"a{number}")
        for namespace in ("one", "two")
        for number in range(2 * MOST_KINDS)
    }
    question = wake_question({**shared, KEY: signal(metricName="z")}, SETTINGS)
    assert KEY in {key for whose in question.kinds.values() for key in whose}


def test_the_order_in_which_models_are_listed_changes_nothing() -> None:
    signals = {("team", f"c{number}"): signal(matchLabels={"model": f"m{number % 3}"}) for number in range(9)}
    backwards = dict(reversed(signals.items()))
    assert wake_question(signals, SETTINGS).query == wake_question(backwards, SETTINGS).query


@pytest.mark.parametrize(
    "name", ["", "9lives", "a b", "up{}", 'up{a="b"} or vector', "größe", "a-b", "up\n", "m" * 129]
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        signal(metricName=name)


@pytest.mark.parametrize("label", ["", "namespace", "__name__", "__address__", "9", "a b", 'a="b",c', "a-b", "l" * 64])
def test_a_label_that_is_none_or_that_is_not_the_users_is_refused(label: str) -> None:
    with pytest.raises(ValidationError, match="labels must be letters"):
        signal(matchLabels={label: "x"})


@pytest.mark.parametrize("label", ["_", "_a", "a", "A9_b", "l" * 63])
def test_a_label_that_is_one_is_taken(label: str) -> None:
    assert signal(matchLabels={label: "x"}).match_labels == {label: "x"}


@given(st.floats())
def test_a_value_above_zero_asks_and_one_that_is_no_number_says_nothing(value: float) -> None:
    series = {"metric": {"__place__": "0", "namespace": "team"}, "value": [1.0, str(value)]}
    found = wake_question({KEY: signal()}, SETTINGS).read([series])
    expected = {} if math.isnan(value) else {KEY: Wake.ASKED if value > 0 else Wake.SILENT}
    assert found == expected


async def test_without_an_answer_nothing_is_known_and_the_reason_is_told(fake: FakePrometheus) -> None:
    fake.reply = status(503)
    prometheus = Prometheus(PrometheusSettings(url=fake.url))
    answer = await prometheus.wakes({KEY: signal()})
    await prometheus.close()
    assert (answer.wakes, answer.problem) == ({}, f"Prometheus at {fake.url} answered HTTP 503")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data":{"result":[{"metric":{}}]}}'])
async def test_an_answer_that_is_not_prometheus_says_nothing(fake: FakePrometheus, body: bytes) -> None:
    fake.reply = status(200, body)
    prometheus = Prometheus(PrometheusSettings(url=fake.url))
    answer = await prometheus.wakes({KEY: signal()})
    await prometheus.close()
    assert answer.wakes == {}
    assert answer.problem is not None


async def test_all_models_are_one_request_whose_question_is_in_its_body(fake: FakePrometheus) -> None:
    """Proxies take addresses of 8 kB."""
    fake.reply = status(200, b'{"status":"success","data":{"result":[]}}')
    prometheus = Prometheus(PrometheusSettings(url=fake.url))
    for count in (1, 300):
        fake.requests.clear()
        answer = await prometheus.wakes({("team", f"chat-{number}"): signal() for number in range(count)})
        assert (answer.problem, [request.path for request in fake.requests]) == (None, ["/api/v1/query"])
    await prometheus.close()
