"""The quality budget is counted in tokens that were generated."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import pod, reading
from tests.planning.ladders import Q4, Q8, ladder

from tokenpace.planning.budget import Budget, degraded_variants

DEGRADED = frozenset({"q4"})


def after(budget: Budget, q8: float, q4: float, seconds: float = 10.0, window: float = 3600.0) -> Budget:
    known = [
        (pod("a"), reading(q8)),
        (pod("b", variant="q4"), reading(q4)),
    ]
    return budget.after(known, DEGRADED, unseen_factor=1.0, elapsed_seconds=seconds, window_seconds=window)


def test_tokens_count_for_the_variant_that_generated_them() -> None:
    counted = after(Budget(), q8=6.0, q4=2.0)
    assert (counted.generated_tokens, counted.degraded_tokens) == (80.0, 20.0)
    assert counted.degraded_share == 0.25


def test_the_share_stays_while_nothing_is_generated() -> None:
    counted = after(Budget(), q8=6.0, q4=2.0)
    assert after(counted, 0.0, 0.0, seconds=7200.0).degraded_share == pytest.approx(0.25)


def test_a_fleet_that_has_generated_nothing_has_nothing_to_spend() -> None:
    assert Budget().left_tokens(0.2) == 0.0
    assert Budget().degraded_share == 0.0


def test_a_budget_of_all_tokens_is_no_limit() -> None:
    assert Budget().left_tokens(1.0) == math.inf


@given(st.floats(0, 1e9), st.floats(0, 1), st.floats(0, 0.99))
def test_what_is_left_is_what_may_be_generated_before_the_share_is_reached(
    generated: float, degraded: float, share: float
) -> None:
    budget = Budget(generated_tokens=generated, degraded_tokens=generated * degraded)
    left = budget.left_tokens(share)
    if left > 1e-3:
        spent = Budget(generated_tokens=generated + left, degraded_tokens=budget.degraded_tokens + left)
        assert spent.degraded_share == pytest.approx(share, abs=1e-6)


def test_variants_of_equal_quality_are_both_the_best() -> None:
    twin = Q8 | {"name": "twin", "quality": "99.96"}
    assert degraded_variants(ladder(Q8, twin, Q4)) == {"q4"}


def test_what_may_not_run_is_not_the_best() -> None:
    assert degraded_variants(ladder(Q8 | {"maxReplicas": 0}, Q4)) == set()
