import pytest

from tokenpace.planning import arrivals
from tokenpace.planning.arrivals import Offered

NOW, WINDOW = 1000.0, 60.0


def old(before: float, since_change: float, after: float) -> float:
    """Return what the window of an old pod shows when its requests have changed."""
    return (before * (WINDOW - since_change) + after * since_change) / WINDOW


def total(pods: dict[str, Offered], unseen_factor: float = 1.0) -> float:
    return arrivals.offered_tokens_per_second(pods, NOW, WINDOW, unseen_factor)


def pod(tokens_per_second: float, since: float = 0.0, until: float = NOW) -> Offered:
    return Offered(tokens_per_second=tokens_per_second, since_seconds=since, until_seconds=until)


@pytest.mark.parametrize("ago", [5.0, 20.0, 45.0, 90.0])
def test_pods_that_join_add_nothing_to_what_is_asked(ago: float) -> None:
    seen = old(100.0, min(ago, WINDOW), 50.0)
    new = {name: pod(50.0, since=NOW - ago) for name in ("c", "d")}
    assert total({"a": pod(seen), "b": pod(seen), **new}) == pytest.approx(200.0)


@pytest.mark.parametrize("ago", [5.0, 20.0, 45.0])
def test_pods_that_leave_take_nothing_from_what_is_asked(ago: float) -> None:
    stays, left = old(50.0, ago, 200.0), pod(50.0, until=NOW - ago)
    before = {"a": pod(50.0), "b": left, "c": left, "d": left}
    pods = arrivals.after(before, {"a": pod(stays)}, {"a"}, NOW - WINDOW)
    assert total(pods) == pytest.approx(200.0)


def test_a_pod_that_left_more_than_a_window_ago_is_forgotten() -> None:
    assert arrivals.after({"a": pod(50.0, until=NOW - WINDOW)}, {}, (), NOW - WINDOW) == {}


def test_a_pod_that_serves_unseen_is_taken_to_be_like_the_others_and_not_as_gone() -> None:
    before = {"a": pod(50.0, until=NOW - 10), "b": pod(50.0, until=NOW - 10)}
    pods = arrivals.after(before, {"a": pod(60.0)}, {"a", "b"}, NOW - WINDOW)
    assert total(pods, unseen_factor=2.0) == pytest.approx(120.0)
