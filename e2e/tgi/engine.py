"""llama.cpp's server, asked over its own HTTP API (tools/server/README.md of github.com/ggml-org/llama.cpp)."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp

from e2e.tgi.failures import GenerationError
from e2e.tgi.request import Parameters


class Finish(StrEnum):
    """Why a stream is over, in TGI's words."""

    LENGTH = "length"
    END_OF_SEQUENCE = "eos_token"
    STOP_SEQUENCE = "stop_sequence"


FINISHES = {"limit": Finish.LENGTH, "eos": Finish.END_OF_SEQUENCE, "word": Finish.STOP_SEQUENCE}


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token; `step_seconds` is what the engine took for it, for a first token with its whole prompt."""

    id: int
    text: str
    logprob: float
    step_seconds: float
    is_first: bool
    finish: Finish | None = None

    @property
    def is_special(self) -> bool:
        """Whether it is the end of sequence, the only special token that a stream shows."""
        return self.finish is Finish.END_OF_SEQUENCE


@dataclass(frozen=True, slots=True)
class Properties:
    """What the server was started with."""

    slots: int
    context_tokens: int
    """Of one slot."""


class Engine:
    """One llama.cpp server; an async context manager."""

    def __init__(self, url: str) -> None:
        # A connection for each request: xllamacpp's server promises to keep one and closes it. The last event of a
        # stream repeats the prompt and is one line, hence the large buffer.
        self._session = aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=2**22,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def is_healthy(self) -> bool:
        """Whether it answers and has loaded its model."""
        try:
            async with self._session.get("/health", timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def properties(self) -> Properties:
        """Its slots and their context."""
        answer = await self._answer("GET", "/props")
        return Properties(answer["total_slots"], answer["default_generation_settings"]["n_ctx"])

    async def chat_text(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """A conversation by the model's own chat template."""
        answer = await self._answer("POST", "/apply-template", {"messages": messages})
        return str(answer["prompt"])

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """The tokens of a text."""
        answer = await self._answer("POST", "/tokenize", {"content": text, "add_special": add_special})
        return list(answer["tokens"])

    async def generate(
        self, prompt: Sequence[int], new_tokens: int, seed: int, parameters: Parameters
    ) -> AsyncGenerator[Token, None]:
        """Generate; the last token has a `finish`. Closed early, it frees the slot.

        Raises:
            GenerationError: the engine gave an error, or its stream ended before its end.

        """
        body = {
            "prompt": prompt,
            "n_predict": new_tokens,
            "stop": parameters.stop,
            "ignore_eos": parameters.ignore_eos,
            "repeat_last_n": len(prompt) + new_tokens,
            "stream": True,
            "return_tokens": True,
            "n_probs": 1,
            "timings_per_token": True,
            **sampling(parameters, seed),
        }
        try:
            async with self._session.post("/completion", json=body) as response:
                if response.status != 200:
                    raise GenerationError(_message(await response.json(content_type=None)))
                held: list[Token] = []
                count, seconds = 0, 0.0
                async for line in response.content:
                    if (chunk := _event(line)) is None:
                        continue
                    if chunk["stop"]:
                        *before, last = [*held, *tokens_of(chunk, count, seconds)]
                        for token in before:
                            yield token
                        yield replace(last, finish=FINISHES[chunk["stop_type"]])
                        return
                    for token in held:
                        yield token
                    tokens = tokens_of(chunk, count, seconds)
                    count, seconds = chunk["tokens_predicted"], chunk["timings"]["predicted_ms"] / 1000
                    # Only the chunk after a token tells that it was the last. TGI says so with the token itself, so one
                    # that may be the last is kept until then; others go on at once.
                    held = tokens if parameters.stop or not chunk["content"] or count == new_tokens else []
                    for token in tokens[len(held) :]:
                        yield token
        except (aiohttp.ClientError, ValueError, KeyError) as error:
            raise GenerationError(f"{type(error).__name__}: {error}") from error
        raise GenerationError("llama.cpp ended the stream before its last token")

    async def _answer(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            async with self._session.request(method, path, json=body) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
                if response.status != 200:
                    raise GenerationError(_message(answer))
                return answer
        except (aiohttp.ClientError, ValueError) as error:
            raise GenerationError(f"{type(error).__name__}: {error}") from error


def sampling(parameters: Parameters, seed: int) -> dict[str, Any]:
    """TGI's sampling in llama.cpp's words: everything that TGI does not have is off."""
    penalties = {
        "repeat_penalty": parameters.repetition_penalty or 1.0,
        "frequency_penalty": parameters.frequency_penalty or 0.0,
    }
    if not parameters.is_sampled:
        return {**penalties, "temperature": 0.0}
    return {
        **penalties,
        "temperature": parameters.temperature or 1.0,
        "top_k": parameters.top_k or 0,
        "top_p": parameters.top_p or 1.0,
        "typical_p": parameters.typical_p or 1.0,
        "min_p": 0.0,
        "seed": seed,
    }


def tokens_of(chunk: Mapping[str, Any], count: int, seconds: float) -> list[Token]:
    """The tokens of one chunk, after `count` others that took `seconds` after the first.

    A character of several tokens comes in one chunk with the last of them. The others are told by their number alone:
    like TGI they carry no text, unlike TGI the id and the probability of the last. The chunk that ends a stream tells
    likewise of those of a character that was never completed, with no id and no probability at all.
    """
    new = chunk["tokens_predicted"] - count
    nothing: dict[str, Any] = {"id": 0, "logprob": 0.0}
    (last,) = chunk.get("completion_probabilities", [nothing])
    timings = chunk["timings"]
    share = (timings["predicted_ms"] / 1000 - seconds) / max(new, 1)
    return [
        Token(
            id=last["id"],
            text=chunk["content"] if position == new else "",
            logprob=last["logprob"],
            step_seconds=timings["prompt_ms"] / 1000 if count + position == 1 else share,
            is_first=count + position == 1,
        )
        for position in range(1, new + 1)
    ]


def _event(line: bytes) -> dict[str, Any] | None:
    field, _, value = line.partition(b":")
    if field == b"error":
        raise GenerationError(_message({"error": json.loads(value)}))
    if field != b"data":
        return None
    event: dict[str, Any] = json.loads(value)
    if "error" in event:
        raise GenerationError(_message(event))
    return event


def _message(answer: Mapping[str, Any]) -> str:
    return str(answer.get("error", {}).get("message", answer))
