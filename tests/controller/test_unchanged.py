from typing import Any

import pytest
from tests.controller.operator_in_memory import Operator, declare, remembered

from tokenpace.cluster.kinds import LLM_DEPLOYMENTS
from tokenpace.controller.unchanged import Unchanged


class Counted:
    """A function that notes how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, left: Any, right: Any = 0) -> Any:
        self.calls += 1
        return [left, right]


def test_what_has_not_changed_is_not_made_again() -> None:
    unchanged, make = Unchanged(), Counted()
    first = unchanged.of("a", make, {"replicas": 1}, 2)
    assert unchanged.of("a", make, {"replicas": 1}, 2) is first
    assert make.calls == 1


def test_one_argument_that_differs_is_enough_to_make_it_anew() -> None:
    unchanged, make = Unchanged(), Counted()
    unchanged.of("a", make, {"replicas": 1}, 2)
    assert unchanged.of("a", make, {"replicas": 1}, 3) == [{"replicas": 1}, 3]


def test_two_resources_are_kept_apart() -> None:
    unchanged, make = Unchanged(), Counted()
    unchanged.of("a", make, 1)
    unchanged.of("b", make, 2)
    assert (unchanged.of("a", make, 1), make.calls) == ([1, 0], 2)


def test_parts_of_a_resource_are_kept_apart() -> None:
    unchanged, make = Unchanged(), Counted()
    unchanged.of("a", make, 1, part="deployment")
    unchanged.of("a", make, 2, part="service")
    assert (unchanged.of("a", make, 1, part="deployment"), make.calls) == ([1, 0], 2)


def test_what_cannot_be_made_is_tried_every_time() -> None:
    unchanged = Unchanged()
    for _ in range(2):
        with pytest.raises(ValueError, match="no number"):
            unchanged.of("a", refuse, "no number")


def refuse(text: str) -> None:
    raise ValueError(text)


def test_a_part_that_a_tick_has_not_asked_for_is_forgotten() -> None:
    unchanged, make = Unchanged(), Counted()
    for part in ("stays", "goes"):
        unchanged.of("a", make, 1, part=part)
    unchanged.forget_all_but({"a"})
    unchanged.of("a", make, 1, part="stays")
    unchanged.forget_all_but({"a"})
    for part in ("stays", "goes"):
        unchanged.of("a", make, 1, part=part)
    assert make.calls == 3


async def test_an_operator_that_stands_by_remembers_nothing(
    operator: Operator, resource: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_pause(_: float) -> None:
        pass

    monkeypatch.setattr(operator.loop, "_pause", no_pause)
    declare(operator.fake, resource)
    await operator.loop._pass()
    assert sum(remembered(operator.loop).values()) > 0
    operator.lease.granted = False
    await operator.loop._pass()
    assert set(remembered(operator.loop).values()) == {0}


async def test_nothing_is_remembered_of_resources_that_are_gone(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource)
    await operator.ticks(2)
    assert remembered(operator.loop)["Loop._memories"] == 1
    del operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
    await operator.ticks()
    assert set(remembered(operator.loop).values()) == {0}
