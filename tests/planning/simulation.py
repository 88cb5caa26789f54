"""A small fleet for the planner's tests: a closed loop of random requests, simulated pods, scrapes and plans."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.planning.simulated_pods import HASH, Engine, Lengths, Served, SimulatedPod

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.planning.decision import Plan
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Canary, Hindrance, Live, Missing, Observation, Pod, Reading
from tokenpace.planning.plan import plan


@dataclass(frozen=True)
class Tick:
    at: float
    plan: Plan
    replicas: int
    serving: int
    fleet: Mapping[str, int] = field(default_factory=dict)
    """What was asked for."""
    ready: Mapping[str, int] = field(default_factory=dict)
    """Pods that serve, by variant."""
    pods: int = 0
    """Those that start, serve or drain."""


@dataclass
class World:
    """A cluster with one LLMDeployment under random load; requests are spread evenly over all pods that are ready."""

    spec: LLMDeploymentSpec
    engine: Engine
    """Of the first variant, and of each that `engines` does not name."""
    tokens_per_second: Callable[[float], float]
    lengths: Lengths = field(default_factory=Lengths)
    seed: int = 0
    tick_seconds: float = 5.0
    window_seconds: float = 30.0
    scrape_seconds: float = 5.0
    most_visible_waiting: int | None = None
    blind: Callable[[float], bool] = lambda _: False
    memory: Memory = field(default_factory=Memory)
    replicas: int = 0
    least_request: bool = False
    at: float = 1_000_000.0
    pods: list[SimulatedPod] = field(default_factory=list)
    draining: list[SimulatedPod] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    held: bool = False
    """Keeps the replicas as they are: the planner only watches."""
    engines: Mapping[str, Engine] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    """Variants that serve nonsense: their canaries fail."""
    room: Mapping[str, int] = field(default_factory=dict)
    """Pods of a variant that there is room for, where there is not for all."""
    fleet: dict[str, int] = field(default_factory=dict)
    """Replicas by variant; at the beginning `replicas` of the first."""
    cards: Mapping[str, LLMSpeedCardSpec] = field(default_factory=dict)
    """By variant."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.start = self.at
        self.next_arrival = self.at
        self.next_scrape = self.at
        self.next_tick = self.at + self.window_seconds
        self.names = 0
        self._scale(self.fleet or {self.spec.variants[0].name: self.replicas})
        for pod in self.pods:
            pod.ready_at = self.at - 3600
            pod.created_at = pod.ready_at - pod.engine.startup_seconds

    @property
    def elapsed(self) -> float:
        return self.at - self.start

    def run(self, seconds: float) -> "World":
        end = self.at + seconds
        while True:
            self.at = min(self.next_arrival, self.next_scrape, self.next_tick, end)
            if self.at >= end:
                return self
            if self.at == self.next_arrival:
                self._arrive()
            elif self.at == self.next_scrape:
                self._scrape()
            else:
                self._tick()

    def _arrive(self) -> None:
        rate = self.tokens_per_second(self.elapsed) / self.lengths.output
        if rate <= 0:
            self.next_arrival = self.at + 1.0
            return
        ready = [pod for pod in self.pods if pod.ready_at <= self.at]
        if ready:
            if self.least_request:
                for pod in ready:
                    pod.advance(self.at)
                least = min(pod.running + len(pod.queue) for pod in ready)
                ready = [pod for pod in ready if pod.running + len(pod.queue) == least]
            self.chance.choice(ready).submit(self.at, self.lengths.prompt, self.lengths.draw(self.chance))
        self.next_arrival = self.at + self.chance.expovariate(rate)

    def _scrape(self) -> None:
        for pod in self.pods:
            if pod.ready_at <= self.at:
                pod.scrape(self.at, self.window_seconds)
        for pod in self.draining:
            pod.advance(self.at)
        for pod in [*self.pods, *self.draining]:
            self.served.extend(pod.served)
            pod.served.clear()
        self.draining = [pod for pod in self.draining if not pod.empty]
        self.next_scrape += self.scrape_seconds

    def observation(self) -> Observation:
        blind = self.blind(self.elapsed)
        return Observation(
            replicas=dict(self.fleet),
            template_hashes=dict.fromkeys((variant.name for variant in self.spec.variants), HASH),
            pods=tuple(self._observed(pod, blind=blind) for pod in [*self.pods, *self.draining]),
            metrics_problem="connection refused" if blind else None,
            tick_seconds=self.tick_seconds,
            speed_cards=self.cards,
        )

    def _observed(self, pod: SimulatedPod, *, blind: bool) -> Pod:
        ready = pod.ready_at <= self.at
        sample = Missing() if blind or not ready else pod.sample()
        if self.most_visible_waiting is not None and isinstance(sample, Live):
            reading = sample.reading
            seen = min(reading.waiting_requests, self.most_visible_waiting)
            sample = Live(Reading(**{**_fields(reading), "waiting_requests": seen}))
        return Pod(
            name=pod.name,
            variant=pod.variant,
            template_hash=pod.template_hash,
            created_at_seconds=pod.created_at,
            ready_since_seconds=pod.ready_at if ready else None,
            terminating=pod in self.draining,
            sample=sample,
            hindrance=Hindrance.UNSCHEDULABLE if pod.ready_at == math.inf else Hindrance.NONE,
            hindrance_message="Unschedulable" if pod.ready_at == math.inf else None,
            canary=pod.canary,
            canary_message="it generates nonsense" if pod.canary is Canary.FAILED else None,
        )

    def _tick(self) -> None:
        decided, self.memory = plan(self.spec, self.observation(), self.memory, self.at)
        ready = Counter(pod.variant for pod in self.pods if pod.ready_at <= self.at)
        fleet = decided.fleet
        there = len(self.pods) + len(self.draining)
        self.ticks.append(Tick(self.elapsed, decided, sum(fleet.values()), ready.total(), fleet, ready, there))
        for pod in self.pods:
            if pod.name in decided.canaries:
                pod.canary = Canary.FAILED if pod.variant in self.broken else Canary.PASSED
        if not self.held:
            self._scale(fleet)
        self.next_tick += self.tick_seconds

    def _scale(self, fleet: Mapping[str, int]) -> None:
        self.fleet, self.replicas = dict(fleet), sum(fleet.values())
        for variant, replicas in fleet.items():
            engine = self.engines.get(variant, self.engine)
            there = [pod for pod in self.pods if pod.variant == variant]
            for number in range(len(there), replicas):
                self.names += 1
                starts = number < self.room.get(variant, replicas)
                self.pods.append(
                    SimulatedPod(
                        f"pod-{self.names}",
                        engine,
                        created_at=self.at,
                        ready_at=self.at + engine.startup_seconds if starts else math.inf,
                        variant=variant,
                        clock=self.at,
                    )
                )
            # As a ReplicaSet does: those that are not ready go first, then the youngest.
            there.sort(key=lambda pod: (pod.ready_at <= self.at, -pod.created_at))
            for pod in there[: max(0, len(there) - replicas)]:
                self.pods.remove(pod)
                if pod.ready_at <= self.at:
                    self.draining.append(pod)

    def lose_a_pod(self) -> None:
        """End a pod at once; its workload starts another."""
        if self.pods:
            self.pods.pop(0)
            self._scale(self.fleet)

    def changes(self, since: float = 0.0) -> list[int]:
        """Steps in replicas, with their sign."""
        replicas = [tick.replicas for tick in self.ticks if tick.at >= since]
        return [after - before for before, after in itertools.pairwise(replicas) if after != before]

    def client(self, since: float = 0.0) -> list[Served]:
        return [request for request in self.served if request.arrived - self.start >= since]


def _fields(reading: Reading) -> dict[str, float | None]:
    return {name: getattr(reading, name) for name in Reading.__slots__}


def constant(tokens_per_second: float) -> Callable[[float], float]:
    return lambda _: tokens_per_second


def steps(*levels: tuple[float, float]) -> Callable[[float], float]:
    """Return a load that takes each level from its time on: (seconds, tokens/s), in order of time."""

    def load(at: float) -> float:
        return next((level for since, level in reversed(levels) if at >= since), 0.0)

    return load
