"""The bodies of TGI's OpenAI-compatible API: /v1/chat/completions and /v1/completions.

From `chat_completions` and `completions` of TGI's `router/src/server.rs`. Both take `ignore_eos`, which TGI ignores and
llama.cpp and vLLM know: it makes streams of a known length, by which a load generator tells a cut one.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from e2e.tgi.engine import Engine, Finish
from e2e.tgi.failures import ValidationError
from e2e.tgi.request import Parameters, Request
from e2e.tgi.router import Generation, Piece

Json = dict[str, Any]

DEFAULT_COMPLETION_TOKENS = 100
COMMON = ("temperature", "top_p", "frequency_penalty", "seed")


async def chat_request(engine: Engine, body: Mapping[str, Any]) -> Request:
    """A conversation as a text to go on from, by the model's own template.

    Raises:
        ValidationError: it has no messages, or asks for tools or a grammar.

    """
    for name in ("tools", "response_format", "logprobs"):
        if body.get(name):
            raise ValidationError(f"`{name}` is not supported by this server, which is not TGI")
    if not body.get("messages"):
        raise ValidationError("`messages` must be a list of messages")
    text = await engine.chat_text(body["messages"])
    return Request(inputs=text, parameters=_parameters(body, body.get("max_tokens")), add_special_tokens=False)


def completion_request(body: Mapping[str, Any]) -> Request:
    """A prompt as a text to go on from.

    Raises:
        ValidationError: it has another number of prompts than one, or a suffix.

    """
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str):
        raise ValidationError("`prompt` must be one string: several are not supported by this server, which is not TGI")
    if body.get("suffix") is not None:
        raise ValidationError("Suffix is not supported and can be achieved by preprocessing the prompt.")
    return Request(inputs=prompt, parameters=_parameters(body, body.get("max_tokens") or DEFAULT_COMPLETION_TOKENS))


def _parameters(body: Mapping[str, Any], max_new_tokens: int | None) -> Parameters:
    """Sampled, unless a temperature of 0 asks for the likeliest tokens."""
    given = {name: body[name] for name in COMMON if body.get(name) is not None}
    stop = body.get("stop") or []
    given["stop"] = [stop] if isinstance(stop, str) else stop
    given["do_sample"] = given.get("temperature") != 0
    if not given["do_sample"]:
        del given["temperature"]
    parameters = Parameters.parse({**given, "max_new_tokens": max_new_tokens})
    return replace(parameters, ignore_eos=bool(body.get("ignore_eos")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Writes what one request to one of the two endpoints gets; `model` is what the server was started with."""

    model: str
    is_chat: bool
    wants_usage: bool

    def answer(self, pieces: Sequence[Piece], generation: Generation) -> Json:
        """The body of an answer that is no stream."""
        text = "".join(piece.token.text for piece in pieces)
        content = {"message": {"role": "assistant", "content": text}} if self.is_chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": _reason(generation)}
        return {**self._head(), "choices": [choice], "usage": _usage(generation)}

    def events(self, piece: Piece) -> list[Json]:
        """One token in a stream; after a chat's last one comes its usage, in an event of its own."""
        text, ended = piece.token.text, piece.generation
        content = {"delta": {"role": "assistant", "content": text}} if self.is_chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": _reason(ended) if ended else None}
        chunk = {**self._head(".chunk"), "choices": [choice]}
        if ended is None:
            return [chunk]
        if not self.is_chat:
            return [{**chunk, "usage": _usage(ended)}]
        return [chunk, {**chunk, "choices": [], "usage": _usage(ended)}] if self.wants_usage else [chunk]

    def _head(self, chunk: str = "") -> Json:
        return {
            "object": f"chat.completion{chunk}" if self.is_chat else "text_completion",
            "id": "",
            "created": int(time.time()),
            "model": self.model,
            "system_fingerprint": "tgi-over-llama-cpp",
        }


def _reason(generation: Generation) -> str:
    return "length" if generation.finish is Finish.LENGTH else "stop"


def _usage(generation: Generation) -> Json:
    return {
        "prompt_tokens": generation.input_tokens,
        "completion_tokens": generation.generated_tokens,
        "total_tokens": generation.input_tokens + generation.generated_tokens,
    }
