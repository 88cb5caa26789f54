"""The status says what was seen, planned and done."""

from dataclasses import replace
from typing import Any

import pytest

from tokenpace.api.conditions import ConditionType
from tokenpace.api.reasons import DecisionReason, DegradedReason, ProgressingReason, ReadyReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import Condition, LLMDeploymentStatus, SpeedSource
from tokenpace.cluster.apply import Create, Outcome, Result
from tokenpace.controller.recollection import keep
from tokenpace.controller.report import Facts, Refusal, build_status, refusals_of, unserved_status
from tokenpace.planning.budget import Budget
from tokenpace.planning.decision import Finding, Indicators, Plan, VariantSpeed, Verdict
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Hindrance, Missing, Observation, Pod
from tokenpace.planning.setbacks import Setback

NOW = 1_795_000_000.0
FINE = Finding(Verdict.TRUE, "Fine", "It is fine.")

SPEC = LLMDeploymentSpec.model_validate(
    {
        "model": {"servedName": "chat", "contextTokens": 1024, "source": {"image": {"path": "/models"}}},
        "slo": {"generationTokensPerSecond": 60},
        "variants": [
            {"name": "q8", "engine": {"type": "LlamaCpp"}, "quality": "98.5"},
            {"name": "q4", "engine": {"type": "LlamaCpp"}, "quality": "97"},
        ],
        "scaling": {"minReplicas": 2},
    }
)


def pod(
    name: str, variant: str = "q8", *, ready: bool = True, terminating: bool = False, trouble: str | None = None
) -> Pod:
    return Pod(
        name=name,
        variant=variant,
        template_hash="h",
        created_at_seconds=NOW - 60,
        ready_since_seconds=NOW - 30 if ready else None,
        terminating=terminating,
        sample=Missing(),
        hindrance=Hindrance.BLOCKED if trouble else Hindrance.NONE,
        hindrance_message=trouble,
    )


def facts(*pods: Pod, replicas: int = 2, wanted: int = 2, **changes: Any) -> Facts:
    plan = Plan(
        fleet={"q8": wanted},
        reason=DecisionReason.AT_TARGET,
        message="Enough.",
        numbers={},
        indicators=Indicators(
            demand_tokens_per_second=17.34,
            served_tokens_per_second=None,
            capacity_tokens_per_second=22.0,
            stream_tokens_per_second=4.0,
            waiting_requests=0.0,
        ),
        speeds={
            "q8": VariantSpeed(capacity_tokens_per_second=11.0, lead_seconds=7.4, source=SpeedSource.LEARNED),
        },
        metrics_available=FINE,
        slo_met=FINE,
        slo_feasible=FINE,
        scaling_limited=FINE,
        traffic_unbalanced=FINE,
    )
    observation = Observation(
        replicas={"q8": replicas}, template_hashes={"q8": "h"}, pods=pods, metrics_problem=None, tick_seconds=10
    )
    made = Facts(
        name="chat",
        generation=3,
        declared=SPEC,
        objective=None,
        observation=observation,
        plan=plan,
        kept=keep(Memory()),
        problems=(),
        refusals=(),
        outdated=(),
        hands_off=None,
    )
    return replace(made, **changes)


def condition(status: LLMDeploymentStatus, kind: ConditionType) -> Condition:
    return next(one for one in status.conditions if one.type == kind)


def reported(*pods: Pod, previous: LLMDeploymentStatus | None = None, **changes: Any) -> LLMDeploymentStatus:
    return build_status(facts(*pods, **changes), previous or LLMDeploymentStatus(), NOW)


def test_speeds_have_two_significant_digits() -> None:
    assert reported(pod("a")).as_manifest()["tokensPerSecond"]["demand"] == "17"


def test_a_speed_that_is_not_known_is_absent_and_not_zero() -> None:
    assert "served" not in reported(pod("a")).as_manifest()["tokensPerSecond"]


def test_a_pod_that_terminates_is_no_ready_replica() -> None:
    assert reported(pod("a"), pod("b", terminating=True)).ready_replicas == 1


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param((pod("a"), pod("b")), ("True", ReadyReason.SERVING), id="enough replicas serve"),
        pytest.param((pod("a"),), ("False", ReadyReason.TOO_FEW_REPLICAS), id="too few replicas serve"),
    ],
)
def test_ready_compares_serving_replicas_with_the_least_allowed(
    pods: tuple[Pod, ...], expected: tuple[str, ReadyReason]
) -> None:
    ready = condition(reported(*pods), ConditionType.READY)
    assert (ready.status, ready.reason) == expected


def test_a_name_that_belongs_to_somebody_else_is_told_in_ready() -> None:
    body = {"kind": "Service", "metadata": {"name": "chat", "namespace": "team"}}
    refusals = refusals_of([Outcome(Create(body), Result.NAME_CONFLICT, "it exists")])
    ready = condition(reported(pod("a"), pod("b"), refusals=refusals), ConditionType.READY)
    assert (ready.reason, "Service team/chat" in ready.message) == (ReadyReason.NAME_CONFLICT, True)


@pytest.mark.parametrize("result", [Result.CONFLICT, Result.UNAVAILABLE, Result.LEASE_NOT_HELD])
def test_what_the_next_tick_tries_again_is_no_refusal(result: Result) -> None:
    body = {"kind": "Service", "metadata": {"name": "chat", "namespace": "team"}}
    assert refusals_of([Outcome(Create(body), result, "not now")]) == ()


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(facts(pod("a"), pod("b")), "Settled", id="as decided"),
        pytest.param(facts(pod("a"), pod("b", ready=False)), "ReplicasStarting", id="one is not ready"),
        pytest.param(facts(pod("a"), wanted=1, replicas=1), "Settled", id="one is enough"),
        pytest.param(facts(pod("a"), pod("b"), wanted=1), "ReplicasStopping", id="one too many"),
        pytest.param(
            facts(pod("a"), pod("b", ready=False, trouble="Unschedulable: no GPU")), "PodsInTrouble", id="no GPU"
        ),
        pytest.param(facts(pod("a"), hands_off=ProgressingReason.PAUSED), "Paused", id="paused"),
        pytest.param(facts(pod("a"), pod("b"), outdated=("q8",)), "TemplateOutdated", id="made by an earlier version"),
    ],
)
def test_progressing_says_what_is_waited_for(made: Facts, reason: str) -> None:
    status = build_status(made, LLMDeploymentStatus(), NOW)
    assert condition(status, ConditionType.PROGRESSING).reason == reason


def test_every_condition_is_of_the_generation_that_was_looked_at() -> None:
    assert {one.observed_generation for one in reported(pod("a")).conditions} == {3}


def test_the_same_decision_keeps_its_time() -> None:
    first = reported(pod("a"))
    second = build_status(facts(pod("a")), first, NOW + 600)
    assert second.last_decision is not None
    assert second.last_decision == first.last_decision


def test_another_fleet_is_a_new_decision() -> None:
    first = reported(pod("a"))
    second = build_status(facts(pod("a"), wanted=3), first, NOW + 600)
    assert first.last_decision is not None
    assert second.last_decision is not None
    assert (second.last_decision.time - first.last_decision.time).total_seconds() == 600


def test_quality_is_that_of_the_variant_that_serves() -> None:
    assert str(reported(pod("a")).quality) == "98.5"


def test_without_a_serving_replica_no_variant_is_named() -> None:
    assert reported(pod("a", ready=False)).variant is None


def test_of_several_that_serve_the_one_with_most_replicas_is_named() -> None:
    assert reported(pod("a"), pod("b", "q4"), pod("c", "q4")).variant == "q4"


@pytest.mark.parametrize("pods", [(pod("a"), pod("b", "q4")), (pod("b", "q4"), pod("a"))])
def test_of_equals_that_serve_the_better_one_is_named(pods: tuple[Pod, ...]) -> None:
    assert reported(*pods).variant == "q8"


def test_quality_is_that_of_the_worst_variant_that_serves() -> None:
    assert str(reported(pod("a"), pod("c"), pod("b", "q4")).quality) == "97"


def with_plan(*pods: Pod, **changes: Any) -> LLMDeploymentStatus:
    made = facts(*pods)
    return build_status(replace(made, plan=replace(made.plan, **changes)), LLMDeploymentStatus(), NOW)


def test_a_switch_that_is_under_way_is_told_with_what_stands_in_its_way() -> None:
    switch = Finding(Verdict.TRUE, ProgressingReason.SWITCHING, "From q8 to q4.")
    said = condition(with_plan(pod("a"), pod("b", trouble="OOMKilled"), progress=switch), ConditionType.PROGRESSING)
    assert (said.reason, said.message) == ("Switching", "From q8 to q4. b: OOMKilled")


def test_degraded_is_what_the_plan_says() -> None:
    finding = Finding(Verdict.TRUE, DegradedReason.SLO_NEEDS_SPEED, "q4 serves, because.")
    said = condition(with_plan(pod("a", "q4"), degraded=finding), ConditionType.DEGRADED)
    assert (said.status, said.reason, said.message) == ("True", "SLONeedsSpeed", "q4 serves, because.")


def test_what_would_change_the_fleet_is_told() -> None:
    assert with_plan(pod("a"), outlook=("Above 40 tokens/s.",)).outlook == ("Above 40 tokens/s.",)


def test_what_outlives_a_restart_stands_in_the_status() -> None:
    setback = Setback(template_hash="h", failures=2, until_seconds=NOW + 120, message="no kernel image")
    memory = Memory(
        setbacks={"q4": setback},
        switched_at_seconds=NOW - 60,
        budget=Budget(generated_tokens=2e6, degraded_tokens=5e5),
    )
    status = reported(pod("a"), kept=keep(memory)).as_manifest()
    assert status["switchedAt"] == "2026-11-18T11:05:40Z"
    assert status["degraded"] == {"tokensPercent": "25.0", "generatedTokens": 2_000_000, "degradedTokens": 500_000}
    assert [one["setback"]["failures"] for one in status["variants"] if "setback" in one] == [2]


def test_a_spec_that_cannot_be_read_leaves_the_rest_of_the_status_as_it_is() -> None:
    before = reported(pod("a"), pod("b"))
    why = Refusal(ReadyReason.INVALID_SPEC, "spec.slo: wrong")
    after = unserved_status("chat", 4, why, before, NOW + 1)
    ready = condition(after, ConditionType.READY)
    assert (ready.status, ready.reason, after.replicas) == ("False", ReadyReason.INVALID_SPEC, before.replicas)
