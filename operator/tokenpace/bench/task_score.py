"""A task's score by lm-evaluation-harness (github.com/EleutherAI/lm-evaluation-harness), read from its result file.

The file is what ``lm_eval --output_path`` writes; its shape was seen with 0.4.13: ``results`` by task, in which
``METRIC,FILTER`` stands beside ``METRIC_stderr,FILTER``; ``versions``, ``n-samples`` and ``higher_is_better`` by task.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenpace.bench.errors import BenchError
from tokenpace.bench.result import Estimate, TaskScore


def read_task_score(path: Path) -> TaskScore:
    """Return the score in a file of results.

    Raises:
        BenchError: it is none, or does not hold exactly one task with a score that has an error.
        OSError: it cannot be read.
    """
    try:
        return _task_score(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(
            f"--task-scores: {path}: is no result of lm_eval with one task and a standard error "
            f"({type(error).__name__}: {error})"
        ) from error


def _task_score(found: Mapping[str, Any]) -> TaskScore:
    ((task, values),) = found["results"].items()
    metric, value, error = next(_scores(values, found["higher_is_better"][task]), ("", 0.0, 0.0))
    if not metric:
        raise ValueError("no metric of which more is better has a standard error")
    return TaskScore(
        harness=f"lm-evaluation-harness {found['lm_eval_version']}",
        task=f"{task} {found['versions'][task]}",
        metric=metric,
        value=value,
        error=error,
        samples=found["n-samples"][task]["effective"],
    )


def _scores(values: Mapping[str, Any], more_is_better: Mapping[str, bool]) -> Iterator[tuple[str, float, float]]:
    """Yield metric, value and standard error, in the order of the file."""
    for name, value in values.items():
        metric, _, chosen = name.partition(",")
        error = values.get(f"{metric}_stderr,{chosen}")
        if more_is_better.get(metric) and isinstance(error, int | float):
            yield metric, float(value), float(error)


def compared_scores(score: TaskScore, reference: TaskScore, name: str) -> TaskScore:
    """Return a score as a share of a reference's; ``name`` says which variant that is.

    Raises:
        BenchError: they are of different tasks, or the reference got nothing right.
    """
    if (score.task, score.metric, score.samples) != (reference.task, reference.metric, reference.samples):
        raise BenchError(
            f"--reference: its score is {reference.metric} of {reference.samples} samples of {reference.task}, this "
            f"{score.metric} of {score.samples} of {score.task}: run the same task for both"
        )
    if reference.value <= 0:
        raise BenchError(f"--reference: scored {reference.value:g} at {reference.task}: nothing is a share of that")
    percent = 100 * score.value / reference.value
    error = 100 * math.hypot(score.error, score.value * reference.error / reference.value) / reference.value
    return score.model_copy(update={"reference": name, "percent": Estimate(value=percent, error=error)})
