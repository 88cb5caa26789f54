"""One stream: the request, its tokens as they come, and how it ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp

from loadgen.events import parse_line


class End(StrEnum):
    """How a stream ended; everything but COMPLETE is a failure."""

    COMPLETE = "complete"  # the end mark, and exactly the tokens asked for
    SHORT = "short"  # the end mark after another number of tokens
    CUT = "cut"  # the connection ended, or the server reported an error, before the end mark
    REJECTED = "rejected"  # an HTTP status other than 200
    REFUSED = "refused"  # no connection
    TIMED_OUT = "timed_out"


@dataclass(slots=True, eq=False)
class Stream:
    """What is known of a stream so far; times in seconds of one monotonic clock."""

    scheduled_at: float
    sent_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    tokens: int = 0
    prompt_tokens: int | None = None
    end: End | None = None
    detail: str = ""

    def saw_token(self, now: float) -> None:
        """Count one token."""
        self.first_token_at = now if self.first_token_at is None else self.first_token_at
        self.last_token_at = now
        self.tokens += 1

    @property
    def first_token_seconds(self) -> float | None:
        """Time to first token, from the scheduled arrival."""
        return None if self.first_token_at is None else self.first_token_at - self.scheduled_at

    @property
    def tokens_per_second(self) -> float | None:
        """Stream speed: 1 / time per output token, (tokens - 1) / (last - first token); None before two tokens."""
        if self.first_token_at is None or self.last_token_at is None or self.last_token_at <= self.first_token_at:
            return None
        return (self.tokens - 1) / (self.last_token_at - self.first_token_at)


@dataclass(frozen=True, slots=True)
class Request:
    """What every stream asks for."""

    path: str
    max_tokens: int
    timeout_seconds: float
    body: Callable[[str], dict[str, Any]]


def chat_request(*, model: str, max_tokens: int, timeout_seconds: float) -> Request:
    """Ask /v1/chat/completions. The prompt stands in the system message, so that no two requests begin alike."""

    def body(prompt: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": "Go on."}]
        return {"model": model, "messages": messages, **_common(max_tokens)}

    return Request("/v1/chat/completions", max_tokens, timeout_seconds, body)


def completion_request(*, model: str, max_tokens: int, timeout_seconds: float) -> Request:
    """Ask /v1/completions: the prompt is sent as it is."""

    def body(prompt: str) -> dict[str, Any]:
        return {"model": model, "prompt": prompt, **_common(max_tokens)}

    return Request("/v1/completions", max_tokens, timeout_seconds, body)


def _common(max_tokens: int) -> dict[str, Any]:
    return {
        "max_tokens": max_tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def generate(session: aiohttp.ClientSession, request: Request, prompt: str, stream: Stream) -> None:
    """Run one stream to its end and record it in `stream`; never raises for what a server or network may do."""
    try:
        async with asyncio.timeout(request.timeout_seconds):
            stream.end = await _receive(session, request, prompt, stream)
    except TimeoutError:
        stream.end, stream.detail = End.TIMED_OUT, f"not finished after {request.timeout_seconds:g} s"
    except aiohttp.ClientConnectorError as error:
        stream.end, stream.detail = End.REFUSED, str(error)
    except (aiohttp.ClientError, ValueError) as error:
        stream.end, stream.detail = End.CUT, f"{type(error).__name__}: {error}"


async def _receive(session: aiohttp.ClientSession, request: Request, prompt: str, stream: Stream) -> End:
    clock = asyncio.get_running_loop().time
    stream.sent_at = clock()
    async with session.post(request.path, json=request.body(prompt)) as response:
        if response.status != 200:
            stream.detail = f"{response.status}: {(await response.text())[:200]}"
            return End.REJECTED
        is_whole = False
        async for line in response.content:  # to the body's very end: half-read, the connection would not be kept
            event = parse_line(line)
            if event is None:
                continue
            if event.error is not None:
                stream.detail = event.error
                return End.CUT
            if event.has_text:
                stream.saw_token(clock())
            # A chunk may hold two tokens (half a character each), or none: the server's own count is the true one.
            stream.tokens = event.completion_tokens or stream.tokens
            stream.prompt_tokens = event.prompt_tokens or stream.prompt_tokens
            is_whole |= event.is_end
    return _end_of(stream, request.max_tokens, is_whole=is_whole)


def _end_of(stream: Stream, max_tokens: int, *, is_whole: bool) -> End:
    if not is_whole:
        stream.detail = "the body ended without the end mark"
        return End.CUT
    if stream.tokens != max_tokens:
        stream.detail = f"{stream.tokens} tokens instead of {max_tokens}"
        return End.SHORT
    return End.COMPLETE
