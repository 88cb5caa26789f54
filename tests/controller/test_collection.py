import gc
import weakref
from collections.abc import Iterator

import pytest

from tokenpace.controller.collection import PASSES_BEFORE_ALL, collect_after_pass


class Knot:
    """What only the collector frees: it holds itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def no_other_looks() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_what_a_pass_leaves_in_cycles_is_freed_after_it() -> None:
    left = weakref.ref(Knot())
    collect_after_pass(1)
    assert left() is None


def test_a_cycle_that_has_outlived_a_pass_is_freed_when_everything_is_looked_at() -> None:
    knot = Knot()
    left = weakref.ref(knot)
    collect_after_pass(1)
    del knot
    collect_after_pass(2)
    assert left() is not None
    collect_after_pass(PASSES_BEFORE_ALL)
    assert left() is None
