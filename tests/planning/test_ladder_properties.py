"""Whatever is seen of a ladder, bounds and the floor hold."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.declared import NOW, Live, Missing, Stale, pod
from tests.planning.ladders import Q4, Q8, ladder
from tests.planning.test_ladder_plan import BUSY, q4s, q8s, seen
from tests.planning.test_plan_properties import ANY_SAMPLE

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Canary, Hindrance, Observation
from tokenpace.planning.plan import plan

VARIANTS = st.sampled_from(["q8", "q4", "old"])
ANY_PODS = st.lists(
    st.builds(
        lambda number, variant, sample, ready, terminating, canary, hindrance: replace(
            pod(f"pod-{number}", sample, variant=variant, ready=ready, terminating=terminating),
            canary=canary,
            hindrance=hindrance,
        ),
        st.integers(0, 40),
        VARIANTS,
        ANY_SAMPLE,
        st.booleans(),
        st.booleans(),
        st.sampled_from(Canary),
        st.sampled_from(Hindrance),
    ),
    max_size=8,
)
ANY_SEEN = st.builds(
    lambda pods, replicas, problem: replace(seen(*pods, problem=problem), replicas=replicas),
    ANY_PODS,
    st.dictionaries(VARIANTS, st.integers(0, 6)),
    st.none() | st.just("timed out"),
)
ANY_LADDER = st.builds(
    ladder,
    st.just(Q8 | {"maxReplicas": 2}) | st.just(Q8),
    st.just(Q4) | st.just(Q4 | {"expected": {}}) | st.just(Q4 | {"minReplicas": 1}),
    slo=st.sampled_from(
        [
            {"stream": {"tokensPerSecond": 25}, "minQuality": "50"},
            {"timeToFirstToken": {"milliseconds": 5000}, "readyTokensPerSecond": 40},
            {"generationTokensPerSecond": 60, "minQuality": "95"},
        ]
    ),
    preference=st.sampled_from(["Quality", "Cost"]),
    maxSurge=st.integers(0, 2),
    variantDwellSeconds=st.sampled_from([0, 300]),
    degraded=st.none() | st.just({"maxTokensPercent": 10}),
)


@settings(max_examples=150)
@given(ANY_LADDER, st.lists(st.tuples(ANY_SEEN, st.integers(0, 200)), min_size=1, max_size=5))
def test_whatever_is_seen_bounds_and_floor_hold_and_the_same_moment_gives_the_same_plan(
    spec: LLMDeploymentSpec, history: list[tuple[Observation, int]]
) -> None:
    memory, now = Memory(), NOW
    for one, seconds in history:
        now += seconds
        decided, memory = plan(spec, one, memory, now)
        asked = sum(decided.fleet.values())
        assert asked <= max(spec.scaling.max_replicas + spec.scaling.max_surge, sum(one.replicas.values()))
        assert sum(decided.goal.values()) <= spec.scaling.max_replicas
        assert decided.fleet.keys() == decided.goal.keys() == {"q8", "q4"} | one.replicas.keys()
        for variant in spec.variants:
            if variant.quality < spec.slo.min_quality:
                assert decided.fleet[variant.name] <= one.replicas.get(variant.name, 0)
        again, unchanged = plan(spec, one, memory, now)
        assert (again.fleet, again.goal, unchanged) == (decided.fleet, decided.goal, memory)


@given(ANY_LADDER, st.integers(0, 3), st.integers(0, 3), st.lists(st.sampled_from(["problem", "missing", "stale"])))
def test_without_data_nothing_goes_and_nothing_is_switched(
    spec: LLMDeploymentSpec, q8: int, q4: int, outage: list[str]
) -> None:
    if q8 + q4 == 0 or q8 + q4 > spec.scaling.max_replicas or spec.slo.min_quality > 90 or q8 > 2:
        return
    _, memory = plan(spec, seen(*q8s(q8), *q4s(q4), q8=q8, q4=q4), Memory(), NOW)
    running, goal = {"q8": q8, "q4": q4}, memory.goal
    for number, kind in enumerate(outage):
        sample = {"problem": Live(BUSY), "missing": Missing(), "stale": Stale(900.0)}[kind]
        blind = seen(*q8s(q8, sample), *q4s(q4, sample), problem="timed out" if kind == "problem" else None)
        decided, memory = plan(spec, replace(blind, replicas=running), memory, NOW + 30 * (number + 1))
        assert all(decided.fleet[name] >= count for name, count in running.items())
        assert memory.goal == goal
        running = dict(decided.fleet)
