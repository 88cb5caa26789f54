"""The bodies of TGI's own API: /generate, /generate_stream and /.

`GenerateResponse` and `StreamResponse` of TGI's `router/src/lib.rs`.
"""

from collections.abc import Sequence
from typing import Any

from e2e.tgi.request import Request
from e2e.tgi.router import Generation, Piece

Json = dict[str, Any]


def answer(request: Request, pieces: Sequence[Piece], generation: Generation) -> Json:
    """The body of an answer from /generate."""
    body: Json = {"generated_text": _text(request, generation)}
    if request.parameters.details:
        body["details"] = {**_details(generation), "prefill": [], "tokens": [_token(piece) for piece in pieces]}
    return body


def event(request: Request, piece: Piece) -> Json:
    """One token in a stream."""
    ended = piece.generation
    details = {**_details(ended), "input_length": ended.input_tokens} if ended and request.parameters.details else None
    return {
        "index": piece.index,
        "token": _token(piece),
        "generated_text": _text(request, ended) if ended else None,
        "details": details,
    }


def headers(request: Request, generation: Generation) -> dict[str, str]:
    """Times in ms, and `x-compute-time` in seconds, of an answer that is no stream."""
    seconds = {
        "x-total-time": generation.total_seconds,
        "x-validation-time": generation.validation_seconds,
        "x-queue-time": generation.queue_seconds,
        "x-inference-time": generation.inference_seconds,
        "x-time-per-token": generation.seconds_per_token,
    }
    return {
        "x-compute-time": str(generation.total_seconds),
        "x-compute-characters": str(len(request.inputs)),
        **{name: str(int(value * 1000)) for name, value in seconds.items()},
        "x-prompt-tokens": str(generation.input_tokens),
        "x-generated-tokens": str(generation.generated_tokens),
    }


def _token(piece: Piece) -> Json:
    token = piece.token
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "special": token.is_special}


def _text(request: Request, generation: Generation) -> str:
    return request.inputs + generation.text if request.parameters.return_full_text else generation.text


def _details(generation: Generation) -> Json:
    return {
        "finish_reason": generation.finish,
        "generated_tokens": generation.generated_tokens,
        "seed": generation.seed,
    }
