"""The last hours, remembered within bounds."""

import sys
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.page.scene import NOW, stamp

from tokenpace.controller.page.history import DECISIONS, POINTS, History, Past


def resource(uid: str = "u", **status: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": "chat", "namespace": "shop"}, "status": status}


def decision(number: int, message: str = "Enough.") -> dict[str, Any]:
    return {"time": stamp(NOW + number), "action": f"q8: {number}", "reason": "AtTarget", "message": message}


def past_of(*statuses: dict[str, Any], seconds: float = 60.0) -> Past:
    past = Past()
    for number, status in enumerate(statuses):
        past.note(status, NOW + number * seconds)
    return past


def test_a_point_holds_what_the_status_said() -> None:
    speeds = {"demand": "450", "served": "440.5", "capacity": "600", "stream": "31"}
    (point,) = past_of({"tokensPerSecond": speeds, "replicas": 3, "readyReplicas": 2, "variant": "q8"}).points()
    assert (point.at_seconds, point.demand, point.served, point.capacity) == (NOW, 450.0, 440.5, 600.0)
    assert (point.stream, point.replicas, point.ready, point.variant) == (31.0, 3.0, 2.0, "q8")


def test_what_was_not_known_is_not_zero() -> None:
    (point,) = past_of({"tokensPerSecond": {"demand": "0"}}).points()
    assert (point.demand, point.served) == (0.0, None)


@pytest.mark.parametrize("variant", [None, 5, ["q8"]])
def test_a_variant_that_is_no_name_is_not_known(variant: Any) -> None:
    assert past_of({"variant": variant}).points()[0].variant is None


@pytest.mark.parametrize("value", ["NaN", "Infinity", "fast", "9" * 400, [], None, {"a": 1}])
def test_a_number_that_is_none_is_not_known(value: Any) -> None:
    past = past_of({"tokensPerSecond": {"demand": value}, "replicas": value}, {"tokensPerSecond": value})
    assert [(point.demand, point.replicas) for point in past.points()] == [(None, None), (None, None)]


def test_looking_often_makes_one_point_a_minute() -> None:
    past = past_of(*[{}] * 241, seconds=0.5)
    assert len(past.points()) in (2, 3)


def test_six_hours_are_kept_and_the_oldest_goes_first() -> None:
    points = past_of(*[{}] * (POINTS + 5)).points()
    assert (len(points), points[0].at_seconds) == (POINTS, NOW + 5 * 60)


@given(st.integers(0, 2 * POINTS), st.integers(1, POINTS))
def test_fewer_points_are_evenly_spaced_and_hold_the_latest(known: int, most: int) -> None:
    past = past_of(*[{}] * known)
    few, all_of_them = past.points(most), past.points()
    assert len(few) <= most
    assert few[-1:] == all_of_them[-1:]
    assert len({after.at_seconds - before.at_seconds for before, after in pairwise(few)}) <= 1


def test_a_decision_is_noted_once_though_its_sentence_gets_new_numbers() -> None:
    past = past_of({"lastDecision": decision(1)}, {"lastDecision": decision(1, "Still enough.")})
    assert [(one.action, one.reason, one.message) for one in past.decisions] == [("q8: 1", "AtTarget", "Enough.")]


def test_a_decision_tells_whether_the_fleet_became_another_one() -> None:
    stays = decision(1) | {"time": stamp(NOW + 9), "reason": "Stabilizing"}
    past = past_of({"lastDecision": decision(1)}, {"lastDecision": stays}, {"lastDecision": decision(2)})
    assert [one.moved for one in past.decisions] == [True, False, True]


def test_decisions_are_told_the_latest_first_and_only_so_many() -> None:
    past = past_of(*({"lastDecision": decision(number)} for number in range(DECISIONS + 3)), seconds=0.5)
    assert len(past.decisions) == DECISIONS
    assert past.decisions[0].action == f"q8: {DECISIONS + 2}"


@pytest.mark.parametrize("broken", ["none", 5, {}, {"time": "soon"}, {"time": [1], "action": {}}])
def test_a_decision_that_cannot_be_read_is_none(broken: Any) -> None:
    assert past_of({"lastDecision": broken}, {"lastDecision": broken}).decisions == ()


def test_what_is_deleted_is_forgotten_and_a_namesake_begins_anew() -> None:
    history, old, new = History(), resource("old", replicas=1), resource("new", replicas=1)
    history.note([old], NOW)
    history.note([new], NOW)
    assert (len(history.of(old).points()), len(history.of(new).points())) == (0, 1)


def test_one_that_has_not_been_looked_at_yet_has_no_past() -> None:
    assert (History().of(resource()).points(), History().of(resource()).decisions) == ([], ())


def test_a_resource_without_a_status_has_a_past_too() -> None:
    history, bare = History(), {"metadata": {"uid": "u"}}
    history.note([bare], NOW)
    assert history.of(bare).points()[0].replicas is None


def test_the_past_of_a_resource_stays_below_75_kilobytes() -> None:
    """What the page adds to the operator's memory, at most: 150 MB for 2,000 resources."""
    sentences = (f"{number} " + "x" * 2000 for number in range(2 * POINTS))
    past = past_of(*({"lastDecision": decision(number, one)} for number, one in enumerate(sentences)))
    texts = [(one, one.time, one.action, one.reason, one.message) for one in past.decisions]
    assert len(past.points()) == POINTS
    numbers = sys.getsizeof(past._numbers) + sys.getsizeof(past._variants)
    assert numbers + sum(sys.getsizeof(part) for one in texts for part in one) < 75_000
