"""Events tell what happened, once."""

from typing import Any

from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.controller.events import event_body, happenings

RESOURCE = {"metadata": {"name": "chat", "namespace": "team", "uid": "u-1", "resourceVersion": "7"}}


def status(*conditions: tuple[str, str], action: str = "q8: 2") -> LLMDeploymentStatus:
    return LLMDeploymentStatus.model_validate(
        {
            "lastDecision": {"time": "2026-11-23T08:00:00Z", "action": action, "reason": "R", "message": "Why."},
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
    return [(happening.message, happening.warning) for happening in happenings(previous, current)]


def test_a_change_of_fleet_is_told_with_its_sentence() -> None:
    assert said(status(action="q8: 2"), status(action="q8: 3")) == [("q8: 2 to q8: 3: Why.", False)]


def test_the_first_fleet_is_told() -> None:
    assert said(LLMDeploymentStatus(), status(action="q8: 1")) == [("none to q8: 1: Why.", False)]


def test_the_same_status_tells_nothing() -> None:
    assert said(status(("Ready", "True")), status(("Ready", "True"))) == []


def test_a_condition_that_turns_bad_is_a_warning() -> None:
    assert said(status(("SLOFeasible", "True")), status(("SLOFeasible", "False"))) == [("SLOFeasible: Said.", True)]


def test_a_condition_that_turns_good_is_no_warning() -> None:
    assert said(status(("Ready", "False")), status(("Ready", "True"))) == [("Ready: Said.", False)]


def test_a_fleet_that_is_not_ready_at_first_is_not_told_of() -> None:
    assert said(status(), status(("Ready", "False"))) == []


def test_a_name_in_two_events_of_one_moment_differs() -> None:
    first, second = happenings(status(("Ready", "True"), action="q8: 2"), status(("Ready", "False"), action="q8: 3"))
    names = {event_body(RESOURCE, one, 1e9)["metadata"]["name"] for one in (first, second)}
    assert len(names) == 2


def test_an_event_written_twice_is_one_event() -> None:
    (happening,) = happenings(status(action="q8: 2"), status(action="q8: 3"))
    bodies: list[Any] = [event_body(RESOURCE, happening, 1e9) for _ in range(2)]
    assert bodies[0] == bodies[1]


def test_a_long_message_is_cut_to_what_an_event_holds() -> None:
    (happening,) = happenings(status(action="q8: 2"), status(action="q8: 3" + "x" * 900))
    long = type(happening)(happening.reason, "x" * 5000, warning=False)
    assert len(event_body(RESOURCE, long, 1e9)["message"]) == 1024
