"""One stream: the request, its tokens as they come, and how it ended."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp

from tokenpace.bench.events import Event, parse_line

Body = dict[str, Any]


class End(StrEnum):
    """How a stream ended; everything but COMPLETE is a failure, and SHORT is one only where tokens were promised."""

    COMPLETE = "complete"  # the end mark, and exactly the tokens asked for
    SHORT = "short"  # the end mark after another number of tokens
    CUT = "cut"  # the connection ended, or the server reported an error, before the end mark
    REJECTED = "rejected"  # an HTTP status that tells of an error
    REFUSED = "refused"  # no connection
    TIMED_OUT = "timed_out"


@dataclass(slots=True, eq=False)
class Stream:
    """What is known of a stream so far; times in seconds of one monotonic clock."""

    scheduled_at: float
    sent_at: float | None = None
    event_times: list[float] = field(default_factory=list)
    """When each chunk with text came: mostly one token each, more where a server puts several into one."""
    tokens: int = 0
    characters: int = 0
    prompt_tokens: int | None = None
    end: End | None = None
    detail: str = ""

    def saw(self, text: str, now: float) -> None:
        """Count one chunk of text as a token, until the server says how many there were."""
        self.event_times.append(now)
        self.tokens += 1
        self.characters += len(text)

    @property
    def first_token_at(self) -> float | None:
        """When the first token came."""
        return self.event_times[0] if self.event_times else None

    @property
    def last_token_at(self) -> float | None:
        """When the newest token came."""
        return self.event_times[-1] if self.event_times else None

    @property
    def first_token_seconds(self) -> float | None:
        """Time to first token, from the scheduled arrival."""
        return None if self.first_token_at is None else self.first_token_at - self.scheduled_at

    @property
    def seconds_per_token(self) -> float | None:
        """Time per output token, (last - first token) / (tokens - 1), MLPerf's; None before two tokens."""
        first, last = self.first_token_at, self.last_token_at
        if first is None or last is None or last <= first or self.tokens < 2:  # noqa: PLR2004 (a time between two)
            return None
        return (last - first) / (self.tokens - 1)

    @property
    def tokens_per_second(self) -> float | None:
        """Stream speed: 1 / time per output token."""
        return None if self.seconds_per_token is None else 1 / self.seconds_per_token


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where streams are asked for, and in what words: prompt and tokens to a body."""

    path: str
    """From the base of OpenAI's API (`tokenpace.bench.open_loop.api_base`)."""
    body: Callable[[str, int], Body]


def chat(model: str) -> Endpoint:
    """Ask /v1/chat/completions. The prompt stands in the system message, so that no two requests begin alike."""

    def body(prompt: str, max_tokens: int) -> Body:
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": "Go on."}]
        return {"model": model, "messages": messages, **_common(max_tokens)}

    return Endpoint("chat/completions", body)


def completions(model: str) -> Endpoint:
    """Ask /v1/completions: the prompt is sent as it is."""

    def body(prompt: str, max_tokens: int) -> Body:
        return {"model": model, "prompt": prompt, **_common(max_tokens)}

    return Endpoint("completions", body)


def text_generation(_model: str) -> Endpoint:
    """Ask /generate_stream, Text Generation Inference's own: it serves one model and asks for no name."""

    def body(prompt: str, max_tokens: int) -> Body:
        return {"inputs": prompt, "parameters": {"max_new_tokens": max_tokens, "details": True}}

    return Endpoint("../generate_stream", body)


ENDPOINTS: Mapping[str, Callable[[str], Endpoint]] = {
    "completions": completions,
    "chat": chat,
    "tgi": text_generation,
}
"""By the name of the API, given the name of the model."""


def _common(max_tokens: int) -> Body:
    return {
        "max_tokens": max_tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@dataclass(frozen=True, slots=True)
class Request:
    """What one stream asks for."""

    endpoint: Endpoint
    prompt: str
    max_tokens: int
    timeout_seconds: float


async def generate(session: aiohttp.ClientSession, request: Request, stream: Stream) -> None:
    """Run one stream to its end and record it in `stream`; never raises for what a server or network may do."""
    try:
        async with asyncio.timeout(request.timeout_seconds):
            stream.end = await _receive(session, request, stream)
    except TimeoutError:
        stream.end, stream.detail = End.TIMED_OUT, f"not finished after {request.timeout_seconds:g} s"
    except aiohttp.ClientConnectorError as error:
        stream.end, stream.detail = End.REFUSED, str(error)
    except (aiohttp.ClientError, ValueError) as error:
        stream.end, stream.detail = End.CUT, f"{type(error).__name__}: {error}"


async def _receive(session: aiohttp.ClientSession, request: Request, stream: Stream) -> End:
    clock = asyncio.get_running_loop().time
    stream.sent_at = clock()
    endpoint = request.endpoint
    async with session.post(endpoint.path, json=endpoint.body(request.prompt, request.max_tokens)) as response:
        if not response.ok:
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
            _record(event, stream, clock())
            is_whole |= event.is_end
    return _end_of(stream, request.max_tokens, is_whole=is_whole)


def _record(event: Event, stream: Stream, now: float) -> None:
    if event.text:
        stream.saw(event.text, now)
    # A chunk may hold two tokens (half a character each), or none: the server's own count is the true one.
    stream.tokens = event.completion_tokens or stream.tokens
    stream.prompt_tokens = event.prompt_tokens or stream.prompt_tokens


def _end_of(stream: Stream, max_tokens: int, *, is_whole: bool) -> End:
    if not is_whole:
        stream.detail = "the body ended without the end mark"
        return End.CUT
    if stream.tokens != max_tokens:
        stream.detail = f"{stream.tokens} tokens instead of {max_tokens}"
        return End.SHORT
    return End.COMPLETE
