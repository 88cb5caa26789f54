"""Which rates are measured, of a server that is full at a known one."""

import pytest
from tests.bench.results import a_point

from tokenpace.bench.errors import NotAnsweringError
from tokenpace.bench.result import Point
from tokenpace.bench.sweep import MOST_POINTS, declared, sweep


class Server:
    """Serves up to `most` requests a second, and nobody after some points; the generator lags from `lags_from` on."""

    def __init__(self, most: float, lags_from: float = float("inf"), points: int = MOST_POINTS) -> None:
        self.asked: list[float] = []
        self._most, self._lags_from, self._points = most, lags_from, points

    async def measure(self, rate: float) -> Point:
        if len(self.asked) == self._points:
            raise NotAnsweringError("a request on its own failed")
        self.asked.append(rate)
        refused = "the generator lagged" if rate >= self._lags_from else None
        return a_point(rate, saturated=rate > self._most, refused=refused)


async def test_rates_double_until_the_server_is_full_and_then_close_in_on_it() -> None:
    server = Server(most=5.5)
    points = await sweep(server.measure, 1.0, bisections=2)
    assert server.asked == [1.0, 2.0, 4.0, 8.0, 6.0, 5.0]
    assert [one.offered_requests_per_second for one in points] == sorted(server.asked)


async def test_a_server_that_is_full_at_the_first_rate_is_asked_for_less() -> None:
    server = Server(most=0.3)
    await sweep(server.measure, 1.0, bisections=1)
    assert server.asked == [1.0, 0.5, 0.25, 0.375]


async def test_a_generator_at_its_limit_ends_the_doubling() -> None:
    server = Server(most=1e9, lags_from=100.0)
    points = await sweep(server.measure, 1.0, bisections=0)
    assert points[-1].offered_requests_per_second == 128.0


@pytest.mark.parametrize("most", [0.0, 1e9], ids=["a server that serves nothing", "one that serves all"])
async def test_a_sweep_has_an_end_whatever_the_server_does(most: float) -> None:
    server = Server(most=most)
    await sweep(server.measure, 1.0, bisections=3)
    assert len(server.asked) == MOST_POINTS


async def test_what_was_found_stays_when_the_server_stops_answering() -> None:
    found = await sweep(Server(most=5.5, points=2).measure, 1.0, bisections=2)
    given = await declared(Server(most=5.5, points=1).measure, [2.0, 1.0])
    assert [one.offered_requests_per_second for one in found] == [1.0, 2.0]
    assert [one.offered_requests_per_second for one in given] == [1.0]


async def test_a_server_that_does_not_answer_before_the_first_point_is_an_error() -> None:
    with pytest.raises(NotAnsweringError):
        await sweep(Server(most=5.5, points=0).measure, 1.0, bisections=2)
    with pytest.raises(NotAnsweringError):
        await declared(Server(most=5.5, points=0).measure, [1.0])


async def test_declared_rates_are_measured_from_the_smallest_on() -> None:
    server = Server(most=2.0)
    await declared(server.measure, [4.0, 1.0])
    assert server.asked == [1.0, 4.0]
