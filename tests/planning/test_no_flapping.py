"""Chance chooses loads, faults and times; whatever it does, the fleet keeps its bounds and does not flap."""

import itertools
import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.planning.declared import declared
from tests.planning.simulated_pods import CPU, Lengths
from tests.planning.simulation import World, constant

WINDOW_SECONDS = 120
MOST = 6


class Cluster(RuleBasedStateMachine):
    """An LLMDeployment on small pods, with real start-up delays, random requests and noisy scrapes."""

    def __init__(self) -> None:
        super().__init__()
        self.dark = False

    @initialize(seed=st.integers(0, 1000), exponential=st.booleans(), replicas=st.integers(1, MOST))
    def begin(self, seed: int, exponential: bool, replicas: int) -> None:
        spec = declared(
            slo={"timeToFirstToken": {"milliseconds": 5000}},
            maxReplicas=MOST,
            scaleDown={"stabilizationWindowSeconds": WINDOW_SECONDS},
        )
        self.world = World(
            spec,
            CPU,
            constant(10.0),
            lengths=Lengths(exponential=exponential),
            seed=seed,
            replicas=replicas,
            blind=lambda _: self.dark,
        )

    @rule(tokens_per_second=st.sampled_from([0.0, 4.0, 20.0, 45.0, 90.0]))
    def change_load(self, tokens_per_second: float) -> None:
        self.world.tokens_per_second = constant(tokens_per_second)

    @rule(dark=st.booleans())
    def switch_metrics(self, dark: bool) -> None:
        self.dark = dark

    @rule(seconds=st.sampled_from([30, 120, 300]))
    def wait(self, seconds: int) -> None:
        replicas = self.world.replicas
        self.world.run(seconds)
        if self.dark:
            assert self.world.replicas >= replicas

    @rule()
    def lose_a_pod(self) -> None:
        """A node dies; the workload starts another pod."""
        self.world.lose_a_pod()

    @invariant()
    def bounds_hold(self) -> None:
        assert all(1 <= tick.replicas <= MOST for tick in self.world.ticks)

    @invariant()
    def what_was_added_stays_for_a_window(self) -> None:
        """So direction turns down at most once a window; only a new rise of demand may turn it up sooner."""
        grown = -math.inf
        for before, after in itertools.pairwise(self.world.ticks):
            if after.replicas > before.replicas:
                grown = after.at
            assert after.replicas >= before.replicas or after.at - grown >= WINDOW_SECONDS


Cluster.TestCase.settings = settings(max_examples=10, stateful_step_count=12, derandomize=True)
test_the_fleet_keeps_its_bounds_and_does_not_flap = Cluster.TestCase
