"""Promises about the ladder, as one story for each way to serve: more load than the best variant can serve, and less.

No client tries anything twice, so that a single request that is refused or cut at a switch fails the story.
"""

from collections.abc import Iterator

import pytest

from e2e.figures import Figures
from e2e.kubectl import Kubectl
from e2e.llmdeployment import SERVINGS, START_SECONDS, LLMDeployment, manifest
from e2e.replica_history import changes_of_direction
from e2e.running_operator import RunningOperator
from e2e.story import Story, told
from e2e.waiting import seconds_since, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.usefixtures("unbroken")]

POD_SECURITY = "baseline"
"""Text Generation Inference runs as root, without capabilities: docs/engines.md."""
BEST, FAST = "q8", "q4"
MOST_REPLICAS = 2
LITTLE, WITHIN, BEYOND = 0.6, 1.5, 2.9
"""Replicas' worth of load of the best variant: little, within what two of them serve, and far beyond."""
AT_REST_SECONDS = 20


@pytest.fixture(scope="class")
def story(request: pytest.FixtureRequest, operator: RunningOperator, namespace: Kubectl) -> Iterator[Story]:
    name: str = request.cls.served_by
    serving = SERVINGS[name]
    declared = manifest(name, file=serving.file, variants=(BEST, FAST), scaling={"maxReplicas": MOST_REPLICAS})
    with told(LLMDeployment(namespace, name), declared, operator, keep_alive=serving.keep_alive) as begun:
        yield begun


class Ladder:
    """What holds of every way to serve."""

    served_by: str
    """A key of `SERVINGS`, and the name of the resource."""

    def test_replicas_come_before_precision_goes(self, story: Story) -> None:
        story.resource.until_condition("Ready", "True", seconds=START_SECONDS)

        capacity = story.recording.capacity_of_a_replica()
        story.add_load("little", LITTLE * capacity)
        story.add_load("within", (WITHIN - LITTLE) * capacity)

        story.resource.until_ready({BEST: MOST_REPLICAS}, seconds=180)
        assert story.resource.condition("Degraded")["status"] == "False"

    def test_demand_that_the_best_variant_cannot_serve_moves_the_fleet_down_the_ladder(
        self, story: Story, figures: Figures
    ) -> None:
        capacity = story.recording.capacity_of_a_replica()
        stepped_at = story.add_load("beyond", (BEYOND - WITHIN) * capacity)

        story.resource.until_ready({FAST: MOST_REPLICAS}, seconds=300)

        down = f"{story.resource.name}: {BEST} to {FAST}: "
        figures.note(f"{down}load to the last pod of {BEST} gone", seconds_since(stepped_at), "s")
        assert story.resource.until_condition("Degraded", "True", seconds=10)["reason"] == "SLONeedsSpeed"
        until(
            lambda: story.view_at_rest(stepped_at, AT_REST_SECONDS),
            lambda view: view is not None and view.keeps(story.declared["spec"]["slo"]),
            what="clients get what is promised",
            seconds=240,
        )
        figures.note(f"{down}load to SLO regained", (story.regained_at(stepped_at) - stepped_at).total_seconds(), "s")
        figures.note(f"{down}capacity of a replica before the step", capacity, "tokens/s", BEST)
        figures.note(f"{down}capacity of a replica after it", story.recording.capacity_of_a_replica(), "tokens/s", FAST)
        assert story.broken_streams() == []

    def test_when_load_falls_the_fleet_returns_to_the_best_variant_without_swinging(
        self, story: Story, figures: Figures
    ) -> None:
        story.end_load("beyond")
        fell_at = story.end_load("within")

        until(
            story.resource.ready_by_variant,
            lambda ready: set(ready) == {BEST},
            what=f"{BEST} alone serves",
            seconds=240,
        )

        up = f"{story.resource.name}: {FAST} to {BEST}: "
        figures.note(f"{up}load falls to the last pod of {FAST} gone", seconds_since(fell_at), "s")
        assert changes_of_direction(story.history.ready_since(f"{story.resource.name}-{FAST}", fell_at)) <= 1
        assert story.broken_streams() == []


class TestLlamaCpp(Ladder):
    served_by = "llama-cpp"


class TestTextGenerationInference(Ladder):
    served_by = "tgi"
