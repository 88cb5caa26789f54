"""From one fleet to another, a step at every look."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tokenpace.planning.transition import Road, Standing, next_fleet

EACH = {"q8": 10.0, "q4": 20.0, "old": 10.0}


def capacity(serving: Mapping[str, int]) -> float:
    """Return what a fleet serves behind one Service, tokens per second."""
    return sum(serving.values()) * min((EACH[name] for name, count in serving.items() if count), default=0.0)


def road(goal: Mapping[str, int], variant: str = "q4", **other: Any) -> Road:
    """Return a road on which nothing but the count of replicas is bounded."""
    values: dict[str, Any] = {
        "enough": goal[variant],
        "limit": 4,
        "batch": 1,
        "company": 0,
        "barred": frozenset(),
        "most": dict.fromkeys(goal, 64),
        "hourly_costs": {},
        "hourly_cost": None,
        "capacity": capacity,
    }
    return Road(goal=goal, variant=variant, **values | other)


def standing(q8: int, q4: int, serving: tuple[int, int] | None = None, **other: Any) -> Standing:
    ready = (q8, q4) if serving is None else serving
    values: dict[str, Any] = {"leaving": 0, "proven": True}
    return Standing(running={"q8": q8, "q4": q4}, serving={"q8": ready[0], "q4": ready[1]}, **values | other)


GOAL = {"q8": 0, "q4": 3}


def fleet(q8: int, q4: int) -> dict[str, int]:
    return {"q8": q8, "q4": q4}


def test_the_first_replica_comes_alone() -> None:
    assert next_fleet(road(GOAL, limit=9), standing(3, 0, proven=False)) == fleet(3, 1)


def test_no_more_come_before_its_canary_has_passed() -> None:
    assert next_fleet(road(GOAL, limit=9), standing(3, 1, proven=False)) == fleet(3, 1)


def test_then_as_many_come_as_there_is_room_for() -> None:
    assert next_fleet(road(GOAL, limit=9), standing(3, 1)) == fleet(3, 3)
    assert next_fleet(road(GOAL, limit=5), standing(3, 1)) == fleet(3, 2)


def test_where_there_is_no_room_the_old_make_some_once_all_new_ones_serve() -> None:
    assert next_fleet(road(GOAL), standing(3, 1, serving=(3, 0))) == fleet(3, 1)
    assert next_fleet(road(GOAL), standing(3, 1)) == fleet(2, 1)
    assert next_fleet(road(GOAL, limit=5, batch=2), standing(3, 2)) == fleet(2, 2)


def test_room_that_draining_pods_hold_is_not_free_yet() -> None:
    assert next_fleet(road(GOAL), standing(2, 1, leaving=1)) == fleet(2, 1)
    assert next_fleet(road(GOAL), standing(2, 1)) == fleet(2, 2)


def test_the_old_go_when_enough_of_the_new_serve() -> None:
    back = road({"q8": 3, "q4": 0}, "q8")
    assert next_fleet(back, standing(3, 1, serving=(2, 1))) == fleet(3, 1)
    assert next_fleet(back, standing(3, 1)) == fleet(3, 0)


def test_the_old_go_as_soon_as_they_hold_the_new_back() -> None:
    far = road({"q8": 0, "q4": 6}, limit=4)
    assert next_fleet(far, standing(3, 1)) == fleet(2, 1)
    assert next_fleet(far, standing(2, 2)) == fleet(0, 6)


def test_what_its_own_bounds_keep_of_the_old_stays() -> None:
    assert next_fleet(road({"q8": 1, "q4": 3}), standing(2, 3)) == fleet(1, 3)


def test_the_last_that_serves_never_goes_first() -> None:
    assert next_fleet(road({"q8": 0, "q4": 1}, limit=1), standing(1, 0)) == fleet(1, 0)
    assert next_fleet(road(GOAL, limit=2), standing(2, 0, serving=(1, 0))) == fleet(1, 0)


def test_old_replicas_of_which_none_serves_make_room_at_once() -> None:
    assert next_fleet(road({"q8": 0, "q4": 1}, limit=1), standing(1, 0, serving=(0, 0))) == fleet(0, 0)


def test_where_nothing_serves_nobody_waits_for_a_canary() -> None:
    assert next_fleet(road(GOAL, limit=9), standing(2, 0, serving=(0, 0), proven=False)) == fleet(2, 3)


def test_while_nobody_knows_how_many_are_enough_the_old_stay() -> None:
    unknown = road({"q8": 0, "q4": 1}, enough=None)
    assert next_fleet(unknown, standing(3, 1)) == fleet(3, 1)


def test_what_has_failed_goes_and_what_serves_stays() -> None:
    back = road({"q8": 3, "q4": 0}, "q8", barred=frozenset({"q4"}))
    assert next_fleet(back, standing(2, 2, serving=(2, 1))) == fleet(2, 1)


def test_the_first_of_a_slower_variant_comes_with_company() -> None:
    up = road({"q8": 4, "q4": 0}, "q8", limit=5, company=4)
    assert next_fleet(up, standing(0, 2, proven=False)) == fleet(1, 3)
    assert next_fleet(up, standing(1, 3, proven=False)) == fleet(1, 3)


def test_the_cost_bounds_the_way() -> None:
    dear = road(GOAL, limit=9, hourly_costs={"q8": 2.0, "q4": 1.0}, hourly_cost=6.5)
    assert next_fleet(dear, standing(3, 0)) == fleet(2, 0)
    assert next_fleet(dear, standing(2, 0)) == fleet(2, 2)


def test_nothing_but_the_goal_is_asked_for_where_there_is_nothing_old() -> None:
    assert next_fleet(road(GOAL), standing(0, 1, proven=False)) == fleet(0, 3)


COUNTS = st.integers(0, 6)


@st.composite
def journeys(draw: st.DrawFn) -> tuple[Road, Standing]:
    most, surge = draw(st.integers(2, 6)), draw(st.integers(0, 2))
    running = {name: draw(COUNTS) for name in ("q8", "q4", "old")}
    goal = {"q8": 0, "q4": draw(st.integers(1, most)), "old": 0}
    way = road(goal, limit=most + surge, batch=max(1, surge), company=draw(st.sampled_from([0, goal["q4"]])))
    serving = {name: draw(st.integers(0, count)) for name, count in running.items()}
    return way, Standing(running=running, serving=serving, leaving=draw(st.integers(0, 2)), proven=draw(st.booleans()))


@given(journeys(), st.randoms())
def test_every_mix_of_replicas_reaches_the_goal_and_something_serves_all_the_way(
    start: tuple[Road, Standing], chance: Any
) -> None:
    way, now = start
    for look in range(100):
        served, before = sum(now.serving.values()), sum(now.running.values())
        asked = next_fleet(way, now)
        told_again = next_fleet(way, replace(now, running=asked, leaving=now.leaving + _surplus(now, asked)))
        assert told_again == (asked if way.outgoing(asked) else way.goal)
        assert sum(asked.values()) <= max(way.limit, before)
        kept = {name: min(count, asked[name]) for name, count in now.serving.items()}
        assert sum(kept.values()) >= min(served, 1)
        if asked == way.goal and kept["q4"] == asked["q4"]:
            return
        # At every other look chance says which pods have started and whether those that drain have gone; then all have.
        ready, leaving = asked, 0
        if look % 2:
            ready = {name: chance.randint(count, asked[name]) for name, count in kept.items()}
            leaving = chance.choice([0, now.leaving + _surplus(now, asked)])
        now = Standing(running=asked, serving=ready, leaving=leaving, proven=now.proven or ready["q4"] > 0)
    raise AssertionError(f"{now} has not reached {way.goal}")


def _surplus(now: Standing, asked: Mapping[str, int]) -> int:
    return sum(max(0, count - asked[name]) for name, count in now.running.items())
