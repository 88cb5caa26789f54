"""Promises about load, served by llama.cpp."""

from datetime import timedelta

from e2e.demand import Demand
from e2e.figures import Figures
from e2e.replica_history import changes_of_direction
from e2e.story import Story
from e2e.waiting import seconds_since


class TestDemand(Demand):
    serving = "llama-cpp"

    def test_replicas_go_when_load_falls_after_the_window_and_without_swinging(
        self, story: Story, figures: Figures
    ) -> None:
        """Half of them: by chance, the load before the fall may already have let one of them go."""
        window = timedelta(seconds=story.declared["spec"]["scaling"]["scaleDown"]["stabilizationWindowSeconds"])
        story.end_load("up-to-6")
        fell_at = story.end_load("up-to-3")

        story.resource.until_replicas(1, seconds=420)

        assert changes_of_direction(story.history.wanted_since(fell_at)) <= 1
        half = story.history.wanted_since(fell_at)[0] // 2
        half_gone_at = story.history.first_at_most(half, fell_at)
        assert half_gone_at - fell_at >= window
        figures.note(f"{self.serving}: load falls to half the replicas", (half_gone_at - fell_at).total_seconds(), "s")
        figures.note(f"{self.serving}: load falls to the last one", seconds_since(fell_at), "s")
