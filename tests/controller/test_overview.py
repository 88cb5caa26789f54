"""Every LLMDeployment in one line."""

from typing import Any

import pytest
from rich.console import Console

from tokenpace.controller.overview import as_json, line, overview


def reported(name: str = "chat", **conditions: tuple[str, str]) -> dict[str, Any]:
    """Return an LLMDeployment with a status; conditions by type, as status and reason."""
    return {
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"slo": {"generationTokensPerSecond": 60}},
        "status": {
            "variant": "q8",
            "replicas": 3,
            "readyReplicas": 2,
            "tokensPerSecond": {"demand": "44", "served": "40"},
            "slo": {"goodPercent": "99.93", "budgetRemainingPercent": "86.1"},
            "conditions": [
                {"type": kind, "status": status, "reason": reason, "message": f"Why {reason}."}
                for kind, (status, reason) in conditions.items()
            ],
        },
    }


def printed(*resources: dict[str, Any]) -> list[str]:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(overview([line(one) for one in resources]))
    return [" ".join(row.split()) for row in captured.get().splitlines()]


def test_a_fleet_at_rest_says_what_it_runs_and_whether_it_keeps_its_promise() -> None:
    resource = reported(SLOMet=("True", "Met"), Progressing=("False", "Settled"))
    assert printed(resource)[1] == "shop chat q8 2/3 44 40 - 60 met 86.1 % Settled"


def test_what_the_operator_has_not_seen_yet_is_unknown_and_not_zero() -> None:
    resource = {"metadata": {"namespace": "shop", "name": "chat"}, "spec": {"slo": {}}}
    assert printed(resource)[1] == "shop chat - - - - - - - - -"


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("Ready", "False", "NameConflict"),
        ("MetricsAvailable", "False", "AllPodsMissing"),
        ("SLOFeasible", "False", "BoundsTooLow"),
        ("ScalingLimited", "True", "PodsDoNotStart"),
    ],
)
def test_what_somebody_should_look_at_comes_before_where_the_fleet_is_on_its_way_to(
    kind: str, status: str, reason: str
) -> None:
    seen = line(reported(**{"Progressing": ("True", "ReplicasStarting"), kind: (status, reason)}))
    assert (seen.state, seen.message, seen.alarming) == (reason, f"Why {reason}.", True)


def test_an_slo_that_is_missed_is_told_as_that() -> None:
    assert line(reported(SLOMet=("False", "StreamsTooSlow"))).slo == "missed"


def test_lines_are_in_the_order_of_their_names() -> None:
    assert [row.split()[1] for row in printed(reported("b"), reported("a"))[1:]] == ["a", "b"]


def test_a_name_is_no_markup() -> None:
    assert "[bold]" in printed(reported("[bold]"))[1]


def test_programs_get_null_for_what_is_not_known() -> None:
    (item,) = as_json([line(reported(Progressing=("False", "Settled")))])["items"]
    assert (item["name"], item["capacity"], item["slo"], item["state"]) == ("chat", None, None, "Settled")
