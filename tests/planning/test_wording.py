import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.planning.wording import shown


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (0.1234, "0.123"), (8.0, "8"), (44.71, "44.7"), (999.4, "999"), (999.5, "1000"), (12_345.6, "12346")],
)
def test_a_number_has_three_digits_or_is_whole(number: float, text: str) -> None:
    assert shown(number) == text


@given(st.floats(1e-3, 1e12))
def test_no_speed_is_told_with_an_exponent_or_more_than_half_a_per_cent_off(number: float) -> None:
    assert "e" not in shown(number)
    assert float(shown(number)) == pytest.approx(number, rel=0.005)
