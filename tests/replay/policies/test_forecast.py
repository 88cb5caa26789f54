import math

import pytest

from tokenpace.replay.policies.forecast import arima


def test_with_fewer_than_five_values_the_last_is_expected() -> None:
    assert arima([1, 2, 3, 4]) == 4


def test_what_never_changed_is_expected_to_stay() -> None:
    assert arima([7.0] * 20) == 7


def test_a_ramp_goes_on() -> None:
    assert arima([float(value) for value in range(20)]) == pytest.approx(20)


def test_a_swing_is_followed_where_the_last_value_lags() -> None:
    values = [100 + 50 * math.sin(step / 5) for step in range(60)]
    comes = 100 + 50 * math.sin(60 / 5)
    assert abs(arima(values) - comes) < abs(values[-1] - comes) / 2
