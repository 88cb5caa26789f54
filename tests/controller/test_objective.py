"""What the status says of the objective, and that it is the same whoever has worked how long, and was replaced when."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.api.names import SLO_MET_METRIC
from tokenpace.api.slo import SLO
from tokenpace.api.variant import EngineType
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS
from tokenpace.controller.objective import Objectives, objective_status
from tokenpace.controller.readable import Readable
from tokenpace.planning import plan as planning
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.slo_accounting import SLOSlots, Tally
from tokenpace.prometheus.connection import MetricsError
from tokenpace.prometheus.samples import MetricsAnswer

START = 1_767_225_600
"""When the resources are created, in whole minutes."""

STORY = ("good", "good", "bad", "good", "none", "good", "bad")
"""The verdicts of minutes, told again and again."""

UID = "uid-of-chat"


class FakePrometheus:
    """Remembers the last verdict of each minute as a scrape would show it, and can fail."""

    def __init__(self) -> None:
        self.now = float(START)
        self.verdicts: dict[tuple[str, int], bool] = {}
        self.fault: MetricsError | None = None
        self.asked = 0

    def scrape(self, operator: Operator) -> None:
        for family in operator.metrics.fleet.collect():
            for sample in family.samples:
                if sample.name == SLO_MET_METRIC:
                    self.verdicts[sample.labels["uid"], int(self.now // 60) + 1] = bool(sample.value)

    async def sample(self, _: frozenset[EngineType]) -> MetricsAnswer:
        return MetricsAnswer(samples={}, problems={}, at_seconds=self.now)

    async def slots(self, *, after_minute: int, until_minute: int) -> dict[str, SLOSlots]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        found: dict[str, SLOSlots] = {}
        for (uid, minute), good in self.verdicts.items():
            if after_minute < minute <= until_minute:
                slots = found.get(uid, SLOSlots(after_minute + 1))
                bit = 1 << (minute - after_minute - 1)
                found[uid] = replace(slots, good=slots.good | bit) if good else replace(slots, bad=slots.bad | bit)
        return found


@pytest.fixture
def prometheus() -> FakePrometheus:
    return FakePrometheus()


def started(fake: Any, prometheus: FakePrometheus) -> Operator:
    """Return an operator that knows what stands in the status, and what Prometheus has."""
    operator = Operator(fake)
    operator.loop._prometheus = prometheus  # type: ignore[assignment]
    operator.loop._objectives = Objectives(prometheus)  # type: ignore[arg-type]
    operator.loop._wall_clock = lambda: prometheus.now
    return operator


@pytest.fixture
def chat(fake: Any, resource: Any, prometheus: FakePrometheus, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A resource whose minutes go as the story tells."""

    def plan(*arguments: Any) -> Any:
        planned, memory = planning.plan(*arguments)
        word = STORY[int(prometheus.now - START) // 60 % len(STORY)]
        verdict = {"good": Verdict.TRUE, "bad": Verdict.FALSE, "none": Verdict.UNKNOWN}[word]
        return replace(planned, slo_met=Finding(verdict, "Told", "So the story goes.")), memory

    monkeypatch.setattr("tokenpace.controller.loop.plan", plan)
    return declare(fake, resource, creationTimestamp=moment(START))


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


async def work(operator: Operator, prometheus: FakePrometheus, minutes: int) -> None:
    """Let an operator tick twice a minute, scraped after each of them."""
    for _ in range(2 * minutes):
        await operator.ticks()
        prometheus.scrape(operator)
        prometheus.now += 30


def told(fake: Any) -> dict[str, Any]:
    slo: dict[str, Any] = fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["slo"]
    return slo


@pytest.mark.usefixtures("chat")
async def test_the_status_tells_how_the_window_stands(fake: Any, prometheus: FakePrometheus) -> None:
    """In the last tick 40 slots are known: five stories, and five minutes of the sixth."""
    await work(started(fake, prometheus), prometheus, 42)
    assert told(fake) == {
        "goodPercent": "67.64",
        "budgetRemainingPercent": "0",
        "judgedSlots": 34,
        "leftOutSlots": 6,
    }


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize("before", [1, 20, 41])
async def test_an_operator_that_follows_another_one_goes_on_where_it_ended(
    fake: Any, prometheus: FakePrometheus, before: int
) -> None:
    await work(started(fake, prometheus), prometheus, before)
    await work(started(fake, prometheus), prometheus, 42 - before)
    assert (told(fake)["goodPercent"], told(fake)["judgedSlots"], told(fake)["leftOutSlots"]) == ("67.64", 34, 6)


@pytest.mark.usefixtures("chat")
async def test_minutes_in_which_no_operator_worked_are_left_out(fake: Any, prometheus: FakePrometheus) -> None:
    await work(started(fake, prometheus), prometheus, 21)
    prometheus.now += 60 * 7
    await work(started(fake, prometheus), prometheus, 21)
    assert (told(fake)["goodPercent"], told(fake)["judgedSlots"], told(fake)["leftOutSlots"]) == ("67.64", 34, 13)


@pytest.mark.usefixtures("chat")
async def test_a_resource_that_is_created_again_begins_anew(
    fake: Any, resource: Any, prometheus: FakePrometheus
) -> None:
    operator = started(fake, prometheus)
    await work(operator, prometheus, 10)
    declare(fake, resource, uid="another", creationTimestamp=moment(prometheus.now))
    await work(operator, prometheus, 10)
    assert told(fake)["judgedSlots"] + told(fake)["leftOutSlots"] == 8


@pytest.mark.usefixtures("chat")
async def test_a_prometheus_that_cannot_say_is_told_and_asked_again_a_minute_later(
    fake: Any, prometheus: FakePrometheus
) -> None:
    await work(started(fake, prometheus), prometheus, 10)
    restarted = started(fake, prometheus)
    prometheus.fault = MetricsError("Prometheus at http://p answered HTTP 503")
    await work(restarted, prometheus, 1)
    assert told(fake) == {"message": "Prometheus at http://p answered HTTP 503"}
    prometheus.fault = None
    await work(restarted, prometheus, 1)
    assert told(fake).keys() == {"goodPercent", "budgetRemainingPercent", "judgedSlots", "leftOutSlots"}


@pytest.mark.usefixtures("chat")
async def test_slots_are_read_once_a_minute_for_all_resources(
    fake: Any, resource: Any, prometheus: FakePrometheus
) -> None:
    for number in range(5):
        declare(fake, resource, f"chat-{number}", creationTimestamp=moment(START))
    operator = started(fake, prometheus)
    await work(operator, prometheus, 3)
    before = prometheus.asked
    await work(operator, prometheus, 10)
    assert prometheus.asked - before == 10


@pytest.mark.usefixtures("chat")
async def test_a_scrape_shows_the_same_slots(fake: Any, prometheus: FakePrometheus) -> None:
    operator = started(fake, prometheus)
    await work(operator, prometheus, 42)
    labels = {"namespace": "shop", "name": "chat"}
    shown = [
        operator.metrics.registry.get_sample_value("tokenpace_slo_slots", {**labels, "verdict": verdict})
        for verdict in ("good", "bad", "left_out")
    ]
    assert shown == [23, 11, 6]


def readable(*, created_seconds: float = START, window_hours: int = 24) -> Readable:
    declared = SimpleNamespace(slo=SLO.model_validate({"generationTokensPerSecond": 60, "windowHours": window_hours}))
    body = {"metadata": {"uid": UID, "creationTimestamp": moment(created_seconds)}}
    return Readable(body, declared, None, None, None)  # type: ignore[arg-type]


def caught_up(prometheus: FakePrometheus, one: Readable, objectives: Objectives | None = None) -> Objectives:
    """Return objectives that have been read until nothing is behind."""
    found = objectives or Objectives(prometheus)  # type: ignore[arg-type]

    async def read() -> None:
        asked = -1
        while asked < prometheus.asked:
            asked = prometheus.asked
            await found.read(await prometheus.sample(frozenset()), [one])

    asyncio.run(read())
    return found


def remembering(story: Sequence[bool | None]) -> FakePrometheus:
    prometheus = FakePrometheus()
    for number, verdict in enumerate(story):
        if verdict is not None:
            prometheus.verdicts[UID, START // 60 + 1 + number] = verdict
    return prometheus


stories = st.lists(st.sampled_from([True, True, False, None]), min_size=3, max_size=500)


@given(stories, st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=8), st.integers(1, 12))
def test_restarts_at_any_moment_change_nothing(
    story: list[bool | None], pauses: list[tuple[int, bool]], window_hours: int
) -> None:
    """Prometheus is read now and then, by an operator that has read before or by a new one."""
    prometheus, one, objectives = remembering(story), readable(window_hours=window_hours), None
    for minutes, restarted in pauses:
        prometheus.now = min(prometheus.now + 60 * minutes, START + 60 * len(story))
        objectives = caught_up(prometheus, one, None if restarted else objectives)
    prometheus.now = START + 60 * len(story)
    found = caught_up(prometheus, one, objectives).tally(one)
    assert found == caught_up(prometheus, one).tally(one)
    judged = story[:-1][-60 * window_hours :]
    assert found is not None
    assert (found.good, found.bad, found.left_out) == (judged.count(True), judged.count(False), judged.count(None))


def test_a_window_that_grows_is_read_from_its_new_beginning() -> None:
    prometheus = remembering([False] * 60 + [True] * 60 + [None])
    prometheus.now = START + 60 * 121
    objectives = caught_up(prometheus, readable(window_hours=1))
    longer = readable(window_hours=2)
    found = caught_up(prometheus, longer, objectives).tally(longer)
    assert found == Tally(good=60, bad=60, left_out=0, to_come=0)


def test_a_clock_that_goes_back_a_minute_has_nothing_read_again() -> None:
    prometheus = remembering([True] * 120)
    prometheus.now = START + 60 * 120
    one = readable(window_hours=1)
    objectives = caught_up(prometheus, one)
    before, asked = objectives.tally(one), prometheus.asked
    prometheus.now -= 60
    assert (caught_up(prometheus, one, objectives).tally(one), prometheus.asked) == (before, asked)


def test_a_prometheus_that_answers_again_is_no_problem_before_the_next_minute_either() -> None:
    prometheus, one = remembering([True] * 120), readable(window_hours=1)
    prometheus.now = START + 60 * 120
    objectives = caught_up(prometheus, one)
    silence = MetricsAnswer(samples={}, problems={EngineType.VLLM: "no answer in time"})
    asyncio.run(objectives.read(silence, [one]))
    assert told_of(objectives, one) == "no answer in time"
    assert told_of(caught_up(prometheus, one, objectives), one) is None


def told_of(objectives: Objectives, one: Readable) -> str | None:
    status = objectives.status(one)
    assert status is not None
    return status.message


def test_what_a_namesake_did_in_the_same_window_is_not_counted() -> None:
    prometheus = remembering([False] * 60 + [True] * 61)
    prometheus.now = START + 60 * 121
    young = readable(created_seconds=START + 3600)
    assert caught_up(prometheus, young).tally(young) == Tally(good=60, bad=0, left_out=0, to_come=1380)


def test_a_day_is_read_in_pieces_and_unknown_until_the_last() -> None:
    prometheus = remembering([True] * 1440)
    prometheus.now = START + 60 * 1440
    one = readable()
    objectives = Objectives(prometheus)  # type: ignore[arg-type]

    async def pieces() -> list[bool]:
        known = []
        for _ in range(9):
            await objectives.read(await prometheus.sample(frozenset()), [one])
            known.append(objectives.tally(one) is not None)
        return known

    assert asyncio.run(pieces()) == [False] * 7 + [True] * 2
    assert prometheus.asked == 8


def status(found: Tally | None, problem: str | None = None, objective: str = "99.5") -> dict[str, Any]:
    slo = SLO.model_validate({"generationTokensPerSecond": 60, "objective": objective})
    made = objective_status(found, slo, problem)
    return {} if made is None else made.as_manifest()


def test_an_objective_of_which_nothing_is_known_has_no_numbers() -> None:
    assert (status(None), status(None, "Why.")) == ({}, {"message": "Why."})


def test_percentages_are_rounded_down_and_counts_to_two_digits() -> None:
    assert status(Tally(good=43_199, bad=1, left_out=1234, to_come=0)) == {
        "goodPercent": "99.99",
        "budgetRemainingPercent": "99.5",
        "judgedSlots": 43_000,
        "leftOutSlots": 1200,
    }


def test_numbers_of_before_stay_while_prometheus_cannot_be_asked() -> None:
    told = status(Tally(good=10, bad=0, left_out=0, to_come=0), "Gone.")
    assert (told["goodPercent"], told["message"]) == ("100", "Gone.")


def test_where_no_slot_has_a_verdict_the_status_says_what_may_be_wrong() -> None:
    told = status(Tally(good=0, bad=0, left_out=100, to_come=1340))
    assert told.keys() == {"judgedSlots", "leftOutSlots", "message"}
    assert "does not scrape the operator" in told["message"]


def test_an_objective_of_a_hundred_per_cent_is_lost_with_its_first_bad_slot() -> None:
    told = status(Tally(good=999, bad=1, left_out=0, to_come=440), objective="100")
    assert told["budgetRemainingPercent"] == "0"
