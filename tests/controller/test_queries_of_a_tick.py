"""What a tick asks Prometheus does not depend on how much there is to ask about."""

from typing import Any

import pytest
from tests.conftest import FakeApiServer
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.prometheus import client
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.connection import Answer
from tokenpace.prometheus.queries import CLOCK
from tokenpace.prometheus.settings import PrometheusSettings


@pytest.mark.parametrize("resources", [1, 50])
async def test_a_tick_asks_once_for_each_signal_and_for_the_time(
    resource: Any, monkeypatch: pytest.MonkeyPatch, resources: int
) -> None:
    asked: list[str] = []

    def ask(_: PrometheusSettings, query: str, at_seconds: float | None = None) -> Answer:  # noqa: ARG001
        asked.append(query)
        return Answer([1000.0, "1000"] if query == CLOCK else [], None)

    def ask_range(_: PrometheusSettings, query: str, **__: object) -> Answer:
        asked.append(query)
        return Answer([], None)

    monkeypatch.setattr(client, "ask", ask)
    monkeypatch.setattr(client, "ask_range", ask_range)
    resource["metadata"]["creationTimestamp"] = "1970-01-01T00:00:00Z"
    fake = FakeApiServer()
    for number in range(resources):
        declare(fake, resource, f"chat-{number}")
    operator = Operator(fake)
    prometheus = Prometheus(PrometheusSettings())
    operator.loop._prometheus = operator.loop._objectives._prometheus = prometheus
    await operator.ticks()
    await prometheus.close()
    assert len(asked) == len(set(asked)) == 10  # the time, the error budget, and the eight signals of llama.cpp
