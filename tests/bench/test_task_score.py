"""Scores of lm-evaluation-harness: files of the shape that 0.4.13 wrote of a task over a local file."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.bench.results import a_quality, a_result

from tokenpace.bench.card import card
from tokenpace.bench.command import against, scored
from tokenpace.bench.errors import BenchError
from tokenpace.bench.result import Result
from tokenpace.bench.task_score import read_task_score


def written(folder: Path, value: float, **changes: Any) -> Path:
    results = {
        "name": "gsm8k",
        "alias": "gsm8k",
        "sample_len": 500,
        "exact_match,strict-match": value,
        "exact_match_stderr,strict-match": 0.02,
    }
    found = {
        "results": {"gsm8k": results},
        "versions": {"gsm8k": 3.0},
        "n-samples": {"gsm8k": {"original": 1319, "effective": 500}},
        "higher_is_better": {"gsm8k": {"exact_match": True}},
        "lm_eval_version": "0.4.13",
    }
    path = folder / f"{value}.json"
    path.write_text(json.dumps(found | changes), encoding="utf-8")
    return path


def test_a_score_has_its_task_metric_error_and_samples(tmp_path: Path) -> None:
    score = read_task_score(written(tmp_path, 0.8))
    assert (score.task, score.metric, score.value, score.error, score.samples) == (
        "gsm8k 3.0", "exact_match", 0.8, 0.02, 500,
    )  # fmt: skip


def beside_half(tmp_path: Path, **changes: Any) -> Result:
    mine, its = (scored(a_result(**changes), written(tmp_path, value)) for value in (0.4, 0.8))
    return against(mine, its, "bf16.json")


def test_half_the_score_is_half_the_quality_on_the_card(tmp_path: Path) -> None:
    quality = card(beside_half(tmp_path), "one")["spec"]["quality"]
    assert (quality["percent"], quality["dataset"]) == ("50.00", "gsm8k 3.0, 500 samples")
    assert float(quality["standardError"]) == pytest.approx(50 * math.hypot(0.02 / 0.4, 0.02 / 0.8))
    assert "exact_match" in quality["method"]


def test_perplexity_stands_beside_a_score(tmp_path: Path) -> None:
    mine, its = (scored(a_result(quality=a_quality(-1.0, -1.2)), written(tmp_path, value)) for value in (0.4, 0.8))
    quality = card(against(mine, its, "bf16.json"), "one")["spec"]["quality"]
    assert quality["percent"] == "50.00"
    assert "perplexity" in quality


def test_the_command_that_measures_it_again_names_the_file(tmp_path: Path) -> None:
    assert "/0.4.json" in beside_half(tmp_path).command


@pytest.mark.parametrize(
    "changes", [{"results": {}}, {"results": {"a": {}, "b": {}}}, {"higher_is_better": {"gsm8k": {}}}]
)
def test_what_holds_no_one_score_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="--task-scores"):
        read_task_score(written(tmp_path, 0.8, **changes))


def test_scores_of_different_tasks_cannot_be_compared(tmp_path: Path) -> None:
    other = written(tmp_path, 0.7, versions={"gsm8k": 2.0})
    with pytest.raises(BenchError, match="the same task"):
        against(scored(a_result(), written(tmp_path, 0.8)), scored(a_result(), other), "bf16.json")
