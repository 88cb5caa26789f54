"""One-minute slots, read back from a real Prometheus that has scraped the operator's verdicts."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from tests.prometheus.conftest import NOW, StartPrometheus

from tokenpace.api.names import SLO_MET_METRIC
from tokenpace.api.slo import SLO
from tokenpace.controller.objective import Objectives
from tokenpace.controller.readable import Readable
from tokenpace.planning.slo_accounting import SLOSlots
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.samples import MetricsAnswer
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.prometheus.slots import first_minute_of, read_slots

MINUTE: Final = int(NOW // 60)
STORY: Final = ["good", "bad", "good", "good", "none", "good", "bad", "bad", "none", "good"]
"""Ten minutes, told again and again."""

Scrapes = Iterator[tuple[float, int]]


def scraped(minutes: Sequence[str], last_minute: int, every_seconds: float = 10) -> Scrapes:
    """Yield time and verdict of every scrape of minutes of which the last one ends at ``last_minute``.

    The verdict is that of the minute only from its half on; before, it still is another one, or there is none.
    """
    for number, verdict in enumerate(minutes):
        begin = 60 * (last_minute - len(minutes) + number)
        at = begin + 3.0
        while at < begin + 60:
            if verdict != "none":
                late = at - begin >= 30 or every_seconds > 30
                yield at, int((verdict == "good") == late)
            at += every_seconds


def lines(uid: str, scrapes: Scrapes, **labels: str) -> Iterator[str]:
    whole = {"namespace": "shop", "name": "chat", "uid": uid, "pod": "tokenpace-a", **labels}
    rendered = ",".join(f"{label}={json.dumps(value)}" for label, value in whole.items())
    for at, value in scrapes:
        yield f"{SLO_MET_METRIC}{{{rendered}}} {value} {at:.3f}\n"


def everything() -> Iterator[str]:
    yield from lines("long", scraped(STORY * 40, MINUTE))
    yield from lines("restarted", scraped(["good"] * 30, MINUTE - 35), pod="tokenpace-a")
    yield from lines("restarted", scraped(["bad"] * 30, MINUTE), pod="tokenpace-b")
    yield from lines("contested", scraped(["good"] * 10, MINUTE), pod="tokenpace-a")
    yield from lines("contested", scraped(["bad"] * 4, MINUTE - 3), pod="tokenpace-b")
    yield from lines("seldom", scraped(["good", "bad"] * 10, MINUTE, every_seconds=60))
    yield from lines("elsewhere", scraped(["good"] * 10, MINUTE), cluster='us "2"')


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, start_prometheus: StartPrometheus) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("slots")
    (directory / "scrapes.txt").write_text("".join(everything()) + "# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "scrapes.txt", "data"]
    subprocess.run(command, check=True, capture_output=True, cwd=directory)
    with start_prometheus(directory, "global: {}\n") as url:
        yield url


async def ask(url: str, *, after_minute: int, until_minute: int = MINUTE, **settings: Any) -> Mapping[str, SLOSlots]:
    prometheus = Prometheus(PrometheusSettings(url=url, **settings))
    try:
        return await prometheus.slots(after_minute=after_minute, until_minute=until_minute)
    finally:
        await prometheus.close()


def story_of(slots: SLOSlots, last: int, until_minute: int = MINUTE) -> list[str]:
    """Return the last slots in words."""
    seen = slots.since(until_minute + 1 - last)
    return ["good" if seen.good >> n & 1 else "bad" if seen.bad >> n & 1 else "none" for n in range(last)]


@pytest.mark.prometheus
@pytest.mark.parametrize("minutes", [1, 24, 25, 26, 199, 200])
async def test_every_slot_is_read_back_as_its_minute_ended(url: str, minutes: int) -> None:
    slots = (await ask(url, after_minute=MINUTE - minutes))["long"]
    assert story_of(slots, minutes) == (STORY * 40)[-minutes:]


@pytest.mark.prometheus
@pytest.mark.parametrize("until", [MINUTE - 1, MINUTE - 17, MINUTE - 30])
async def test_readings_that_follow_each_other_are_one_reading(url: str, until: int) -> None:
    older = await ask(url, after_minute=MINUTE - 120, until_minute=until)
    newer = await ask(url, after_minute=until)
    whole = await ask(url, after_minute=MINUTE - 120)
    joined = older["long"].followed_by(newer["long"])
    assert joined.since(MINUTE - 119) == whole["long"].since(MINUTE - 119)


@pytest.mark.prometheus
async def test_minutes_without_an_operator_are_a_gap_and_what_another_one_judged_goes_on(url: str) -> None:
    slots = (await ask(url, after_minute=MINUTE - 70))["restarted"]
    assert story_of(slots, 70) == ["none"] * 5 + ["good"] * 30 + ["none"] * 5 + ["bad"] * 30


@pytest.mark.prometheus
async def test_a_minute_that_two_operators_judged_counts_once_and_as_the_worse(url: str) -> None:
    slots = (await ask(url, after_minute=MINUTE - 10))["contested"]
    assert story_of(slots, 10) == ["good"] * 3 + ["bad"] * 4 + ["good"] * 3


@pytest.mark.prometheus
async def test_an_operator_that_is_scraped_once_a_minute_loses_no_slot(url: str) -> None:
    slots = (await ask(url, after_minute=MINUTE - 20))["seldom"]
    assert story_of(slots, 20) == ["good", "bad"] * 10


@pytest.mark.prometheus
async def test_an_extra_matcher_leaves_out_the_slots_of_other_clusters(url: str) -> None:
    read = await ask(url, after_minute=MINUTE - 10, extra_matchers={"cluster": 'us "2"'})
    assert read.keys() == {"elsewhere"}


@pytest.mark.prometheus
async def test_where_no_operator_was_scraped_there_are_no_slots(url: str) -> None:
    assert await ask(url, after_minute=MINUTE - 10_030, until_minute=MINUTE - 10_000) == {}


async def standing(objectives: Objectives, until_minute: int) -> dict[str, Any]:
    """Return what the status says of the objective two minutes later, when nothing is behind any more."""
    declared = {"generationTokensPerSecond": 60, "windowHours": 4, "objective": "60"}
    born = datetime.fromtimestamp(NOW - 6 * 3600, UTC).isoformat()
    resource = {"metadata": {"uid": "long", "creationTimestamp": born}}
    spec = SimpleNamespace(slo=SLO.model_validate(declared))
    one = Readable(resource, spec, None, None, None)  # type: ignore[arg-type]
    answer = MetricsAnswer(samples={}, problems={}, at_seconds=60.0 * (until_minute + 1))
    for _ in range(3):
        await objectives.read(answer, [one])
    status = objectives.status(one)
    assert status is not None
    return status.as_manifest()


@pytest.mark.prometheus
async def test_an_operator_that_starts_now_tells_the_same_as_one_that_has_worked_all_along(url: str) -> None:
    prometheus = Prometheus(PrometheusSettings(url=url))
    old = Objectives(prometheus)
    for minute in range(MINUTE - 20, MINUTE):
        await standing(old, minute)
    told = [await standing(one, MINUTE) for one in (old, Objectives(prometheus))]
    await prometheus.close()
    whole = {"goodPercent": "62.5", "budgetRemainingPercent": "6.2", "judgedSlots": 190, "leftOutSlots": 48}
    assert told == [whole, whole]


@pytest.mark.parametrize(("minutes", "read"), [(1, 25), (25, 25), (26, 50), (200, 200)])
def test_whole_blocks_are_read_which_end_with_the_newest_slot(minutes: int, read: int) -> None:
    assert 1000 - first_minute_of(1000 - minutes, 1000) + 1 == read


@pytest.mark.parametrize(
    "values", [[[1500, "NaN"]], [[1500, "0.5"]], [[1500, "-1"]], [[1500, str(4**25)]], [[10**15, "1"]], [["x", "1"]]]
)
def test_numbers_that_hold_no_slots_are_refused(values: list[Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_slots([{"metric": {"uid": "u"}, "values": values}], first_minute=1, until_minute=25)


def test_a_number_is_read_from_the_first_slot_on_two_bits_each() -> None:
    packed = [{"metric": {"uid": "u"}, "values": [[1500, str(0b10_00_01)]]}]
    assert read_slots(packed, first_minute=1, until_minute=25) == {"u": SLOSlots(1, good=0b100, bad=0b001)}
