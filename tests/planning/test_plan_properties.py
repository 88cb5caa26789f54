"""What holds of every plan, whatever comes in."""

import math
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.declared import (
    LARGE_POD,
    NOW,
    SMALL_POD,
    Idle,
    Live,
    Missing,
    Stale,
    declared,
    observation,
    pod,
    reading,
    serving,
)
from tests.planning.watching import q8, watch

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.estimate import FIRST_SIGHT_SECONDS
from tokenpace.planning.learning import Learned
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Hindrance, Observation, Pod, Reading, Sample
from tokenpace.planning.plan import plan

SLOS: list[dict[str, Any]] = [
    {"stream": {"tokensPerSecond": 3}},
    {"stream": {"tokensPerSecond": 6, "percentile": 95}, "burstTokensPerSecond": 10},
    {"stream": {"tokensPerSecond": 50}, "readyTokensPerSecond": 20},
    {"timeToFirstToken": {"milliseconds": 5000}, "generationTokensPerSecond": 100},
    {"generationTokensPerSecond": 100, "prefillTokensPerSecond": 30, "backlogDrainSeconds": 60},
]


@st.composite
def specs(draw: st.DrawFn) -> LLMDeploymentSpec:
    least = draw(st.integers(1, 3))
    cost = draw(st.none() | st.integers(4, 40))
    return declared(
        slo=draw(st.sampled_from(SLOS)),
        expected=draw(st.sampled_from([{}, SMALL_POD, LARGE_POD, {"streamTokensPerSecond": 17}])),
        minReplicas=least,
        maxReplicas=draw(st.integers(least, 12)),
        balancing=draw(st.sampled_from(["Random", "LeastRequest"])),
        scaleDown={"stabilizationWindowSeconds": draw(st.sampled_from([0, 60, 300]))},
        **({} if cost is None else {"maxHourlyCost": str(cost)}),
    )


ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
ANY_NUMBER = ANY_FLOAT | st.sampled_from([0.0, -0.0, 1e-320, 5e-324, 1e308, -1.0, 1e9, 1e-9, math.nan, math.inf])

ANY_READING = st.builds(
    Reading,
    window_seconds=ANY_NUMBER,
    generated_tokens_per_second=ANY_NUMBER,
    prompt_tokens_per_second=ANY_NUMBER,
    running_streams=ANY_NUMBER,
    waiting_requests=ANY_NUMBER,
    slots=st.none() | ANY_NUMBER,
    requests_per_second=st.none() | ANY_NUMBER,
    tokens_per_completion=st.none() | ANY_NUMBER,
    seconds_per_prompt_token=st.none() | ANY_NUMBER,
    seconds_per_output_token=st.none() | ANY_NUMBER,
)

POSSIBLE_READING = st.builds(
    Reading,
    window_seconds=st.floats(1.0, 120.0),
    generated_tokens_per_second=st.floats(0.0, 1e9),
    prompt_tokens_per_second=st.floats(0.0, 1e9),
    running_streams=st.floats(0.0, 1e9),
    waiting_requests=st.floats(0.0, 1e9),
    slots=st.none() | st.floats(1e-9, 1e9),
    requests_per_second=st.none() | st.floats(0.0, 1e9),
    tokens_per_completion=st.none() | st.floats(1e-9, 1e9),
    seconds_per_prompt_token=st.none() | st.floats(1e-9, 1e9),
    seconds_per_output_token=st.none() | st.floats(1e-9, 1e9),
)

ANY_SAMPLE = st.one_of(
    st.builds(Live, ANY_READING),
    st.builds(Live, POSSIBLE_READING),
    st.builds(Idle, ANY_READING),
    st.just(Missing()),
    st.builds(Stale, ANY_NUMBER),
)


@st.composite
def any_pods(draw: st.DrawFn, samples: st.SearchStrategy[Sample] = ANY_SAMPLE) -> tuple[Pod, ...]:
    return tuple(
        Pod(
            name=f"pod-{number}",
            variant=draw(st.sampled_from(["q8", "q8", "q8", "old"])),
            template_hash=draw(st.sampled_from(["inputs-1", "inputs-0"])),
            created_at_seconds=draw(ANY_NUMBER | st.just(NOW - 300)),
            ready_since_seconds=draw(st.none() | ANY_NUMBER | st.just(NOW - 200)),
            terminating=draw(st.booleans()),
            sample=draw(samples),
            scheduled_at_seconds=draw(st.none() | ANY_NUMBER),
            unready_since_seconds=draw(st.none() | ANY_NUMBER),
            ends_by_seconds=draw(st.none() | ANY_NUMBER),
            hindrance=draw(st.sampled_from(Hindrance)),
            hindrance_message=draw(st.none() | st.just("Unschedulable")),
        )
        for number in range(draw(st.integers(0, 4)))
    )


@st.composite
def any_observations(draw: st.DrawFn) -> Observation:
    return Observation(
        replicas=draw(st.dictionaries(st.sampled_from(["q8", "old"]), st.integers(-5, 10**9), max_size=2)),
        template_hashes={"q8": "inputs-1"},
        pods=draw(any_pods()),
        metrics_problem=draw(st.none() | st.just("connection refused")),
        tick_seconds=draw(ANY_NUMBER),
    )


@given(specs(), st.lists(st.tuples(any_observations(), ANY_NUMBER | st.just(NOW)), min_size=1, max_size=5))
def test_no_float_makes_it_raise_or_leave_the_bounds(
    spec: LLMDeploymentSpec, seen: list[tuple[Observation, float]]
) -> None:
    memory = Memory()
    for one, now in seen:
        decided, memory = plan(spec, one, memory, now)
        assert decided.fleet["q8"] <= spec.scaling.max_replicas
        assert decided.goal["q8"] >= spec.scaling.min_replicas or spec.scaling.max_hourly_cost is not None
        assert sum(decided.fleet.values()) <= max(
            spec.scaling.max_replicas + 1, sum(max(0, count) for count in one.replicas.values())
        )
        assert all(math.isfinite(value) for value in decided.numbers.values())
        for learned in memory.learned.values():
            assert learned.costs is None or all(
                math.isfinite(cost) and cost > 0
                for cost in (
                    learned.costs.step_seconds,
                    learned.costs.token_seconds,
                    learned.costs.prompt_token_seconds,
                )
            )


LOADS = st.builds(
    lambda share, waiting: reading(16.0 * share, running=4.0 * share, waiting=waiting if share > 0.95 else 0.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 60.0),
)


@st.composite
def known_pods(draw: st.DrawFn) -> tuple[Pod, ...]:
    return tuple(pod(f"pod-{number}", draw(LOADS)) for number in range(draw(st.integers(1, 6))))


@given(specs(), st.lists(known_pods(), min_size=1, max_size=6), st.integers(0, 400))
def test_planning_the_same_moment_again_changes_nothing(
    spec: LLMDeploymentSpec, seen: list[tuple[Pod, ...]], tick: int
) -> None:
    memory = Memory()
    for step, pods in enumerate(seen):
        now = NOW + step * tick
        decided, memory = plan(spec, observation(*pods), memory, now)
        again, unchanged = plan(spec, observation(*pods), memory, now)
        assert again.fleet == decided.fleet
        assert unchanged == memory
        carried_out, _ = plan(spec, observation(*pods, replicas=decided.fleet), memory, now)
        assert carried_out.fleet == decided.fleet


@given(
    specs(),
    st.lists(known_pods(), max_size=20),
    st.lists(st.sampled_from(["problem", "missing", "stale"]), min_size=1, max_size=40),
    st.integers(1, 12),
)
def test_without_data_nothing_ever_shrinks(
    spec: LLMDeploymentSpec, before: list[tuple[Pod, ...]], outage: list[str], replicas: int
) -> None:
    memory, now = Memory(), NOW
    for pods in before:
        _, memory = plan(spec, observation(*pods), memory, now)
        now += 30
    samples: dict[str, Sample] = {"problem": Live(reading(0.0)), "missing": Missing(), "stale": Stale(600.0)}
    current = min(replicas, _most_allowed(spec))
    for kind in outage:
        seen = observation(
            *serving(3, samples[kind]), replicas=current, problem="timed out" if kind == "problem" else None
        )
        decided, memory = plan(spec, seen, memory, now)
        assert decided.fleet["q8"] >= current
        current, now = decided.fleet["q8"], now + 30


def _most_allowed(spec: LLMDeploymentSpec) -> int:
    """The bounds themselves win over everything else."""
    decided, _ = plan(spec, observation(replicas=10_000), Memory(), NOW)
    return decided.fleet["q8"]


@given(specs(), st.integers(1, 6), st.floats(0.1, 0.9), st.floats(1.0, 8.0), st.integers(1, 40))
def test_more_demand_never_asks_the_same_fleet_for_fewer_replicas(
    spec: LLMDeploymentSpec, pods: int, load: float, factor: float, ticks: int
) -> None:
    usual = reading(8.0, running=1.0, seconds_per_output_token=0.12, requests_per_second=load)
    fleets = []
    for one in (usual, replace(usual, requests_per_second=load * factor)):
        decided, _ = watch(spec, observation(*serving(pods, one), tick=10), 10 * ticks)
        fleets.append(q8(decided))
    assert fleets[0] <= fleets[1]


@settings(max_examples=25)
@given(specs(), st.lists(known_pods(), min_size=30, max_size=50))
def test_a_restart_hardly_changes_what_is_known_of_a_pod(spec: LLMDeploymentSpec, seen: list[tuple[Pod, ...]]) -> None:
    memory = Memory()
    for step, pods in enumerate(seen):
        decided, memory = plan(spec, observation(*pods, tick=20.0), memory, NOW + 20 * step)
    kept = memory.learned["q8"].to_integers()
    if kept is None or decided.speeds["q8"].capacity_tokens_per_second is None:
        return
    if memory.learned["q8"].saturated and memory.learned["q8"].observed_seconds < FIRST_SIGHT_SECONDS + 1:
        return  # It was proven by a full window, which is not written down.
    restored = Learned.from_integers("inputs-1", kept)
    assert restored is not None
    # The slots are exported by every pod, and the rest of what is known of traffic comes back with it.
    after = replace(memory, learned={"q8": replace(restored, slots=memory.learned["q8"].slots)})
    again, _ = plan(spec, observation(*seen[-1], tick=20.0), after, NOW + 20 * (len(seen) - 1))
    known, believed = (one.speeds["q8"].capacity_tokens_per_second for one in (decided, again))
    assert known is not None
    assert believed is not None
    assert abs(believed - known) <= 0.02 * known + 1e-3
