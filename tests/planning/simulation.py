"""A small fleet of pods for the planner's tests: requests share a pod's steps, and metrics are what scrapes see.

Not a mock of the planner's formulas: pods serve single requests, in the order of events, from (a, b, c) alone.
"""

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.decision import Plan
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Canary, Idle, Live, Missing, Observation, Pod, Reading, Sample
from tokenpace.planning.plan import plan

HASH = "inputs-1"


@dataclass(frozen=True)
class Engine:
    """The truth about a pod."""

    step_seconds: float
    token_seconds: float
    prompt_token_seconds: float
    slots: int | None = None
    times: str = "ended requests"
    """What seconds per output token are taken from: ended requests (llama.cpp), every step (vLLM, TGI), or nothing."""
    counts_requests: bool = False
    startup_seconds: float = 5.0


CPU = Engine(0.001, 1 / 17, 0.006, slots=4)
"""SmolLM2-135M q8_0 under llama.cpp at 300m CPU."""
GPU = Engine(0.029, 0.00026, 0.00011, counts_requests=True, times="every step", startup_seconds=60.0)
"""Llama-2-70B on H100 (Splitwise's measurements)."""


@dataclass(frozen=True)
class Lengths:
    """Tokens of a request: fixed, or with the output of an exponential length."""

    prompt: int = 12
    output: int = 32
    exponential: bool = False

    def draw(self, chance: random.Random) -> int:
        return max(1, round(chance.expovariate(1 / self.output))) if self.exponential else self.output


@dataclass
class Served:
    """What a client saw of one request."""

    arrived: float
    first_token_seconds: float
    tokens_per_second: float


@dataclass
class Scrape:
    at: float
    running: int
    waiting: int
    tokens: float
    prompt_tokens: float
    prompt_seconds: float
    step_stream_seconds: float
    ended_tokens: float
    ended_seconds: float
    ended_requests: int
    admitted: int


@dataclass
class SimulatedPod:
    """Streams advance together; a prompt holds them all up; what finds no slot waits in order."""

    name: str
    engine: Engine
    created_at: float
    ready_at: float
    variant: str = "q8"
    template_hash: str = HASH
    canary: Canary = Canary.UNTRIED
    clock: float = 0.0
    progress: float = 0.0
    streams: list[tuple[float, int, float, int, float]] = field(default_factory=list)
    prefills: deque[tuple[float, int, int]] = field(default_factory=deque)
    prefill_ends: float = math.inf
    queue: deque[tuple[float, int, int]] = field(default_factory=deque)
    served: list[Served] = field(default_factory=list)
    scrapes: deque[Scrape] = field(default_factory=deque)
    tokens: float = 0.0
    prompt_tokens: float = 0.0
    prompt_seconds: float = 0.0
    step_stream_seconds: float = 0.0
    ended_tokens: float = 0.0
    ended_seconds: float = 0.0
    ended_requests: int = 0
    admitted: int = 0
    serial: int = 0

    @property
    def running(self) -> int:
        return len(self.streams) + len(self.prefills)

    @property
    def empty(self) -> bool:
        return not (self.streams or self.prefills or self.queue)

    def submit(self, at: float, prompt: int, output: int) -> None:
        self.advance(at)
        self.queue.append((at, prompt, output))
        self.admitted += 1
        self._fill()

    def _fill(self) -> None:
        slots = math.inf if self.engine.slots is None else self.engine.slots
        while self.queue and self.running < slots:
            self.prefills.append(self.queue.popleft())
            if len(self.prefills) == 1:
                self.prefill_ends = self.clock + self.prefills[0][1] * self.engine.prompt_token_seconds

    def advance(self, to: float) -> None:
        while self.clock < to:
            if self.prefills:
                until = min(self.prefill_ends, to)
                self.step_stream_seconds += (until - self.clock) * len(self.streams)
                self.clock = until
                if self.prefill_ends <= to:
                    self._end_prefill()
            elif self.streams:
                step = self.engine.step_seconds + self.engine.token_seconds * len(self.streams)
                end = self.clock + (self.streams[0][0] - self.progress) * step
                until = min(end, to)
                done = (until - self.clock) / step
                self.progress += done
                self.tokens += done * len(self.streams)
                self.step_stream_seconds += (until - self.clock) * len(self.streams)
                self.clock = until
                if end <= to:
                    self._end_stream()
            else:
                self.clock = to

    def _end_prefill(self) -> None:
        arrived, prompt, output = self.prefills.popleft()
        seconds = prompt * self.engine.prompt_token_seconds
        self.prompt_tokens += prompt
        self.prompt_seconds += seconds
        self.serial += 1
        heapq.heappush(self.streams, (self.progress + output, self.serial, self.clock, output, arrived))
        self.prefill_ends = math.inf
        if self.prefills:
            self.prefill_ends = self.clock + self.prefills[0][1] * self.engine.prompt_token_seconds

    def _end_stream(self) -> None:
        _, _, started, output, arrived = heapq.heappop(self.streams)
        seconds = max(self.clock - started, 1e-9)
        self.ended_tokens += output
        self.ended_seconds += seconds
        self.ended_requests += 1
        self.served.append(Served(arrived, started - arrived + seconds / output, output / seconds))
        self._fill()

    def scrape(self, at: float, kept_seconds: float) -> None:
        self.advance(at)
        self.scrapes.append(
            Scrape(
                at,
                self.running,
                len(self.queue),
                self.tokens,
                self.prompt_tokens,
                self.prompt_seconds,
                self.step_stream_seconds,
                self.ended_tokens,
                self.ended_seconds,
                self.ended_requests,
                self.admitted,
            )
        )
        while self.scrapes[0].at < at - kept_seconds:
            self.scrapes.popleft()

    def _seconds_per_token(self, first: Scrape, last: Scrape) -> float | None:
        if self.engine.times == "every step":
            tokens, seconds = last.tokens - first.tokens, last.step_stream_seconds - first.step_stream_seconds
        else:
            tokens, seconds = last.ended_tokens - first.ended_tokens, last.ended_seconds - first.ended_seconds
        return seconds / tokens if tokens > 0 and self.engine.times != "nothing" else None

    def sample(self) -> Sample:
        if len(self.scrapes) < 2:
            return Missing()
        first, last = self.scrapes[0], self.scrapes[-1]
        window = last.at - first.at
        prompts = last.prompt_tokens - first.prompt_tokens
        ended = last.ended_tokens - first.ended_tokens
        ended_requests = last.ended_requests - first.ended_requests
        reading = Reading(
            window_seconds=window,
            generated_tokens_per_second=(last.tokens - first.tokens) / window,
            prompt_tokens_per_second=prompts / window,
            running_streams=sum(scrape.running for scrape in self.scrapes) / len(self.scrapes),
            waiting_requests=last.waiting,
            slots=self.engine.slots,
            requests_per_second=(last.admitted - first.admitted) / window if self.engine.counts_requests else None,
            tokens_per_completion=ended / ended_requests if self.engine.counts_requests and ended_requests else None,
            seconds_per_prompt_token=(last.prompt_seconds - first.prompt_seconds) / prompts if prompts else None,
            seconds_per_output_token=self._seconds_per_token(first, last),
        )
        busy = reading.generated_tokens_per_second > 0 or reading.running_streams > 0
        return Live(reading) if busy else Idle(reading)


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
    fleet: dict[str, int] = field(default_factory=dict)
    """Replicas by variant; at the beginning `replicas` of the first."""

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
            for _ in range(replicas - len(there)):
                self.names += 1
                self.pods.append(
                    SimulatedPod(
                        f"pod-{self.names}",
                        engine,
                        created_at=self.at,
                        ready_at=self.at + engine.startup_seconds,
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


def chance_of(seed: int) -> random.Random:
    """Return the same chance for the same seed."""
    return random.Random(seed)
