"""A canary: one real, short generation by one pod.

A pod that is Ready has loaded its weights. Whether tokens come out of it is another matter: a kernel that the GPU
lacks, a batch that does not fit, a processor that silently does a GPU's work show only then.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Final

import httpx2
from huggingface_hub.errors import InferenceTimeoutError, OverloadedError

from tokenpace.engines.engine import GenerationApi
from tokenpace.planning.observation import CANARY_TOKENS
from tokenpace.probing import completions, text_generation
from tokenpace.probing.outcome import Failed, Outcome, Passed, Slow, Unknown
from tokenpace.probing.question import Answer, GenerationRefusedError, Question

LONGEST_SECONDS: Final = 60.0
"""A canary that waits behind clients' requests may take as long as these; one that takes longer is given up."""

LONGEST_MESSAGE: Final = 300

_APIS: Final[Mapping[GenerationApi, Callable[[Question], AbstractAsyncContextManager[Answer]]]] = {
    GenerationApi.COMPLETIONS: completions.ask,
    GenerationApi.TEXT_GENERATION: text_generation.ask,
}

_WHOLE: Final = frozenset({"length", "stop", "eos_token", "stop_sequence"})
"""Why a generation ends when nothing is wrong: OpenAI's and TGI's words."""

_SAYS_NOTHING: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""A key that only clients have, a full queue, weights that still load, something in between: nothing of the model."""


async def try_generation(
    question: Question,
    *,
    longest_seconds: float = LONGEST_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Ask one pod for a few tokens and judge what comes. Never raises but when cancelled."""
    asked_at, began = monotonic(), False
    try:
        async with asyncio.timeout(longest_seconds), _APIS[question.api](question) as answer:
            began = True
            return await _judged(answer, question, asked_at, monotonic)
    except (httpx2.HTTPError, GenerationRefusedError) as error:
        return _of_error(error, began=began)
    except TimeoutError:
        return Slow(f"did not generate {CANARY_TOKENS} tokens within {longest_seconds:.0f} s")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Failed(_short(f"answers in a form that is not its API's ({type(error).__name__}: {error})"))


async def _judged(answer: Answer, question: Question, asked_at: float, monotonic: Callable[[], float]) -> Outcome:
    first_at = last_at = asked_at
    tokens, reason = 0, None
    async for progress in answer:
        if progress.tokens > tokens:
            last_at = monotonic()
            first_at = first_at if tokens else last_at
            tokens = progress.tokens
        reason = progress.finish_reason or reason
    if reason not in _WHOLE:
        return Failed(f"ended after {tokens} of {CANARY_TOKENS} tokens ({reason or 'no reason given'})")
    if tokens == 0:
        return Failed("ended without a token")
    tokens_per_second = (tokens - 1) / (last_at - first_at) if last_at > first_at else None
    least = question.least_tokens_per_second
    if least is not None and tokens_per_second is not None and tokens_per_second < least:
        return Slow(f"generated {tokens_per_second:.2g} tokens/s, less than {least:.2g}")
    return Passed(seconds_to_first_token=first_at - asked_at, tokens=tokens, tokens_per_second=tokens_per_second)


def _of_error(error: Exception, *, began: bool) -> Outcome:
    """Judge a generation that ended in an error: what the server says of itself counts, what lies in between not."""
    response = _response_of(error)
    if response is not None:
        message = _short(f"HTTP {response.status_code}: {response.text}")
        return Unknown(message) if response.status_code in _SAYS_NOTHING else Failed(message)
    message = _short(f"{type(error).__name__}: {error}")
    if isinstance(error, (httpx2.ConnectError, InferenceTimeoutError, httpx2.ConnectTimeout, OverloadedError)):
        return Unknown(message)
    dropped = isinstance(error, httpx2.TransportError)
    # A service mesh drops, before any answer, who does not speak its TLS.
    return Unknown(message) if dropped and not began else Failed(message)


def _response_of(error: BaseException | None) -> httpx2.Response | None:
    """Return the response that an error is about; huggingface_hub raises some of its errors from one that has it."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, httpx2.Response):
            return response
        error = error.__cause__
    return None


def _short(text: str) -> str:
    return " ".join(text.split())[:LONGEST_MESSAGE]
