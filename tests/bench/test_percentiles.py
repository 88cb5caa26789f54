import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.bench.percentiles import percentile


@pytest.mark.parametrize(("per_cent", "expected"), [(0, 1), (5, 1), (20, 1), (21, 2), (50, 3), (95, 5), (100, 5)])
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(per_cent: float, expected: float) -> None:
    assert percentile([5, 3, 1, 4, 2], per_cent) == expected


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 95) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_and_grows_with_its_rank(values: list[float], per_cent: float) -> None:
    found = percentile(values, per_cent)
    assert found in values
    assert found <= max(values) == percentile(values, 100)
