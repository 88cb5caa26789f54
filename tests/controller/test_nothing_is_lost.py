"""Chance kills operators at any call, runs two at once, shows them old pictures, takes stock away, changes the spec.

A served model keeps a replica that serves, no bound is passed, and what is left alone comes to rest. The one exception
is a model that may sleep, and of which every look within the declared time has seen that nobody asks.
"""

import asyncio
import os
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.conftest import FakeApiServer
from tests.controller.mortal_operator import WATCHED, History, MortalOperator
from tests.controller.simulated_cluster import (
    BOUNDS,
    MOST,
    SLEEP,
    SLEEPS_AFTER_SECONDS,
    SURGE,
    SimulatedCluster,
    declared,
)

from tokenpace.cluster.kinds import DEPLOYMENTS, LLM_DEPLOYMENTS, PODS, Kind

EXPLORES = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
ANY_CALL = ("",)
CALLS = {
    "Kubernetes": ("get", "create", "apply", "patch", "delete"),
    "a write": ("create", "apply", "patch", "delete"),
    "Prometheus": ("Prometheus",),
    "a canary": ("canary",),
}
HOURLY_COSTS = {"q8": 2, "q4": 1}

which_operator = st.sampled_from([0, 1])


class Operators(RuleBasedStateMachine):
    """One LLMDeployment of two variants, and two operators of which nobody knows which one holds the Lease."""

    @initialize(most_of_q8=st.sampled_from([3, MOST]), hourly_cost=st.sampled_from([None, 8, 6, 3]))
    def begin(self, most_of_q8: int, hourly_cost: int | None) -> None:
        self.most_of = {"q8": most_of_q8, "q4": MOST}
        self.hourly_cost = hourly_cost
        self.runner = asyncio.Runner()
        self.fake = FakeApiServer()
        self.cluster = SimulatedCluster(self.fake)
        self.history = History(self.cluster)
        self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"] = self.bounded(declared())
        self.history.note()
        self.operators = [MortalOperator(self.cluster, self.history) for _ in range(2)]
        self.asked_at = self.cluster.now
        """When an operator that lived on was last told that somebody asks."""
        self.was_served = self.rested = self.may_sleep = False
        self.wait(ticks=8)
        assert self.was_served

    def bounded(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return a resource with bounds on its cost and on its variants."""
        spec = resource["spec"]
        for variant in spec["variants"]:
            name = variant["name"]
            variant |= {"maxReplicas": self.most_of[name], "hourlyCost": str(HOURLY_COSTS[name])}
        if self.hourly_cost is not None:
            spec["scaling"] = spec["scaling"] | {"maxHourlyCost": str(self.hourly_cost)}
        return resource

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            for one in self.operators:
                self.runner.run(one.end())
            self.runner.close()

    def tick(self, which: int) -> None:
        operator = self.operators[which]
        self.runner.run(operator.tick())
        self.history.note()
        scaling = operator.spec_seen["scaling"]
        self.may_sleep = self.may_sleep or (SLEEP.items() <= scaling.items() and scaling.get("mode") != "Manual")
        if operator.line.last_call is not None:
            self.replace(which)
        elif operator.was_told_of_load:
            self.asked_at = self.cluster.now

    def replace(self, which: int) -> None:
        """End an operator; another one starts, which sees what is there, and then what its place lets it see."""
        gone = self.operators[which]
        event(f"killed {gone.line.last_call or 'between two ticks'}")
        self.runner.run(gone.end())
        self.operators[which] = MortalOperator(self.cluster, self.history)
        self.operators[which].hearsay.ticks_late = gone.hearsay.ticks_late

    @rule(ticks=st.sampled_from([1, 3, 12]), which=which_operator)
    def wait(self, ticks: int, which: int = 0) -> None:
        self.operators[1 - which].stand_by()
        for _ in range(ticks):
            self.tick(which)
            self.pass_time()

    @rule(ticks=st.sampled_from([1, 5]))
    def both_write(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick(0)
            self.tick(1)
            self.pass_time()

    @rule(which=which_operator, calls=st.integers(0, 10), after=st.booleans())
    def kill(self, which: int, calls: int, after: bool) -> None:
        """End an operator before or after one of its next calls has had its effect; another one starts."""
        doomed = self.operators[which]
        doomed.line.end_at(ANY_CALL, calls, after=after)
        self.tick(which)
        if self.operators[which] is doomed:
            self.replace(which)
        self.pass_time()

    @rule(which=which_operator, kind=st.sampled_from(sorted(CALLS)), calls=st.integers(0, 3), after=st.booleans())
    def doom(self, which: int, kind: str, calls: int, after: bool) -> None:
        """End an operator when it comes to a call of one kind, however late that is."""
        self.operators[which].line.end_at(CALLS[kind], calls, after=after)

    @rule(which=which_operator)
    def be_woken_for_nothing(self, which: int) -> None:
        """A tick, and no time has passed."""
        self.tick(which)

    @rule(which=which_operator, kind=st.sampled_from(WATCHED))
    def hear_twice(self, which: int, kind: Kind) -> None:
        """An event comes twice, and wakes the loop."""
        self.operators[which].hearsay.hear_again(kind)
        self.tick(which)

    @rule(which=which_operator, kind=st.sampled_from([PODS, DEPLOYMENTS]), ticks=st.sampled_from([0, 1]))
    def see_a_phantom(self, which: int, kind: Kind, ticks: int) -> None:
        """What is gone is seen once more."""
        hearsay = self.operators[which].hearsay
        hearsay.hear(self.cluster.now)
        gone = hearsay.see_the_gone(kind)
        if gone is None:
            return
        event(f"a phantom of {kind.plural}")
        self.tick(which)
        for _ in range(ticks):
            self.pass_time()
            self.tick(which)
        hearsay.lose_the_gone(kind, gone)

    @rule(which=which_operator, kind=st.sampled_from(WATCHED), ticks=st.integers(0, 2))
    def lose_updates(self, which: int, kind: Kind, ticks: int) -> None:
        """A watch is late."""
        self.operators[which].hearsay.ticks_late[kind] = ticks

    @rule(variant=st.sampled_from(["q8", "q4"]))
    def run_out_of_stock(self, variant: str) -> None:
        self.cluster.no_stock ^= {variant}

    @rule(tokens_per_second=st.sampled_from([0.0, 10.0, 60.0, 200.0]))
    def change_load(self, tokens_per_second: float) -> None:
        if self.cluster.tokens_per_second:
            self.cluster.loaded_at = self.cluster.now
        self.cluster.tokens_per_second = tokens_per_second

    @rule(
        scaling=st.sampled_from(["Auto", "q8", "q4"]),
        replicas=st.integers(1, MOST),
        sleep=st.sampled_from([{}, SLEEP]),
    )
    def change_mode(self, scaling: str, replicas: int, sleep: dict[str, Any]) -> None:
        """Change what is declared; by hand no more is asked for than the bounds allow, which would win over them."""
        mode = {"mode": "Auto"} if scaling == "Auto" else {"mode": "Manual", "variant": scaling}
        most = MOST if scaling == "Auto" else self.most_by_hand(scaling)
        resource = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
        spec = resource["spec"] | {"scaling": BOUNDS | mode | sleep, "replicas": min(replicas, most)}
        metadata = resource["metadata"] | {"generation": resource["metadata"]["generation"] + 1}
        changed = self.bounded(resource | {"spec": spec, "metadata": metadata})
        self.fake._store((LLM_DEPLOYMENTS, "shop", "chat"), changed)
        self.history.note()

    def most_by_hand(self, variant: str) -> int:
        affordable = MOST if self.hourly_cost is None else self.hourly_cost // HOURLY_COSTS[variant]
        return min(self.most_of[variant], affordable)

    @rule(
        which=which_operator,
        replicas=st.integers(1, MOST),
        ticks=st.integers(1, 8),
        is_asked=st.booleans(),
        killed_at=st.sampled_from([None, *sorted(CALLS)]),
        after=st.booleans(),
    )
    def switch(
        self, which: int, replicas: int, ticks: int, *, is_asked: bool, killed_at: str | None, after: bool
    ) -> None:
        """The other variant is wanted; where nobody asks, only a canary shows that it generates."""
        sizes = self.sizes()
        other = min(HOURLY_COSTS, key=lambda name: sizes.get(f"chat-{name}", 0))
        self.change_load(10.0 if is_asked else 0.0)
        self.change_mode(other, replicas, {})
        if killed_at is not None:
            self.doom(which, killed_at, 0, after)
        self.wait(ticks=ticks, which=which)

    @rule(which=which_operator)
    def leave_it_idle(self, which: int) -> None:
        """Nobody asks for as long as it takes to fall asleep, where it may."""
        self.change_load(0.0)
        self.change_mode("Auto", 1, SLEEP)
        self.wait(ticks=10, which=which)

    @precondition(lambda self: not self.cluster.no_stock and not self.rested)
    @rule(which=which_operator)
    def be_left_alone(self, which: int) -> None:
        """One operator, a true picture, stock and the same load: the fleet stands still in the end."""
        self.rested = True  # once in a run is enough: it takes longer than all the rest
        self.operators[which].hearsay.ticks_late.clear()
        self.wait(ticks=90, which=which)  # a quarter of an hour: what was learned of speeds may change once more
        before = self.sizes()
        for _ in range(15):
            self.wait(ticks=1, which=which)
            assert self.sizes() == before

    def sizes(self) -> dict[str, int]:
        objects = self.fake.objects.items()
        return {key[2]: body["spec"]["replicas"] for key, body in objects if key[0] == DEPLOYMENTS}

    def pass_time(self) -> None:
        """Let a tick's time pass, at the end of which nothing may be lost."""
        if self.may_sleep and self.cluster.now - self.asked_at >= SLEEPS_AFTER_SECONDS:
            self.was_served = False
        self.may_sleep = False
        self.cluster.advance()
        self.history.note()
        self.was_served = self.was_served or self.cluster.serving() > 0
        assert self.cluster.serving() > 0 or not self.was_served, "the last replica that served is gone"
        sizes = {name.removeprefix("chat-"): size for name, size in self.sizes().items()}
        assert sum(sizes.values()) <= MOST + SURGE, "`maxReplicas` and what may be beyond it for a while are passed"
        assert all(size <= self.most_of[name] for name, size in sizes.items()), "a variant's own bound is passed"
        cost = sum(HOURLY_COSTS[name] * size for name, size in sizes.items())
        assert self.hourly_cost is None or cost <= self.hourly_cost, "it costs more than it may"


Operators.TestCase.settings = settings(max_examples=200 if EXPLORES else 30, stateful_step_count=20)
test_whatever_happens_nothing_is_lost = Operators.TestCase
