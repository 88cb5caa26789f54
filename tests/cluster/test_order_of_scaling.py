"""In one tick workloads grow before others shrink: pods go because others come."""

from typing import Any

import pytest

from tokenpace.cluster.apply import Result, Scale, Target, execute
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS


class Permission:
    def may_write(self) -> bool:
        return True


def scale(variant: str, before: int, after: int) -> Scale:
    return Scale(Target(DEPLOYMENTS, "shop", f"chat-{variant}"), "uid-of-chat", before, after)


GROW, SHRINK = scale("q4", 1, 3), scale("q8", 4, 2)


@pytest.fixture(autouse=True)
def workloads(fake: Any) -> None:
    for action in (GROW, SHRINK):
        fake._store(
            tuple(action.target),
            {
                "metadata": {"ownerReferences": [{"controller": True, "uid": "uid-of-chat"}]},
                "spec": {"replicas": action.from_replicas},
            },
        )


def refuse(number: int) -> Any:
    """Return a fault that refuses this write, counted from 1."""
    writes = 0

    async def fault(call: str) -> None:
        nonlocal writes
        writes += call.startswith("patch")
        if call.startswith("patch") and writes == number:
            raise ApiError(403, "Forbidden", "exceeded quota")

    return fault


def replicas(fake: Any) -> tuple[int, int]:
    return tuple(fake.objects[tuple(one.target)]["spec"]["replicas"] for one in (GROW, SHRINK))  # type: ignore[return-value]


async def test_growth_comes_first_whatever_the_order_of_the_ladder(fake: Any) -> None:
    outcomes = await execute((SHRINK, GROW), fake, Permission())
    assert [outcome.action for outcome in outcomes] == [GROW, SHRINK]
    assert replicas(fake) == (3, 2)


async def test_nothing_shrinks_where_another_could_not_grow(fake: Any) -> None:
    fake.before = refuse(1)
    outcomes = await execute((SHRINK, GROW), fake, Permission())
    assert [outcome.result for outcome in outcomes] == [Result.FORBIDDEN, Result.HELD_BACK]
    assert replicas(fake) == (1, 4)


async def test_what_has_grown_stays_where_the_shrinking_fails(fake: Any) -> None:
    fake.before = refuse(2)
    await execute((SHRINK, GROW), fake, Permission())
    assert replicas(fake) == (3, 4)


async def test_one_that_could_not_shrink_does_not_keep_the_others(fake: Any) -> None:
    fake.before = refuse(1)
    outcomes = await execute((scale("q4", 1, 0), SHRINK), fake, Permission())
    assert [outcome.result for outcome in outcomes] == [Result.FORBIDDEN, Result.DONE]
