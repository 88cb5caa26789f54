"""What the long runs that try cards judge by."""

import pytest
from e2e.measured_range import in_words, is_within
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("predicted", "within"), [(26.9, False), (27.1, True), (35.0, True), (43.9, True), (44.1, False)]
)
def test_a_prediction_may_be_a_tenth_beyond_what_was_measured(predicted: float, within: bool) -> None:
    assert is_within(predicted, [30.0, 32.0, 40.0], 0.1) is within


@given(st.lists(st.floats(0.1, 1e6), min_size=1))
def test_every_measurement_is_within_its_own_range(measured: list[float]) -> None:
    assert all(is_within(one, measured, 0.0) for one in measured)


def test_a_range_is_told_with_its_median() -> None:
    assert in_words([32.0, 30.0, 40.0]) == "32.0 (30.0 to 40.0)"
