"""Scale to zero and back: seen idleness alone sends a model to sleep, and only who asks wakes what has gone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.declared import NOW, Idle, Live, Missing, Stale, declared, observation, pod, reading, serving
from tests.planning.watching import q8, watch

from tokenpace.api.reasons import DecisionReason, MetricsReason, SLOMetReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.decision import Plan, Verdict
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Observation, Pod, Sample, Wake
from tokenpace.planning.plan import plan
from tokenpace.planning.schedules import in_force

AFTER = 120
WAKE = {"metricName": "gateway_requests_total", "matchLabels": {"model": "m"}}
IDLE = serving(1, reading(0.0))
LADDER = ({"name": "q8", "quality": "100"}, {"name": "q4", "quality": "90"})


def sleepy(**changes: Any) -> LLMDeploymentSpec:
    return declared(**{"scaleToZeroAfterSeconds": AFTER, "wake": WAKE, **changes})


def seen(*pods: Pod, wake: Wake = Wake.SILENT, **other: Any) -> Observation:
    return replace(observation(*pods, **other), wake=wake)


def asleep(spec: LLMDeploymentSpec | None = None) -> Memory:
    """Return the memory of a model that has fallen asleep at `NOW` + 120 s, and of which nothing runs since."""
    decided, memory = watch(spec or sleepy(), seen(*IDLE), AFTER)
    assert decided.reason is DecisionReason.ASLEEP
    return memory


NOTHING = {"q8": 0}
LATER = NOW + AFTER + 5


def test_a_model_that_nobody_has_asked_for_as_long_as_is_declared_falls_asleep() -> None:
    decided, _ = watch(sleepy(), seen(*IDLE), AFTER)
    assert (dict(decided.fleet), dict(decided.goal)) == (NOTHING, NOTHING)
    assert decided.message == (
        "Asleep: nobody had asked for 120 s, every tick of which was seen. What wakes it: `gateway_requests_total`."
    )


def test_not_a_tick_earlier() -> None:
    decided, _ = watch(sleepy(), seen(*IDLE), AFTER - 5)
    assert q8(decided) == 1


def test_it_is_awake_for_a_minute_at_least() -> None:
    spec = sleepy(scaleToZeroAfterSeconds=0)
    assert q8(watch(spec, seen(*IDLE), 55)[0]) == 1
    assert q8(watch(spec, seen(*IDLE), 60)[0]) == 0


@pytest.mark.parametrize("fewest", [0, 1, 3])
def test_the_fewest_replicas_are_those_of_a_model_that_is_awake(fewest: int) -> None:
    pods = serving(max(fewest, 1), reading(0.0))
    spec = sleepy(minReplicas=fewest)
    assert q8(watch(spec, seen(*pods), AFTER - 5)[0]) == max(fewest, 1)
    assert q8(watch(spec, seen(*pods), AFTER)[0]) == 0


def test_what_is_kept_of_other_variants_sleeps_too() -> None:
    spec = sleepy(variants=[LADDER[0], {**LADDER[1], "minReplicas": 1}])
    pods = (*IDLE, pod("small", reading(0.0), variant="q4"))
    decided, _ = watch(spec, seen(*pods, replicas={"q8": 1, "q4": 1}, variants=("q8", "q4")), AFTER)
    assert dict(decided.fleet) == {"q8": 0, "q4": 0}


@pytest.mark.parametrize(
    "awake",
    [
        pytest.param(seen(*serving(1, reading(3.0))), id="a pod works"),
        pytest.param(seen(*serving(1, Live(reading(0.0, waiting=1.0)))), id="a request waits"),
        pytest.param(seen(*serving(1, reading(0.0, requests_per_second=0.1))), id="a request was admitted"),
        pytest.param(seen(*serving(1, Missing())), id="a pod is missing"),
        pytest.param(seen(*serving(1, Stale(50.0))), id="a pod is stale"),
        pytest.param(seen(*IDLE, pod("unseen", Missing())), id="one of two pods is missing"),
        pytest.param(seen(*IDLE, problem="connection refused"), id="Prometheus is away"),
        pytest.param(seen(*IDLE, wake=Wake.MISSING), id="the series that wakes is missing"),
        pytest.param(seen(*IDLE, wake=Wake.ASKED), id="somebody asks at the gateway"),
        pytest.param(seen(*IDLE, pod("starting", ready=False)), id="a pod that somebody wanted has yet to serve"),
    ],
)
def test_whatever_is_not_seen_to_be_idle_stays_awake(awake: Observation) -> None:
    decided, memory = watch(sleepy(), awake, 20 * AFTER)
    assert q8(decided) >= 1
    assert memory.asleep_since_seconds is None


def test_a_pod_that_goes_keeps_nobody_awake() -> None:
    decided, _ = watch(sleepy(), seen(*IDLE, pod("going", reading(3.0), terminating=True), replicas=1), AFTER)
    assert q8(decided) == 0


@pytest.mark.parametrize("hole", [seen(*serving(1, Missing())), seen(*IDLE, wake=Wake.MISSING)])
def test_one_tick_that_was_not_seen_begins_the_time_anew(hole: Observation) -> None:
    _, memory = watch(sleepy(), seen(*IDLE), AFTER - 5)
    _, memory = plan(sleepy(), hole, memory, NOW + AFTER)
    decided, memory = watch(sleepy(), seen(*IDLE), AFTER - 5, memory, NOW + AFTER + 5)
    assert q8(decided) == 1
    decided, _ = plan(sleepy(), seen(*IDLE), memory, NOW + 2 * AFTER + 5)
    assert q8(decided) == 0


def test_two_looks_further_apart_than_half_a_window_leave_a_hole() -> None:
    """A window of 30 s: what was asked in between may be in neither."""
    _, memory = watch(sleepy(), seen(*IDLE), AFTER - 5)
    decided, _ = plan(sleepy(), seen(*IDLE), memory, NOW + AFTER - 5 + 16)
    assert q8(decided) == 1


def test_it_sleeps_until_somebody_asks() -> None:
    decided, memory = watch(sleepy(), seen(replicas=0), 20 * AFTER, asleep(), LATER)
    assert q8(decided) == 0
    decided, _ = plan(sleepy(), seen(replicas=0, wake=Wake.ASKED), memory, LATER + 20 * AFTER + 5)
    assert (q8(decided), decided.reason) == (1, DecisionReason.WOKEN)
    assert decided.message.startswith("Woken, because `gateway_requests_total` says that somebody asks. ")


@pytest.mark.parametrize(
    "unseen", [seen(replicas=0, wake=Wake.MISSING), seen(replicas=0, wake=Wake.MISSING, problem="connection refused")]
)
def test_missing_data_wakes_nobody(unseen: Observation) -> None:
    decided, _ = watch(sleepy(), unseen, 20 * AFTER, asleep(), LATER)
    assert q8(decided) == 0


def test_it_wakes_to_what_is_kept_while_awake_and_to_the_best_variant() -> None:
    spec = sleepy(variants=LADDER, minReplicas=2)
    small = serving(1, reading(0.0), variant="q4")
    _, memory = watch(spec, seen(*small, replicas={"q8": 0, "q4": 1}, variants=("q8", "q4")), AFTER)
    nothing = seen(replicas={"q8": 0, "q4": 0}, variants=("q8", "q4"), wake=Wake.ASKED)
    decided, _ = plan(spec, nothing, replace(memory, asleep_since_seconds=NOW), LATER)
    assert dict(decided.fleet) == {"q8": 2, "q4": 0}


def test_it_wakes_to_what_is_kept_ready_for_bursts() -> None:
    spec = sleepy(slo={"stream": {"tokensPerSecond": 3}, "burstTokensPerSecond": 25})
    decided, _ = plan(spec, seen(replicas=0, wake=Wake.ASKED), asleep(spec), LATER)
    assert q8(decided) == 2


def test_once_woken_it_stays_awake_although_the_one_who_asked_is_gone() -> None:
    _, memory = plan(sleepy(), seen(replicas=0, wake=Wake.ASKED), asleep(), LATER)
    starting = seen(pod("new", created=LATER, ready=False), replicas=1)
    decided, _ = watch(sleepy(), starting, 20 * AFTER, memory, LATER + 5)
    assert q8(decided) >= 1


def test_a_request_that_arrives_before_the_pods_have_gone_wakes_it() -> None:
    decided, _ = plan(sleepy(), seen(*serving(1, reading(3.0))), asleep(), LATER)
    assert (q8(decided), decided.reason) == (1, DecisionReason.WOKEN)
    assert "a replica is at work" in decided.message


def test_an_old_picture_of_running_pods_wakes_nobody() -> None:
    decided, _ = plan(sleepy(), seen(*IDLE), asleep(), LATER)
    assert q8(decided) == 0


UNSEEN = [
    pytest.param(seen(*serving(1, Missing())), id="its pods are missing"),
    pytest.param(seen(*IDLE, wake=Wake.MISSING), id="the series that wakes is missing"),
    pytest.param(seen(*IDLE, wake=Wake.MISSING, problem="connection refused"), id="Prometheus is away"),
]


@pytest.mark.parametrize("unseen", UNSEEN)
def test_what_still_serves_goes_only_while_it_is_seen_to_be_idle(unseen: Observation) -> None:
    """It fell asleep while nobody carried it out: paused, in mode Advisory, held or refused."""
    decided, memory = watch(sleepy(), seen(*IDLE), 20 * AFTER)
    assert q8(decided) == 0
    decided, _ = plan(sleepy(), unseen, memory, NOW + 20 * AFTER + 5)
    assert q8(decided) == 1
    assert decided.message.startswith("Woken, because what still serves is not seen to be idle any more. ")


def test_what_still_serves_unseen_is_not_said_to_be_asked_for_nothing() -> None:
    """A schedule is all that wakes: no series says that nobody asks."""
    spec = sleepy(wake=None, schedules=[OFFICE])
    _, memory = watch(spec, seen(*IDLE, wake=Wake.MISSING), AFTER)
    decided, _ = plan(spec, seen(*serving(1, Missing()), wake=Wake.MISSING), memory, LATER)
    assert decided.slo_met.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("awake", [declared(), sleepy(mode="Manual"), sleepy(wake=None)])
def test_a_spec_that_does_not_let_it_sleep_wakes_it(awake: LLMDeploymentSpec) -> None:
    decided, _ = plan(awake, seen(replicas=0), asleep(), LATER)
    assert q8(decided) == 1


# --- Schedules

OFFICE = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 2}
NOON, NIGHT = (datetime(2026, 11, 23, hour, tzinfo=UTC).timestamp() for hour in (12, 22))


def test_a_schedule_wakes_and_lets_nobody_sleep_until_it_ends() -> None:
    spec = sleepy(schedules=[OFFICE])
    decided, _ = plan(in_force(spec, NOON), seen(replicas=0), asleep(spec), LATER)
    assert (q8(decided), decided.reason) == (2, DecisionReason.WOKEN)
    assert q8(watch(in_force(spec, NOON), seen(*serving(2, reading(0.0))), 10 * AFTER)[0]) == 2
    assert q8(watch(in_force(spec, NIGHT), seen(*serving(2, reading(0.0))), AFTER)[0]) == 0


def test_a_schedule_alone_may_be_what_wakes() -> None:
    spec = sleepy(wake=None, schedules=[OFFICE])
    decided, _ = watch(spec, seen(*IDLE, wake=Wake.MISSING), AFTER)
    assert q8(decided) == 0
    assert decided.message.endswith("What wakes it: schedule office.")


def test_a_schedule_that_asks_for_nothing_wakes_nobody_and_so_nobody_sleeps() -> None:
    spec = sleepy(wake=None, schedules=[{**OFFICE, "minReplicas": 0}])
    assert q8(watch(spec, seen(*IDLE), 10 * AFTER)[0]) == 1


# --- Restarts


def test_a_restarted_operator_sees_a_whole_time_before_it_sends_anybody_to_sleep() -> None:
    decided, _ = watch(sleepy(), seen(*IDLE), AFTER - 5, Memory(), NOW + 5000)
    assert q8(decided) == 1


def test_a_restarted_operator_lets_sleep_what_sleeps() -> None:
    decided, _ = watch(sleepy(), seen(replicas=0), AFTER, Memory(asleep_since_seconds=NOW))
    assert q8(decided) == 0


def test_what_runs_at_a_restart_was_woken_whatever_was_written_down() -> None:
    decided, memory = plan(sleepy(), seen(*IDLE), Memory(asleep_since_seconds=NOW - 5), NOW)
    assert (q8(decided), memory.asleep_since_seconds) == (1, None)


def test_a_new_resource_of_which_nothing_runs_is_not_asleep() -> None:
    decided, _ = plan(sleepy(minReplicas=0), seen(replicas=0), Memory(), NOW)
    assert q8(decided) == 1


# --- What is told


def test_asleep_without_demand_is_good() -> None:
    decided, _ = plan(sleepy(), seen(replicas=0), asleep(), LATER)
    assert (decided.slo_met.verdict, decided.slo_met.reason) == (Verdict.TRUE, SLOMetReason.NO_DEMAND)
    assert decided.metrics_available.reason == MetricsReason.WAKE_SERIES_SEEN


def test_as_long_as_somebody_asks_and_nothing_serves_the_slo_is_missed() -> None:
    """Else a cold start would be minutes without a verdict, and no slot would be bad."""
    decided, memory = plan(sleepy(), seen(replicas=0, wake=Wake.ASKED), asleep(), LATER)
    starting = seen(pod("new", created=LATER, ready=False), replicas=1, wake=Wake.ASKED)
    later, memory = plan(sleepy(), starting, memory, LATER + 5)
    for told in (decided.slo_met, later.slo_met):
        assert (told.verdict, told.reason) == (Verdict.FALSE, SLOMetReason.DEMAND_NOT_SERVED)
        assert told.message == "Somebody asks, and no replica serves yet."
    ready, _ = plan(sleepy(), seen(*serving(1, reading(3.0)), wake=Wake.ASKED), memory, LATER + 30)
    assert ready.slo_met.verdict is Verdict.TRUE


def test_a_series_that_is_missing_is_told_while_it_keeps_everybody_asleep() -> None:
    decided, _ = plan(sleepy(), seen(replicas=0, wake=Wake.MISSING), asleep(), LATER)
    assert decided.slo_met.verdict is Verdict.UNKNOWN
    assert (decided.metrics_available.verdict, decided.metrics_available.reason) == (
        Verdict.FALSE,
        MetricsReason.WAKE_SERIES_MISSING,
    )


def test_what_sends_it_to_sleep_is_told_beforehand() -> None:
    assert "No replica when nobody has asked for 120 s." in watch(sleepy(), seen(*IDLE))[0].outlook
    unseen = watch(sleepy(), seen(*IDLE, wake=Wake.MISSING))[0].outlook
    assert any("as long as Prometheus has nothing recent of gateway_requests_total, never" in one for one in unseen)


# --- Whatever happens

SAMPLES: Mapping[str, Sample] = {
    "idle": Idle(reading(0.0)),
    "live": Live(reading(3.0)),
    "missing": Missing(),
    "stale": Stale(50.0),
}


@dataclass
class World:
    """A model whose pods serve 20 s after they were asked for, and what is seen of it tick by tick."""

    now: float = NOW
    memory: Memory = field(default_factory=Memory)
    wanted: int = 1
    pods: list[Pod] = field(default_factory=list)
    idle_since: float | None = None
    """Since when every tick has seen that nobody asks."""
    awake_since: float = NOW

    def tick(self, seconds: float, sample: str, wake: Wake, problem: str | None) -> tuple[Plan, bool]:
        """Let time pass and look; return the plan, and whether it was asleep before."""
        self.now += seconds
        was_asleep = self.memory.asleep_since_seconds is not None
        self.pods = [
            replace(
                one,
                ready_since_seconds=one.created_at_seconds + 20 if self.now >= one.created_at_seconds + 20 else None,
                sample=SAMPLES[sample],
            )
            for one in self.pods
        ]
        idle = bool(self.pods) and all(one.serving for one in self.pods)
        idle = idle and sample == "idle" and wake is Wake.SILENT and problem is None
        if not idle:
            self.idle_since = None
        elif self.idle_since is None or seconds > 15:
            self.idle_since = self.now
        picture = seen(*self.pods, replicas=self.wanted, wake=wake, problem=problem)
        decided, self.memory = plan(sleepy(), picture, self.memory, self.now)
        self.wanted = q8(decided)
        self.pods = self.pods[: self.wanted]
        for number in range(self.wanted - len(self.pods)):
            self.pods.append(pod(f"{self.now:.0f}-{number}", created=self.now, ready=False))
        return decided, was_asleep


ticks = st.tuples(
    st.sampled_from([5.0, 5.0, 5.0, 10.0, 20.0, 400.0]),
    st.sampled_from(["idle", "idle", "idle", "idle", *SAMPLES]),
    st.sampled_from([Wake.SILENT, Wake.SILENT, Wake.SILENT, Wake.SILENT, *Wake]),
    st.sampled_from([None, None, None, None, None, "connection refused"]),
)
stretches = st.lists(st.tuples(ticks, st.integers(1, 30)), min_size=1, max_size=8)


@settings(max_examples=150)
@given(stretches)
def test_whatever_is_seen_sleep_follows_a_whole_idle_time_and_ends_when_somebody_asks(
    drawn: list[tuple[tuple[float, str, Wake, str | None], int]],
) -> None:
    world = World()
    for (seconds, sample, wake, problem), times in drawn:
        for _ in range(times):
            decided, was_asleep = world.tick(seconds, sample, wake, problem)
            if q8(decided) == 0 and not was_asleep:
                assert world.idle_since is not None, "asleep without having seen that nobody asks"
                assert world.now - world.idle_since >= AFTER, "asleep although somebody asked within the time"
                assert world.now - world.awake_since >= AFTER, "asleep again sooner than the idle time"
            if wake is Wake.ASKED:
                assert q8(decided) >= 1, "somebody asks, and nothing runs"
            if was_asleep and q8(decided) > 0:
                assert wake is Wake.ASKED, "woken although nobody was seen to ask"
                world.awake_since = world.now


def test_what_is_drawn_falls_asleep_and_wakes() -> None:
    """Else the property above would hold of a model that never sleeps."""
    world = World()
    plans = [world.tick(5.0, "idle", Wake.SILENT, None)[0] for _ in range(60)]
    assert q8(plans[-1]) == 0
    assert q8(world.tick(5.0, "idle", Wake.ASKED, None)[0]) == 1
