"""What holds at which hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.planning.declared import declared

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.schedules import in_force, schedule_problems

OFFICE = {"name": "office", "start": "0 8 * * MON-FRI", "end": "0 18 * * MON-FRI", "minReplicas": 4}
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def spec(*schedules: dict[str, Any], **scaling: Any) -> LLMDeploymentSpec:
    return declared(schedules=schedules or (OFFICE,), **scaling)


def fewest(at: datetime, *schedules: dict[str, Any], **scaling: Any) -> int:
    return in_force(spec(*schedules, **scaling), at.timestamp()).scaling.min_replicas


def test_between_its_hours_a_schedule_raises_the_fewest_replicas() -> None:
    assert fewest(MONDAY.replace(hour=12)) == 4


@pytest.mark.parametrize(
    ("hour", "minute", "second", "replicas"), [(7, 59, 59, 1), (8, 0, 0, 4), (17, 59, 59, 4), (18, 0, 0, 1)]
)
def test_it_begins_and_ends_at_the_very_moment(hour: int, minute: int, second: int, replicas: int) -> None:
    assert fewest(MONDAY.replace(hour=hour, minute=minute, second=second)) == replicas


def test_a_night_shift_goes_on_over_midnight() -> None:
    night = {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *", "minReplicas": 3}
    assert [fewest(MONDAY.replace(hour=hour), night) for hour in (3, 7, 23)] == [3, 1, 3]


def test_on_days_that_it_does_not_name_a_schedule_is_silent() -> None:
    assert fewest(MONDAY.replace(hour=12) - timedelta(days=1)) == 1


def test_hours_are_those_of_the_time_zone_in_summer_and_in_winter() -> None:
    berlin = {**OFFICE, "timeZone": "Europe/Berlin"}
    winter, summer = datetime(2026, 1, 12, 7, tzinfo=UTC), datetime(2026, 7, 13, 6, tzinfo=UTC)
    assert [fewest(moment, berlin) for moment in (winter, summer)] == [4, 4]
    assert [fewest(moment - timedelta(seconds=1), berlin) for moment in (winter, summer)] == [1, 1]


def test_of_several_the_most_holds() -> None:
    launch = {"name": "launch", "start": "0 9 * * *", "end": "0 12 * * *", "minReplicas": 6}
    assert [fewest(MONDAY.replace(hour=hour), OFFICE, launch) for hour in (8, 10, 13)] == [4, 6, 4]


def test_a_schedule_never_asks_for_less_than_is_declared_anyway() -> None:
    assert fewest(MONDAY.replace(hour=12), minReplicas=7) == 7


def test_capacity_that_is_always_ready_is_raised_likewise() -> None:
    ready = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "readyTokensPerSecond": 900}
    assert in_force(spec(ready), MONDAY.replace(hour=12).timestamp()).slo.ready_tokens_per_second == 900
    assert in_force(spec(ready), MONDAY.replace(hour=20).timestamp()).slo.ready_tokens_per_second == 0


def test_what_is_declared_legally_has_no_problems() -> None:
    assert (
        list(schedule_problems(spec({**OFFICE, "timeZone": "America/Argentina/Buenos_Aires"}).scaling.schedules)) == []
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "0 25 * * *"}, "spec.scaling.schedules[office].start: `0 25 * * *` is no cron expression"),
        ({"start": "0 8 30 FEB *"}, "start: `0 8 30 FEB *` is no cron expression"),
        ({"end": "0 8 * * 9"}, "spec.scaling.schedules[office].end"),
        ({"timeZone": "Europe/Atlantis"}, "timeZone: `Europe/Atlantis` is no time zone"),
        ({"timeZone": "America"}, "timeZone: `America` is no time zone"),
    ],
)
def test_what_the_schema_cannot_check_is_told_by_its_field(change: dict[str, str], words: str) -> None:
    (problem,) = schedule_problems(spec({**OFFICE, **change}).scaling.schedules)
    assert words in problem


@pytest.mark.parametrize(
    "change", [{"start": "at eight"}, {"start": "0 8 * *"}, {"timeZone": "../../etc/passwd"}, {"minReplicas": 65}]
)
def test_what_the_schema_can_check_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec({**OFFICE, **change})


@given(
    seconds=st.integers(946_684_800, 2_840_140_800),  # from 2000 to 2060
    zone=st.sampled_from(["Etc/UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]),
)
def test_at_every_moment_a_schedule_holds_or_it_does_not(seconds: int, zone: str) -> None:
    assert fewest(datetime.fromtimestamp(seconds, UTC), {**OFFICE, "timeZone": zone}) in {1, 4}
