"""What TGI's router does with a request: admit, validate, queue, batch, count."""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass

from e2e.tgi.engine import Engine, Finish, Token
from e2e.tgi.exposition import Exposition
from e2e.tgi.failures import OverloadedError, RequestError
from e2e.tgi.request import Limits, Request
from e2e.tgi.steps import Step, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A request that has come to its end; times in seconds."""

    text: str
    finish: Finish
    input_tokens: int
    generated_tokens: int
    seed: int | None
    total_seconds: float
    validation_seconds: float
    queue_seconds: float
    inference_seconds: float

    @property
    def seconds_per_token(self) -> float:
        """Of inference, the prompt included, as in TGI."""
        return self.inference_seconds / self.generated_tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """One token on its way to a client; the last has the whole generation with it."""

    index: int
    token: Token
    generation: Generation | None = None


@dataclass(eq=False, slots=True)
class _Entry:
    """A request that has been validated."""

    prompt: list[int]
    new_tokens: int
    seed: int


class Router:
    """One engine's requests, from their arrival to their last token."""

    def __init__(self, engine: Engine, limits: Limits, exposition: Exposition) -> None:
        self.engine = engine
        self.limits = limits
        self.exposition = exposition
        self._admitted = 0
        self._waiting = 0
        self._slots = asyncio.Semaphore(limits.slots)
        self._batch: set[_Entry] = set()
        self._steps = Steps(self._record_step)

    async def generate(self, request: Request) -> AsyncGenerator[Piece, None]:
        """Serve one request; closed or cancelled before its end, it counts as dropped.

        Raises:
            RequestError: the request is refused, or the engine fails.

        """
        clock = asyncio.get_running_loop().time
        begin = clock()
        self.exposition.increment("tgi_request_count")
        texts: list[str] = []
        try:
            with self._admission():
                entry = await self._validated(request)
                queued = clock()
                async with self._slot(), aclosing(self._tokens(entry, request)) as tokens:
                    start = clock()
                    async for token in tokens:
                        texts.append(token.text)
                        if token.finish is None:
                            yield Piece(len(texts), token)
        except RequestError as failure:
            self.exposition.increment("tgi_request_failure", err=failure.label)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self.exposition.increment("tgi_request_failure", err="dropped")
            raise
        end = clock()
        generation = Generation(
            text="".join(texts),
            finish=token.finish or Finish.LENGTH,
            input_tokens=len(entry.prompt),
            generated_tokens=len(texts),
            seed=entry.seed if request.parameters.is_sampled else None,
            total_seconds=end - begin,
            validation_seconds=queued - begin,
            queue_seconds=start - queued,
            inference_seconds=end - start,
        )
        self._record_end(generation)
        yield Piece(len(texts), token, generation)

    @contextmanager
    def _admission(self) -> Iterator[None]:
        if self._admitted >= self.limits.max_concurrent_requests:
            raise OverloadedError
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def _validated(self, request: Request) -> _Entry:
        self.limits.check(request)
        parameters = request.parameters
        prompt = await self.engine.tokenize(request.inputs, add_special=request.add_special_tokens)
        if parameters.truncate is not None:
            prompt = prompt[-parameters.truncate :]
        new_tokens = self.limits.new_tokens(len(prompt), parameters.max_new_tokens)
        self.exposition.observe("tgi_request_input_length", len(prompt))
        self.exposition.observe("tgi_request_max_new_tokens", new_tokens)
        seed = random.getrandbits(32) if parameters.seed is None else parameters.seed
        return _Entry(prompt, new_tokens, seed)

    @asynccontextmanager
    async def _slot(self) -> AsyncGenerator[None, None]:
        """Wait here for a slot of the engine, first come, first served, rather than in the engine's own queue."""
        self._change_waiting(+1)
        try:
            await self._slots.acquire()
        finally:
            self._change_waiting(-1)
        try:
            yield
        finally:
            self._slots.release()

    async def _tokens(self, entry: _Entry, request: Request) -> AsyncGenerator[Token, None]:
        generated = self.engine.generate(entry.prompt, entry.new_tokens, entry.seed, request.parameters)
        try:
            async with aclosing(generated) as tokens:
                async for token in tokens:
                    self._steps.add(entry, token.step_seconds, is_first=token.is_first)
                    if token.is_first:
                        self._change_batch(self._batch | {entry})
                    # By how many tokens a step was ahead through speculation. None here: their number is what counts.
                    self.exposition.observe("tgi_request_skipped_tokens", 0)
                    yield token
        finally:
            if entry in self._batch:
                self._steps.remove(entry)
                self._change_batch(self._batch - {entry})

    def _change_waiting(self, change: int) -> None:
        self._waiting += change
        self.exposition.set("tgi_queue_size", self._waiting)

    def _change_batch(self, batch: set[_Entry]) -> None:
        self._batch = batch
        self.exposition.set("tgi_batch_current_size", len(batch))
        most_tokens = sum(len(entry.prompt) + entry.new_tokens for entry in batch)
        self.exposition.set("tgi_batch_current_max_tokens", most_tokens)

    def _record_step(self, step: Step) -> None:
        self.exposition.increment("tgi_batch_inference_count", method=step.method)
        self.exposition.increment("tgi_batch_inference_success", method=step.method)
        self.exposition.observe("tgi_batch_inference_duration", step.seconds, method=step.method)
        if step.prefills and step.decodes:
            self.exposition.increment("tgi_batch_concat", reason="chunking")

    def _record_end(self, generation: Generation) -> None:
        self.exposition.increment("tgi_request_success")
        for name, seconds in (
            ("duration", generation.total_seconds),
            ("validation_duration", generation.validation_seconds),
            ("queue_duration", generation.queue_seconds),
            ("inference_duration", generation.inference_seconds),
            ("mean_time_per_token_duration", generation.seconds_per_token),
        ):
            self.exposition.observe(f"tgi_request_{name}", seconds)
        self.exposition.observe("tgi_request_generated_tokens", generation.generated_tokens)
