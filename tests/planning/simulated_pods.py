"""Pods for the planner's tests: requests share a pod's steps, and metrics are what scrapes see.

Not a mock of the planner's formulas: pods serve single requests, in the order of events, from (a, b, c) alone.
"""

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field

from tokenpace.planning.observation import Canary, Idle, Live, Missing, Reading, Sample

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
