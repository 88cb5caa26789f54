import pytest
from tests.replay.policies.views import fleet, made, pod, speeds, steady, variant, view

from tokenpace.replay.policies import oracle, tokenpace
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.registry import POLICIES

PEERS = [kind for kind in POLICIES.values() if kind not in (*tokenpace.KINDS, *oracle.KINDS)]

FLEET = fleet(
    variant("full", hourlyCost="8"),
    variant("half", quality="99", hourlyCost="5"),
    variant("never", quality="50", hourlyCost="1"),
    truth={"full": speeds(kv_tokens=2000), "half": speeds(kv_tokens=2000)},
    slo={"minQuality": "90"},
    scaling={"maxReplicas": 6, "maxHourlyCost": "40"},
)

OVERLOAD = {
    "generated_tokens": 78.0,
    "prompt_tokens": 400.0,
    "admitted": 9.0,
    "first_tokens": 2.0,
    "ended": 2.0,
    "ended_generated_tokens": 78.0,
    "ended_prompt_tokens": 400.0,
    "ended_seconds": 60.0,
    "stream_seconds": 4.0,
    "ended_stream_seconds": 4.0,
}


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.name)
def test_no_extreme_leaves_the_bounds_the_budget_and_the_floor_of_quality(kind: PolicyKind) -> None:
    costs = {"full": 8, "half": 5}
    for setting in (kind.sweep[0], kind.default, kind.sweep[-1]):
        policy, asked = made(kind, FLEET, setting), {"full": 1, "half": 0}
        for at in range(200, 2000, 60):
            pods = [
                pod(f"{name}-{n}", *steady(at, 180, rates=OVERLOAD, running=4, waiting=40, kv_share=1), variant=name)
                for name, count in asked.items()
                for n in range(count)
            ]
            asked |= policy.decide(view(at, *pods, **asked))
            assert 1 <= sum(asked.values()) <= 6
            assert sum(costs[name] * count for name, count in asked.items()) <= 40


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.name)
def test_the_sweep_has_settings_enough_for_a_curve(kind: PolicyKind) -> None:
    assert 5 <= len(kind.sweep) <= 8
    assert list(kind.sweep) == sorted(set(kind.sweep))
