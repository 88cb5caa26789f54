"""What programs get from `tokenpace explain -o json`."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tokenpace.controller.account import account
from tokenpace.controller.manifest import ManifestError

NOW = datetime(2026, 11, 23, 10, 5, 30, tzinfo=UTC)


def condition(kind: str, status: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "observedGeneration": 3,
        "lastTransitionTime": "2026-11-23T10:00:00Z",
        "reason": "Why",
        "message": "So it is.",
    }


def setback(until: str) -> dict[str, Any]:
    return {"templateHash": "h", "failures": 2, "until": until, "message": "no tokens"}


def resource(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "chat", "namespace": "shop", "generation": 3},
        "spec": {
            "model": {"servedName": "chat", "contextTokens": 2048, "source": {"image": {"path": "/models"}}},
            "slo": {"generationTokensPerSecond": 60, "minQuality": "95"},
            "variants": [
                {"name": "q2", "engine": {"type": "LlamaCpp"}, "quality": "80"},
                {"name": "q8", "engine": {"type": "LlamaCpp"}, "hourlyCost": "1.20"},
            ],
        },
        "status": status,
    }


def told(**status: Any) -> dict[str, Any]:
    """What a program reads."""
    read: dict[str, Any] = json.loads(json.dumps(account(resource(**status), NOW).as_json()))
    return read


def test_numbers_are_written_as_in_the_status_and_what_is_not_known_is_null() -> None:
    speeds = told(tokensPerSecond={"demand": "45", "served": "0"})["tokensPerSecond"]
    assert speeds == {"demand": "45", "served": "0", "capacity": None, "stream": None}


def test_since_when_it_sleeps_is_told_and_null_while_it_is_awake() -> None:
    assert told(asleepSince="2026-11-23T09:00:00Z")["asleepSince"] == "2026-11-23T09:00:00Z"
    assert told()["asleepSince"] is None


def test_what_is_promised_stands_beside_it() -> None:
    promised = told()["promised"]
    assert (promised["generationTokensPerSecond"], promised["minQuality"]) == (60, "95")


def test_the_ladder_is_in_the_order_of_quality_and_ends_with_what_retires() -> None:
    ladder = told(variants=[{"name": "old", "replicas": 1, "ready": 1}])["ladder"]
    assert [(one["name"], one["quality"], one["retiring"]) for one in ladder] == [
        ("q8", "100", False),
        ("q2", "80", False),
        ("old", None, True),
    ]


def test_a_rung_tells_what_is_declared_and_how_it_stands() -> None:
    standing = {"name": "q8", "replicas": 5, "ready": 4, "capacity": "9.1", "source": "Learned", "leadSeconds": 40}
    best, below = told(variants=[standing])["ladder"]
    assert best == {
        "name": "q8",
        "retiring": False,
        "quality": "100",
        "belowMinQuality": False,
        "hourlyCost": "1.20",
        "replicas": 5,
        "ready": 4,
        "capacity": "9.1",
        "source": "Learned",
        "leadSeconds": 40,
        "setback": None,
    }
    assert (below["belowMinQuality"], below["replicas"]) == (True, None)


@pytest.mark.parametrize(("until", "told_of"), [("2026-11-23T10:07:00Z", True), ("2026-11-23T10:05:00Z", False)])
def test_a_setback_is_told_until_the_variant_may_be_tried_again(until: str, told_of: bool) -> None:
    standing = {"name": "q8", "replicas": 0, "ready": 0, "setback": setback(until)}
    assert (told(variants=[standing])["ladder"][0]["setback"] is not None) == told_of


def test_of_the_conditions_only_what_is_worth_knowing_is_told() -> None:
    conditions = [condition("Ready", "True"), condition("SLOMet", "False"), condition("Degraded", "False")]
    assert [one["type"] for one in told(conditions=conditions)["worthKnowing"]] == ["SLOMet"]


@pytest.mark.parametrize(
    ("status", "reported"),
    [({}, "NotYet"), ({"observedGeneration": 2}, "OfAnOlderSpec"), ({"observedGeneration": 3}, "UpToDate")],
)
def test_programs_learn_whether_the_operator_has_seen_the_latest_spec(status: dict[str, Any], reported: str) -> None:
    assert told(**status)["reported"] == reported


def test_the_decision_is_told_with_its_time_its_reason_and_its_sentence() -> None:
    decision = {"time": "2026-11-23T10:01:00Z", "action": "q8: 5", "reason": "AtTarget", "message": "It is enough."}
    assert told(lastDecision=decision)["decision"] == decision


def test_a_schedule_that_holds_is_told() -> None:
    declared = resource()
    office = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 4}
    night = {"name": "night", "start": "0 20 * * *", "end": "0 6 * * *", "minReplicas": 1}
    declared["spec"]["scaling"] = {"schedules": [office, night]}
    assert [one["name"] for one in account(declared, NOW).as_json()["schedules"]] == ["office"]


def test_no_arguments_and_no_environment_of_an_engine_are_told() -> None:
    """They may hold secrets, and nobody who asks why a fleet is what it is needs them."""
    declared = resource()
    declared["spec"]["variants"][0]["engine"] |= {"args": ["--s3cret"], "env": [{"name": "KEY", "value": "s3cret"}]}
    assert "s3cret" not in json.dumps(account(declared, NOW).as_json())


def test_a_status_of_another_version_is_an_error_that_names_the_field() -> None:
    with pytest.raises(ManifestError, match=r"status\.replicas: .*another version"):
        account(resource(replicas="many"), NOW)
