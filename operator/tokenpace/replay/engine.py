"""One replica at work: a queue, prefill, and a batch of streams that share every step.

The engine runs in steps, and between two events all its steps are alike: as many streams, as many prompt tokens. Such
a run of equal steps is planned and counted at once, so that a request costs three or four events however long it is.
What joins waits for the step in hand to end, as in the real engines, and is read before any further step where prefill
is separate; that Text Generation Inference may hold it back for some steps (`--waiting-served-ratio`) is not simulated.

The first token comes with the end of the prefill, each further one with a step.

The memory of a whole request, prompt and answer, is reserved when it joins the batch, as Text Generation Inference
does, and never overflows; the gauge shows what is written, as vLLM's does. vLLM takes memory as answers grow, and stops
a stream where it overflows: that is not simulated.
"""

import heapq
import math
from collections import deque

from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Prefill, Speeds
from tokenpace.replay.view import Scrape


class Answer:
    """What has become of one request so far."""

    __slots__ = (
        "ended_at_seconds",
        "first_token_at_seconds",
        "generated_tokens",
        "prompt_left_tokens",
        "reached_pod_at_seconds",
        "request",
        "variant",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.variant: str | None = None
        self.reached_pod_at_seconds = math.nan
        self.first_token_at_seconds: float | None = None
        self.ended_at_seconds: float | None = None
        self.generated_tokens = 0
        """Set when it ends, or fails."""
        self.prompt_left_tokens = request.prompt_tokens
        """Prompt tokens that are not read yet, where prefill is chunked."""

    @property
    def memory_tokens(self) -> int:
        """Tokens of KV memory that the whole request needs."""
        return self.request.prompt_tokens + self.request.generated_tokens


class Engine:
    """One process of an inference server, from its start: every counter begins at 0."""

    def __init__(self, speeds: Speeds, *, counts_tokens_live: bool = True) -> None:
        self.run_ends_at_seconds = math.inf
        """When `end_run` must be called; infinite while there is no work."""
        self._speeds = speeds
        self._decode_seconds = (0.0, *speeds.step_seconds)
        self._chunk_tokens = speeds.tokens_per_chunk if speeds.prefill is Prefill.CHUNKED else None
        self._counts_tokens_live = counts_tokens_live
        self._queue: deque[Answer] = deque()
        self._prompts: deque[Answer] = deque()
        self._streams: list[tuple[int, int, Answer]] = []
        """A heap: the step in which the last token comes, a serial number, the answer."""
        self._reserved_tokens = 0
        self._steps_done = 0
        """Decode steps since the process began: what every stream in the batch shares."""
        # The run of equal steps in hand.
        self._run_began_at_seconds = 0.0
        self._run_steps = 0
        self._run_steps_counted = 0
        self._step_seconds = 0.0
        self._step_prompt_seconds = 0.0
        self._step_prompt_tokens = 0
        self._decodes = False
        self._reads = False
        # Counters.
        self._live_tokens = 0
        self._prompt_tokens = 0
        self._admitted = 0
        self._first_tokens = 0
        self._ended = 0
        self._ended_tokens = 0
        self._ended_prompt_tokens = 0
        self._first_token_seconds = 0.0
        self._queue_seconds = 0.0
        self._prefill_seconds = 0.0
        self._stream_seconds = 0.0
        self._ended_seconds = 0.0
        self._ended_stream_seconds = 0.0

    @property
    def running(self) -> int:
        """Requests in the batch, in prefill or decoding."""
        return len(self._streams) + len(self._prompts)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def submit(self, answer: Answer, now: float) -> None:
        """Take a request into the queue, and from there into the batch as soon as there is room."""
        answer.reached_pod_at_seconds = now
        self._admitted += 1
        self._queue.append(answer)
        if self.run_ends_at_seconds == math.inf:
            self._begin_run(now)
        elif not self._prompts and self._has_room(answer):
            # Steps that only decode are cut short: the prompt goes first once the step in hand has ended.
            begun = math.ceil((now - self._run_began_at_seconds) / self._step_seconds)
            self._run_steps = min(begun, self._run_steps)
            self.run_ends_at_seconds = self._run_began_at_seconds + self._run_steps * self._step_seconds

    def end_run(self, now: float) -> list[Answer]:
        """End the run of steps that is due, begin the next one, and return the answers that are whole."""
        self._count_steps(self._run_steps)
        ended = self._read_prompts(now) if self._reads else []
        while self._streams and self._streams[0][0] <= self._steps_done:
            ended.append(heapq.heappop(self._streams)[2])
        for answer in ended:
            self._end(answer, now)
        self._begin_run(now)
        return ended

    def abort(self, now: float) -> list[Answer]:
        """Stop at once, and return everything that was in work, with the tokens that its clients have got."""
        self._count_steps_until(now)
        for last_step, _, answer in self._streams:
            answer.generated_tokens = answer.request.generated_tokens - (last_step - self._steps_done)
        failed = [*(answer for _, _, answer in self._streams), *self._prompts, *self._queue]
        self._streams.clear()
        self._prompts.clear()
        self._queue.clear()
        self.run_ends_at_seconds = math.inf
        return failed

    def scrape(self, now: float) -> Scrape:
        """Return what the process exports now."""
        self._count_steps_until(now)
        return Scrape(
            at_seconds=now,
            running=self.running,
            waiting=self.waiting,
            kv_share=self._kv_share(),
            generated_tokens=self._live_tokens if self._counts_tokens_live else self._ended_tokens,
            prompt_tokens=self._prompt_tokens,
            admitted=self._admitted,
            first_tokens=self._first_tokens,
            ended=self._ended,
            ended_generated_tokens=self._ended_tokens,
            ended_prompt_tokens=self._ended_prompt_tokens,
            first_token_seconds=self._first_token_seconds,
            queue_seconds=self._queue_seconds,
            prefill_seconds=self._prefill_seconds,
            stream_seconds=self._stream_seconds,
            ended_seconds=self._ended_seconds,
            ended_stream_seconds=self._ended_stream_seconds,
        )

    def _kv_share(self) -> float:
        """Return the share of the memory that prompts and the tokens so far take, without what is only reserved."""
        if self._speeds.kv_tokens is None:
            return 0.0
        left_tokens = sum(last_step - self._steps_done for last_step, _, _ in self._streams)
        unwritten_tokens = left_tokens + sum(answer.request.generated_tokens for answer in self._prompts)
        return min(1.0, (self._reserved_tokens - unwritten_tokens) / self._speeds.kv_tokens)

    def _has_room(self, answer: Answer) -> bool:
        running = self.running
        if running >= len(self._speeds.step_seconds):
            return False
        memory = self._speeds.kv_tokens
        # What exceeds the whole memory runs alone: a real engine refuses it, and here it would block the queue forever.
        return memory is None or running == 0 or self._reserved_tokens + answer.memory_tokens <= memory

    def _admit(self, now: float) -> None:
        """Take from the queue, in order, what there is room for."""
        chunk = self._chunk_tokens
        while self._queue and self._has_room(self._queue[0]):
            if chunk is not None and self._unread_tokens() >= chunk:
                return  # The next step is full: the scheduler leaves the rest in the queue.
            answer = self._queue.popleft()
            self._queue_seconds += now - answer.reached_pod_at_seconds
            self._reserved_tokens += answer.memory_tokens
            self._prompts.append(answer)

    def _unread_tokens(self) -> int:
        return sum(answer.prompt_left_tokens for answer in self._prompts)

    def _begin_run(self, now: float) -> None:
        """Plan the longest run of equal steps from now."""
        self._admit(now)
        streams = len(self._streams)
        if not self._prompts and not streams:
            self.run_ends_at_seconds = math.inf
            return
        self._run_steps = self._streams[0][0] - self._steps_done if streams else 1
        self._step_seconds = self._decode_seconds[streams]
        self._step_prompt_seconds = 0.0
        self._decodes, self._reads = streams > 0, bool(self._prompts)
        if self._reads:
            if self._chunk_tokens is None:
                self._plan_whole_prompt()
            else:
                self._plan_chunks(self._chunk_tokens)
        self._run_began_at_seconds, self._run_steps_counted = now, 0
        self.run_ends_at_seconds = now + self._run_steps * self._step_seconds

    def _plan_whole_prompt(self) -> None:
        """Plan one step that reads the first prompt while every stream stands still."""
        self._run_steps, self._decodes = 1, False
        self._step_prompt_tokens = self._prompts[0].request.prompt_tokens
        self._step_seconds = self._step_prompt_seconds = self._speeds.prompt_seconds(self._step_prompt_tokens)

    def _plan_chunks(self, chunk_tokens: int) -> None:
        """Plan steps that decode and read; what a step with a chunk costs above one without counts as prefill."""
        # Steps are alike while the first prompt fills them; that in which it ends may take others along.
        full_steps = max(0, self._prompts[0].prompt_left_tokens - 1) // chunk_tokens
        self._run_steps = max(1, min(self._run_steps, full_steps) if self._decodes else full_steps)
        self._step_prompt_tokens = min(chunk_tokens, self._unread_tokens())
        decode_seconds = self._step_seconds
        needed_seconds = decode_seconds + self._speeds.prompt_token_seconds * self._step_prompt_tokens
        self._step_seconds = max(self._speeds.shortest_prompt_seconds, needed_seconds)
        self._step_prompt_seconds = self._step_seconds - decode_seconds

    def _count_steps_until(self, now: float) -> None:
        if self.run_ends_at_seconds < math.inf and self._step_seconds > 0:
            whole = int((now - self._run_began_at_seconds) / self._step_seconds)
            # The last step belongs to `end_run`, which hands its answers out.
            self._count_steps(min(whole, self._run_steps - 1))

    def _count_steps(self, whole: int) -> None:
        """Count the run in hand up to so many whole steps."""
        steps = whole - self._run_steps_counted
        if steps <= 0:
            return
        self._run_steps_counted = whole
        streams = len(self._streams)
        self._stream_seconds += steps * self._step_seconds * streams
        self._prefill_seconds += steps * self._step_prompt_seconds
        if self._decodes:
            self._steps_done += steps
            self._live_tokens += steps * streams

    def _read_prompts(self, now: float) -> list[Answer]:
        """Share out the prompt tokens that the run has read; return the answers that its first token completes."""
        read, whole = self._run_steps * self._step_prompt_tokens, []
        for _ in range(len(self._prompts) if self._chunk_tokens else 1):
            answer = self._prompts[0]
            taken = min(read, answer.prompt_left_tokens)
            answer.prompt_left_tokens -= taken
            read -= taken
            if answer.prompt_left_tokens:
                break
            self._prompts.popleft()
            answer.first_token_at_seconds = now
            self._prompt_tokens += answer.request.prompt_tokens
            self._live_tokens += 1
            self._first_tokens += 1
            self._first_token_seconds += now - answer.reached_pod_at_seconds
            if answer.request.generated_tokens <= 1:
                whole.append(answer)
            else:
                last_step = self._steps_done + answer.request.generated_tokens - 1
                heapq.heappush(self._streams, (last_step, self._first_tokens, answer))
        return whole

    def _end(self, answer: Answer, now: float) -> None:
        request = answer.request
        answer.ended_at_seconds = now
        answer.generated_tokens = request.generated_tokens
        self._reserved_tokens -= answer.memory_tokens
        self._ended += 1
        self._ended_tokens += request.generated_tokens
        self._ended_prompt_tokens += request.prompt_tokens
        self._ended_seconds += now - answer.reached_pod_at_seconds
        if answer.first_token_at_seconds is not None:
            self._ended_stream_seconds += now - answer.first_token_at_seconds
