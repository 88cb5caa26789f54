"""Promises about what people change while a ladder serves: the quality budget, and the ladder itself."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.kubectl import Kubectl
from e2e.llmdeployment import START_SECONDS, LLMDeployment, manifest
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.usefixtures("unbroken")]

BEST, FAST = "q8", "q4"
LOAD = 1.9
"""Replicas' worth of the best variant, of which there may be one; one of the fast variant is enough for it."""
BUDGET_PERCENT = 1


def changed(variants: tuple[str, ...] = (BEST, FAST), **scaling: Any) -> Any:
    return manifest("chat", variants=variants, scaling={"maxReplicas": 1, **scaling})


@pytest.fixture(scope="module")
def story(operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    with told(LLMDeployment(namespace, "chat"), changed(), operator) as begun:
        begun.resource.until_condition("Ready", "True", seconds=START_SECONDS)
        begun.add_load("load", LOAD * begun.recording.capacity_of_a_replica())
        begun.resource.until_ready({FAST: 1}, seconds=240)
        yield begun


def test_a_spent_quality_budget_brings_the_best_variant_back_where_quality_is_kept(story: Story) -> None:
    budget = {"maxTokensPercent": BUDGET_PERCENT, "whenSpent": "KeepQuality"}
    story.resource.kubectl.apply(changed(degraded=budget))

    story.resource.until_ready({BEST: 1}, seconds=240)

    until(decision_reason(story), lambda reason: reason == "BudgetSpent", what="the budget is named", seconds=180)
    throughout(story.resource.ready_by_variant, lambda ready: ready == {BEST: 1}, what="quality", seconds=10)
    assert story.broken_streams() == []


def decision_reason(story: Story) -> Callable[[], str]:
    return lambda: str(story.resource.status()["lastDecision"]["reason"])


def test_a_spent_quality_budget_is_overdrawn_where_the_slo_is_kept(story: Story) -> None:
    story.resource.kubectl.apply(changed(degraded={"maxTokensPercent": BUDGET_PERCENT, "whenSpent": "KeepSLO"}))

    story.resource.until_ready({FAST: 1}, seconds=240)

    assert story.broken_streams() == []


def test_a_variant_that_is_removed_while_it_serves_stays_until_another_one_does(story: Story) -> None:
    story.resource.kubectl.apply(changed(variants=(BEST,)))

    story.resource.until_ready({BEST: 1}, seconds=240)

    until(
        lambda: story.resource.kubectl.get("deployment", f"chat-{FAST}"),
        lambda left: left is None,
        what="the removed variant is gone",
        seconds=60,
    )
    assert story.broken_streams() == []
