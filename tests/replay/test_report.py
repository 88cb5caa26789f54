"""The report's files, of a comparison that takes a second."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.replay.own import manifest, trace
from tests.replay.test_comparison import CASES, done, small_scenarios
from typer.testing import CliRunner

from tokenpace.api.reasons import DecisionReason
from tokenpace.cli import app
from tokenpace.replay.comparison import Case, Mark, Replayed, replay_all, swept
from tokenpace.replay.policies.tokenpace import Told
from tokenpace.replay.report.advice import advice
from tokenpace.replay.report.build import build
from tokenpace.replay.report.figures import inline_svg, pareto
from tokenpace.replay.report.schema import Report, json_schema
from tokenpace.replay.report.write import titled, write

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a sweep of one policy."""
    folder = tmp_path_factory.mktemp("report")
    cases = (*CASES, *(Case("small", 0, "hpa-queue", setting) for setting in (10.0, 2.0)))
    replayed = replay_all(cases, small_scenarios, processes=1)
    sweep = swept(list(replayed.values()), "oracle")
    report = build(replayed, small_scenarios(), sweep=sweep, tuned={"hpa-queue": 2.0}, trace="made.csv")
    write(report, replayed, sweep, "one scenario, seed 0", folder)
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return Report.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))


def test_the_schema_in_the_documentation_is_the_one_that_is_written() -> None:
    committed = (ROOT / "docs" / "replay-report.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == json.loads(json_schema())


def test_a_scenario_holds_each_policy_with_its_cost_by_the_oracles(report: Report) -> None:
    first = report.scenarios[0]
    assert [(one.name, one.tuned) for one in first.policies] == [
        ("tokenpace", False),
        ("oracle", False),
        ("hpa-queue", False),
        ("hpa-queue", True),
    ]
    assert first.policies[1].cost_over_oracle == 1.0
    ours = first.policies[0]
    assert ours.cost is not None
    assert first.policies[1].cost is not None
    assert ours.cost_over_oracle == ours.cost / first.policies[1].cost


def test_without_an_oracle_nothing_is_compared_with_it() -> None:
    replayed = replay_all([CASES[0]], small_scenarios, processes=1)
    alone = build(replayed, small_scenarios(), sweep={}, tuned={}, trace=None)
    assert (alone.oracle, alone.scenarios[0].policies[0].cost_over_oracle) == (None, None)


def test_a_peer_is_put_beside_tokenpace_over_all_and_in_each_scenario(report: Report) -> None:
    peer = next(one for one in report.policies if one.name == "hpa-queue")
    assert [one.scenario for one in peer.beside] == [None, "small"]
    assert peer.tuned == 2.0


def test_the_page_needs_nothing_else(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<script|<link|<img|@import|(?:src|href)=\"(?!#)", page)


def test_the_page_takes_its_colours_from_the_readers_theme(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in page
    assert "var(--ink)" in page[page.index("<svg") :]


def test_a_plot_is_drawn_the_same_again() -> None:
    """Pages of the same comparison can be compared as text."""
    marks = {"tokenpace": [Mark(setting=1.0, attainment=0.9, cost=1.0), Mark(setting=2.0, attainment=0.8, cost=0.9)]}
    first, second = (inline_svg(pareto(marks, {"tokenpace": 1.0}, "made")) for _ in range(2))
    assert first == second


def test_plots_are_files_as_well(folder: Path) -> None:
    assert {path.name for path in folder.glob("*.png")} == {"pareto.png", "pareto-small.png", "small.png"}


def test_a_users_own_trace_on_their_own_manifest_is_answered_in_sentences(tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ["--trace", trace(tmp_path), "--fleet", manifest(tmp_path), "--policy", "tokenpace,oracle", "--out", out]
    result = RUNNER.invoke(app, ["replay", *map(str, asked)])
    assert result.exit_code == 0, result.output
    found = Report.model_validate_json((out / "report.json").read_text(encoding="utf-8"))
    assert re.match(r"[\d.]+ % of 240 requests would have been in time", found.advice[0])
    assert "replica-hours and cost" in found.advice[1]
    assert "declared, not measured" in found.advice[2]
    assert found.advice[3:] == ("The fleet would not have been changed.",)
    assert "What tokenpace would have done" in (out / "index.html").read_text(encoding="utf-8")


NIGHT = {"name": "night", "start": "0 22 * * *", "end": "0 6 * * *", "minReplicas": 2}
NOVEMBER_2023 = 1_700_085_600


def own(folder: Path, *options: str, begins: int = 0, **scaling: Any) -> Result:
    asked = ["--trace", trace(folder, begins), "--fleet", manifest(folder, **scaling), "--policy", "tokenpace"]
    return RUNNER.invoke(app, ["replay", *map(str, asked), "--out", str(folder / "out"), *options])


def reported(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_text(encoding="utf-8"))


def test_copies_and_a_faster_trace_bring_more_requests_in_less_time(tmp_path: Path) -> None:
    assert own(tmp_path, "--copies", "3", "--faster", "2").exit_code == 0
    (found,) = reported(tmp_path).scenarios
    assert found.policies[0].requests == 3 * 240
    assert found.about == "240 recorded requests in 61 s, 3 copies over each other."


def test_schedules_that_held_and_a_sleep_that_was_left_out_are_said(tmp_path: Path) -> None:
    wake = {"metricName": "asked_total"}
    result = own(tmp_path, begins=NOVEMBER_2023, schedules=[NIGHT], scaleToZeroAfterSeconds=60, wake=wake)
    assert result.exit_code == 0, result.output
    advice = " ".join(reported(tmp_path).advice)
    assert "`scaling.scaleToZeroAfterSeconds` was left out" in advice
    assert "`scaling.schedules` held at the hours of the trace" in advice
    assert "At 0:00:10: " in advice  # two replicas at ten in the evening


@pytest.mark.parametrize(
    ("begins", "options"),
    [
        pytest.param(0, [], id="seconds"),
        pytest.param(NOVEMBER_2023, ["--faster", "2"], id="a faster clock"),
        pytest.param(NOVEMBER_2023, ["--copies", "2"], id="shifted copies"),
    ],
)
def test_schedules_are_refused_where_requests_have_no_clock(tmp_path: Path, begins: int, options: list[str]) -> None:
    result = own(tmp_path, *options, begins=begins, schedules=[NIGHT])
    assert result.exit_code == 1
    assert "spec.scaling.schedules: go by the clock, and the requests have none" in result.stderr


def test_a_trace_cannot_be_so_much_faster(tmp_path: Path) -> None:
    assert "--faster: must be above 0, not nan" in own(tmp_path, "--faster", "nan").stderr


def test_another_shape_of_the_trace_is_another_run(tmp_path: Path) -> None:
    assert own(tmp_path).exit_code == 0
    assert "replays.jsonl: was replayed from another trace" in own(tmp_path, "--copies", "2", "--resume").stderr


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["--trace", trace(tmp_path), "--fleet", manifest(tmp_path), "--policy", "tokenpace", "--out", tmp_path]
    assert RUNNER.invoke(app, ["replay", *map(str, asked)]).exit_code == 0
    whole = (tmp_path / "report.json").read_bytes()
    monkeypatch.setattr("tokenpace.replay.comparison.replay", lambda *_: pytest.fail("it was replayed again"))
    assert RUNNER.invoke(app, ["replay", *map(str, asked), "--resume"]).exit_code == 0
    assert (tmp_path / "report.json").read_bytes() == whole


def advised(*told: Told, oracle: Replayed | None = None) -> tuple[str, ...]:
    """Advice for a fleet of one replica of bf16."""
    fleet = replace(small_scenarios()[0].fleet, replicas={"bf16": 1})
    return advice(fleet, replace(done("tokenpace", 1.0, 0.97, 2.0), told=told), oracle)


def said(at_seconds: float, replicas: int, *, feasible: bool = True) -> Told:
    reason = DecisionReason.AT_TARGET
    return Told(at_seconds, reason, f"{replicas} replicas.", {"bf16": replicas, "awq": 0}, feasible=feasible)


def test_the_first_decision_is_told_where_it_changes_the_fleet() -> None:
    assert advised(said(10.0, 3), said(70.0, 2))[3:] == ("At 0:00:10: 3 replicas.", "At 0:01:10: 2 replicas.")
    assert advised(said(10.0, 1))[3:] == ("The fleet would not have been changed.",)


def test_the_oracle_is_a_mark_and_no_limit() -> None:
    attained = advised(said(10.0, 3), oracle=done("oracle", 1.0, 0.9, 2.0))[0]
    assert attained.endswith("The oracle, told true speeds and the traffic to come, has 90.0 % and 100.0 %.")


def test_a_target_that_no_fleet_was_believed_to_keep_is_said_without_an_oracle_too() -> None:
    assert advised(said(10.0, 3, feasible=False))[0].endswith("No fleet within the bounds was believed to keep it.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--scenario", "stedy"], "--scenario: stedy: there is no such; choose of all,", id="scenario"),
        pytest.param(["--policy", "hpa"], "--policy: hpa: there is no such; choose of all, tokenpace,", id="policy"),
        pytest.param(["--policy", ","], "--policy: names nothing", id="no policy"),
        pytest.param(["--trace", "none.csv"], "No such file or directory: 'none.csv'", id="no trace"),
        pytest.param(["--fleet", "none.yaml"], "--trace: must be given with --fleet", id="a fleet without a trace"),
        pytest.param(["--copies", "2"], "--copies, --faster: must be given with --fleet", id="copies of no trace"),
        pytest.param(["--settings", "pyproject.toml"], "pyproject.toml: is no report.json", id="settings"),
        pytest.param(["--sweep", "--policy", "tokenpace"], "must have oracle and tokenpace with --sweep", id="sweep"),
        pytest.param(
            ["--sweep", "--trace", "made.csv", "--scenario", "recorded-last-third"],
            "--scenario: recorded-last-third: nothing is tuned on it",
            id="sweep of what is held out",
        ),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_option_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(ROOT)
    options = [str(trace(tmp_path)) if option == "made.csv" else option for option in options]
    result = RUNNER.invoke(app, ["replay", "--out", str(tmp_path), *options])
    assert result.exit_code == 1
    assert words in result.stderr


def test_what_is_reported_by_default_is_of_no_seed_that_settings_are_tuned_on(tmp_path: Path) -> None:
    asked = ["--trace", trace(tmp_path), "--fleet", manifest(tmp_path), "--policy", "tokenpace", "--out", tmp_path]
    assert RUNNER.invoke(app, ["replay", *map(str, asked)]).exit_code == 0
    found = Report.model_validate_json((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {one.seed for one in found.scenarios} == {100}


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenpace.replay.command.replay_all", lambda *_, **__: pytest.fail("it was replayed"))
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    result = RUNNER.invoke(app, ["replay", "--scenario", "step", "--out", str(tmp_path / "taken" / "report")])
    assert result.exit_code == 1
    assert "Not a directory" in result.stderr


def test_a_plots_column_tells_a_setting_that_is_not_the_default() -> None:
    assert titled(Case("small", 0, "hpa-queue", 10.0)) == "hpa-queue"
    assert titled(Case("small", 0, "hpa-queue", 2.0)) == "hpa-queue at 2"
