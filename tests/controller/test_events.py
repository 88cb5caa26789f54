"""Events tell what happened, once."""

import pytest

from tokenpace.api.reasons import EventReason, ProgressingReason
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.cluster.apply import Outcome, Result, Scale, Target
from tokenpace.cluster.kinds import DEPLOYMENTS
from tokenpace.controller.events import Happening, event_body, scalings, switching, turns

RESOURCE = {"metadata": {"name": "chat", "namespace": "team", "uid": "u-1", "resourceVersion": "7"}}


def status(*conditions: tuple[str, str]) -> LLMDeploymentStatus:
    return LLMDeploymentStatus.model_validate(
        {
            "lastDecision": {"time": "2026-11-23T08:00:00Z", "action": "q8: 2", "reason": "R", "message": "Why."},
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "observedGeneration": 1,
                    "lastTransitionTime": "2026-11-23T08:00:00Z",
                    "reason": "Reason",
                    "message": "Said.",
                }
                for kind, value in conditions
            ],
        }
    )


def said(previous: LLMDeploymentStatus, current: LLMDeploymentStatus) -> list[tuple[str, bool]]:
    return [(happening.message, happening.warning) for happening in turns(previous, current)]


def scale(result: Result) -> Outcome:
    return Outcome(Scale(Target(DEPLOYMENTS, "team", "chat-q8"), "u-1", 2, 3), result)


def test_a_change_of_replicas_is_told_with_its_sentence() -> None:
    (happening,) = scalings([scale(Result.DONE)], "Why.")
    assert happening.message == "chat-q8: 2 to 3 replicas. Why."


@pytest.mark.parametrize("result", [result for result in Result if result is not Result.DONE])
def test_a_change_of_replicas_that_did_not_happen_is_not_told(result: Result) -> None:
    assert scalings([scale(result)], "Why.") == ()


def test_the_same_status_tells_nothing() -> None:
    assert said(status(("Ready", "True")), status(("Ready", "True"))) == []


def test_a_condition_that_turns_bad_is_a_warning() -> None:
    assert said(status(("SLOFeasible", "True")), status(("SLOFeasible", "False"))) == [("SLOFeasible: Said.", True)]


def test_a_condition_that_turns_good_is_no_warning() -> None:
    assert said(status(("Ready", "False")), status(("Ready", "True"))) == [("Ready: Said.", False)]


def test_a_fleet_that_is_not_ready_at_first_is_not_told_of() -> None:
    assert said(status(), status(("Ready", "False"))) == []


def progressing(reason: str | None, value: str = "True") -> LLMDeploymentStatus:
    """Return a status whose Progressing has this reason; None has none."""
    body = status(("Progressing", value)).as_manifest()
    for condition in body["conditions"]:
        condition |= {"reason": reason, "message": f"{reason}, with its numbers."}
    return LLMDeploymentStatus.model_validate(body | {"variant": "q4"} if reason else {})


SWITCHING, ROLLED_BACK = ProgressingReason.SWITCHING, ProgressingReason.ROLLED_BACK


@pytest.mark.parametrize("before", [None, "Settled", ROLLED_BACK])
def test_a_switch_that_begins_is_told_with_its_sentence(before: str | None) -> None:
    (happening,) = switching(progressing(before), progressing(SWITCHING))
    assert happening == Happening(EventReason.SWITCH_BEGUN, "Switching, with its numbers.", warning=False)


@pytest.mark.parametrize("after", ["Settled", "ReplicasStopping", "PodsInTrouble"])
def test_a_switch_that_is_over_is_told_with_the_variant_that_serves(after: str) -> None:
    (happening,) = switching(progressing(SWITCHING), progressing(after))
    assert happening == Happening(EventReason.SWITCH_DONE, "q4 serves. Why.", warning=False)


def test_a_switch_that_cannot_go_on_is_not_done_before_it_is() -> None:
    stuck = progressing(ProgressingReason.PODS_IN_TROUBLE, "False")
    assert switching(progressing(SWITCHING), stuck) == switching(stuck, progressing(SWITCHING)) == ()
    (happening,) = switching(stuck, progressing("Settled"))
    assert happening.reason == EventReason.SWITCH_DONE


@pytest.mark.parametrize("before", [None, "Settled", SWITCHING])
def test_a_switch_that_is_rolled_back_is_a_warning(before: str | None) -> None:
    (happening,) = switching(progressing(before), progressing(ROLLED_BACK))
    assert happening == Happening(EventReason.SWITCH_ROLLED_BACK, "RolledBack, with its numbers.", warning=True)


@pytest.mark.parametrize("reason", list(ProgressingReason))
def test_what_goes_on_is_not_told_again(reason: str) -> None:
    assert switching(progressing(reason), progressing(reason)) == ()


@pytest.mark.parametrize("hands_off", [ProgressingReason.PAUSED, ProgressingReason.ADVISORY])
def test_where_nothing_may_be_touched_no_switch_begins_or_ends(hands_off: str) -> None:
    assert switching(progressing(SWITCHING), progressing(hands_off)) == ()
    assert switching(progressing(hands_off), progressing(SWITCHING)) == ()


def test_what_has_nothing_to_do_with_switches_is_not_told_here() -> None:
    assert switching(progressing("ReplicasStarting"), progressing("Settled")) == ()


def test_names_of_two_events_of_one_moment_differ() -> None:
    first, second = Happening("Scaled", "One.", warning=False), Happening("Scaled", "Two.", warning=False)
    assert name(first, 1e9) != name(second, 1e9)


def test_an_event_that_is_told_again_a_moment_later_is_one_event() -> None:
    happening = Happening("Scaled", "One.", warning=False)
    assert name(happening, 1_000_000_020.0) == name(happening, 1_000_000_030.0)


def test_a_long_message_is_cut_to_what_an_event_holds() -> None:
    assert len(event_body(RESOURCE, Happening("Scaled", "x" * 5000, warning=False), 1e9)["message"]) == 1024


def name(happening: Happening, now_seconds: float) -> str:
    found: str = event_body(RESOURCE, happening, now_seconds)["metadata"]["name"]
    return found
