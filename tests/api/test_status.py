from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api.status import FleetSpeeds, LastDecision, LLMDeploymentStatus, speed


@pytest.mark.parametrize(
    ("tokens_per_second", "text"),
    [
        (8.46, "8.5"),
        (8.04, "8.0"),
        (10.0, "10"),
        (1234.0, "1200"),
        (99.6, "100"),
        (0.123, "0.12"),
        (0.0, "0"),
        (0.001, "0"),
        (-1.0, "0"),
        (1e300, "1000000000"),
    ],
)
def test_a_speed_has_two_significant_digits(tokens_per_second: float, text: str) -> None:
    assert FleetSpeeds(demand=speed(tokens_per_second)).as_manifest() == {"demand": text}


@pytest.mark.parametrize("unknown", [None, float("nan"), float("inf"), float("-inf")])
def test_an_unknown_speed_is_absent_and_not_zero(unknown: float | None) -> None:
    assert FleetSpeeds(demand=speed(unknown)).as_manifest() == {}


@given(st.floats(min_value=0.01, max_value=1e9))
def test_a_speed_is_shown_within_five_per_cent_in_at_most_sixteen_characters(tokens_per_second: float) -> None:
    text = FleetSpeeds(served=speed(tokens_per_second)).as_manifest()["served"]
    assert len(text) <= 16
    assert float(text) == pytest.approx(tokens_per_second, rel=0.05)


def test_a_speed_that_was_written_is_read_back() -> None:
    assert FleetSpeeds.model_validate({"capacity": "1200"}).capacity == Decimal(1200) == speed(1234.0)


def test_moments_are_written_in_whole_seconds_of_utc() -> None:
    berlin = datetime(2026, 7, 1, 14, 0, 0, 999_999, timezone(timedelta(hours=2)))
    decision = LastDecision(time=berlin, action="none", reason="AtTarget", message="")
    assert decision.as_manifest()["time"] == "2026-07-01T12:00:00Z"
    assert LastDecision.model_validate(decision.as_manifest()).time == datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_a_resource_that_was_never_reported_on_has_an_empty_status() -> None:
    assert LLMDeploymentStatus.model_validate({}) == LLMDeploymentStatus()
