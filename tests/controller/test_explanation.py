"""What `tokenpace explain` prints of a status."""

import copy
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from tokenpace.api.conditions import ConditionType
from tokenpace.controller.explanation import explanation
from tokenpace.controller.manifest import ManifestError

NOW = datetime(2026, 11, 23, 10, 5, 30, tzinfo=UTC)


def condition(kind: str, status: str, reason: str, message: str = "So it is.") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "observedGeneration": 3,
        "lastTransitionTime": "2026-11-23T10:00:00Z",
        "reason": reason,
        "message": message,
    }


RESOURCE: dict[str, Any] = {
    "metadata": {"name": "chat", "namespace": "shop", "generation": 3},
    "spec": {
        "model": {"servedName": "chat", "contextTokens": 2048, "source": {"image": {"path": "/models"}}},
        "slo": {
            "generationTokensPerSecond": 60,
            "stream": {"tokensPerSecond": 5, "percentile": 90},
            "minQuality": "95",
        },
        "variants": [
            {"name": "q4", "engine": {"type": "LlamaCpp"}, "quality": "97.5", "hourlyCost": "0.50"},
            {"name": "q8", "engine": {"type": "LlamaCpp"}, "hourlyCost": "1.20"},
            {"name": "q2", "engine": {"type": "LlamaCpp"}, "quality": "80", "hourlyCost": "0.40"},
        ],
        "scaling": {"degraded": {"maxTokensPercent": 20}},
    },
    "status": {
        "observedGeneration": 3,
        "tokensPerSecond": {"demand": "45", "served": "0", "capacity": "36"},
        "variants": [
            {
                "name": "q4",
                "replicas": 0,
                "ready": 0,
                "setback": {
                    "templateHash": "h",
                    "failures": 2,
                    "until": "2026-11-23T10:07:00Z",
                    "message": "canary of chat-q4-x: no tokens [exit 1].",
                },
            },
            {"name": "q8", "replicas": 5, "ready": 4, "capacity": "9.0", "source": "Learned", "leadSeconds": 40},
            {"name": "old", "replicas": 1, "ready": 1},
        ],
        "degraded": {"tokensPercent": "12.5", "generatedTokens": 800, "degradedTokens": 100},
        "switchedAt": "2026-11-23T08:00:00Z",
        "outlook": ["Demand above 54 tokens/s would take a sixth replica of q8."],
        "lastDecision": {
            "time": "2026-11-23T10:01:00Z",
            "action": "q8: 5",
            "reason": "DemandAboveCapacity",
            "message": "Demand 45 tokens/s needs 5 replicas of q8 at 9 tokens/s each; 4 are ready.",
        },
        "conditions": [
            condition("Ready", "True", "Serving"),
            condition("SLOMet", "False", "DemandNotServed", "spec.variants[q8] is slow."),
            condition("ScalingLimited", "False", "NotLimited"),
            condition("TrafficUnbalanced", "Unknown", "TooLittleTraffic"),
        ],
    },
}


def printed(resource: dict[str, Any] | None = None) -> list[str]:
    """Return the lines that a wide terminal without colours shows."""
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(explanation(resource or RESOURCE, NOW))
    written = console.file
    assert isinstance(written, io.StringIO)
    return [line.strip() for line in written.getvalue().splitlines()]


def with_status(**changes: Any) -> dict[str, Any]:
    resource = copy.deepcopy(RESOURCE)
    resource["status"] |= changes
    return resource


def rung(name: str) -> list[str]:
    """Return the cells of a variant's row."""
    (row,) = [line.split() for line in printed() if line.startswith(f"{name} ")]
    return row[1:]


def test_the_decision_is_told_with_its_time_its_reason_and_its_sentence() -> None:
    assert "q8: 5, decided 2026-11-23 10:01:00 UTC, 4 min ago" in printed()
    sentence = "DemandAboveCapacity: Demand 45 tokens/s needs 5 replicas of q8 at 9 tokens/s each; 4 are ready."
    assert sentence in printed()


def test_a_speed_of_zero_is_zero_and_one_that_is_not_known_is_a_dash() -> None:
    speeds = {words[0]: words[1] for line in printed() if (words := line.split())[1:] and words[0] in SPEEDS}
    assert speeds == {"demand": "45", "served": "0", "capacity": "36", "stream": "-"}


SPEEDS = {"demand", "served", "capacity", "stream"}


def test_speeds_stand_beside_what_is_promised() -> None:
    lines = printed()
    assert any(line.startswith("demand") and line.endswith("promised up to 60") for line in lines)
    assert any(line.startswith("stream") and line.endswith("promised 5 to 90 % of requests") for line in lines)


def test_the_ladder_is_in_the_order_of_quality_and_ends_with_what_retires() -> None:
    names = [line.split()[0] for line in printed() if line.split()[:1] and line.split()[0] in {"q8", "q4", "q2", "old"}]
    assert list(dict.fromkeys(names)) == ["q8", "q4", "q2", "old"]


def test_a_rung_has_its_quality_cost_replicas_speed_and_where_that_is_from() -> None:
    assert rung("q8") == ["100", "1.2", "4/5", "9", "learned", "40", "s", "-"]


def test_a_rung_below_the_floor_says_so() -> None:
    assert rung("q2")[:3] == ["80", "(below", "95)"]


def test_a_variant_that_is_no_longer_declared_is_retiring() -> None:
    assert rung("old")[0] == "retiring"


def test_a_setback_is_told_in_the_words_of_what_failed() -> None:
    told = "q4 failed 2 times in a row and is not tried before 2026-11-23 10:07:00 UTC: "
    assert any(told + "canary of chat-q4-x: no tokens [exit 1]." in line for line in printed())


def test_a_setback_that_is_over_is_not_told() -> None:
    variants = copy.deepcopy(RESOURCE["status"]["variants"])
    variants[0]["setback"]["until"] = "2026-11-23T10:05:30Z"
    assert not any("not tried" in line or "10:05:30" in line for line in printed(with_status(variants=variants)))


def test_what_was_generated_below_the_best_variant_is_compared_with_what_is_allowed() -> None:
    assert (
        "Below the best variant: 12.5 % of the tokens of about 24 h; 20 % are allowed, then KeepQuality." in printed()
    )


def test_where_there_is_one_variant_nothing_is_below_the_best() -> None:
    resource = copy.deepcopy(RESOURCE)
    del resource["spec"]["variants"][1:]
    assert not any(line.startswith("Below the best") for line in printed(resource))


def test_only_what_is_not_as_it_should_be_is_told_and_brackets_are_no_markup() -> None:
    lines = printed()
    told = [line for line in lines if line.startswith("- ") and " is " in line and "(" in line]
    assert told == ["- SLOMet is False (DemandNotServed): spec.variants[q8] is slow."]


@pytest.mark.parametrize("kind", list(ConditionType))
def test_whatever_is_unknown_or_wrong_about_what_is_promised_is_told(kind: ConditionType) -> None:
    shown = {
        status: any(kind in line for line in printed(with_status(conditions=[condition(kind, status, "Why")])))
        for status in ("True", "False", "Unknown")
    }
    promised = {"Ready", "MetricsAvailable", "SLOMet", "SLOFeasible", "SpeedCardsAccurate"}
    bad_when_false = {"True": False, "False": True, "Unknown": True}
    bad_when_true = {"True": True, "False": False, "Unknown": False}
    assert shown == (bad_when_false if kind in promised else bad_when_true)


@pytest.mark.parametrize("reason", ["Paused", "Advisory", "TemplateOutdated"])
def test_why_nothing_is_done_is_told_though_nothing_is_under_way(reason: str) -> None:
    resource = with_status(conditions=[condition("Progressing", "False", reason)])
    assert f"- Progressing is False ({reason}): So it is." in printed(resource)


def test_what_would_change_the_fleet_comes_last() -> None:
    assert printed()[-2:] == ["What would change it", "- Demand above 54 tokens/s would take a sixth replica of q8."]


def test_without_anything_to_tell_there_is_no_heading() -> None:
    lines = printed(with_status(outlook=[], conditions=[]))
    assert not {"What would change it", "Worth knowing"} & set(lines)


def test_a_resource_that_the_operator_has_not_seen_is_told_as_such() -> None:
    resource = {key: value for key, value in RESOURCE.items() if key != "status"}
    assert "The operator has not reported on it yet. Does it run, and may it?" in printed(resource)


def test_a_status_of_an_older_spec_is_told_as_such() -> None:
    lines = printed(with_status(observedGeneration=2))
    assert "The operator has not reported on the latest change of its spec yet." in lines


def test_a_spec_of_another_version_is_an_error_that_names_the_field() -> None:
    resource = copy.deepcopy(RESOURCE)
    resource["spec"]["slo"]["generationTokensPerSecond"] = "fast"
    with pytest.raises(ManifestError, match="generationTokensPerSecond"):
        explanation(resource, NOW)


def test_a_status_of_another_version_is_an_error_that_names_the_field() -> None:
    with pytest.raises(ManifestError, match=r"status\.replicas: .*another version"):
        explanation(with_status(replicas="many"), NOW)


@pytest.mark.parametrize(
    ("decided", "age"),
    [("10:05:30", "0 s"), ("10:05:01", "29 s"), ("10:04:30", "1 min"), ("08:05:30", "2 h"), ("10:06:00", "0 s")],
)
def test_how_long_ago_is_told_in_the_largest_unit(decided: str, age: str) -> None:
    decision = RESOURCE["status"]["lastDecision"] | {"time": f"2026-11-23T{decided}Z"}
    lines = printed(with_status(lastDecision=decision))
    assert any(line.endswith(f"{decided} UTC, {age} ago") for line in lines)


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (("0 8 * * *", "0 18 * * *"), ["Schedule office is active: replicas at least 4."]),
        (("0 18 * * *", "0 8 * * *"), []),
        (("0 25 * * *", "0 8 * * *"), []),
    ],
    ids=["at its hours", "at other hours", "where it names no time"],
)
def test_a_schedule_that_holds_is_told(hours: tuple[str, str], told: list[str]) -> None:
    resource = copy.deepcopy(RESOURCE)
    start, end = hours
    resource["spec"]["scaling"]["schedules"] = [{"name": "office", "start": start, "end": end, "minReplicas": 4}]
    assert [line for line in printed(resource) if line.startswith("Schedule")] == told


def objective(**slo: Any) -> list[str]:
    """Return the lines about the objective."""
    lines = printed(with_status(slo=slo))
    begin = lines.index("Objective") + 1
    return lines[begin : lines.index("", begin)]


def test_the_objective_is_told_with_what_is_left_of_its_budget_and_what_was_left_out() -> None:
    assert objective(goodPercent="99.93", budgetRemainingPercent="86.1", judgedSlots=1400, leftOutSlots=12) == [
        "99.93 % of 1400 one-minute slots of the last 24 h were good; 99.5 % have to be.",
        "86.1 % of the error budget is left.",
        "12 slots have no verdict and are left out.",
    ]


def test_an_objective_that_is_not_known_says_why_and_gives_no_number() -> None:
    assert objective(message="Prometheus does not answer.") == ["Prometheus does not answer."]


def test_an_objective_of_which_there_is_nothing_to_say_is_not_mentioned() -> None:
    assert "Objective" not in printed()
