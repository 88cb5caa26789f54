"""Perplexity through the engine's own API: what the model gives each true token of a text, after the true ones before.

Three ways, by what the servers can tell:

- vLLM, SGLang and others with OpenAI's `/v1/completions`: the prompt echoed with its log probabilities, in one request;
- Text Generation Inference: `decoder_input_details`, in one request;
- llama.cpp names probabilities of generated tokens only: one request a position, each asking for the next token after
  the true beginning. Its prompt cache makes that cheap.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiohttp

from tokenpace.api.variant import EngineType
from tokenpace.bench.errors import BenchError
from tokenpace.bench.result import Perplexity, Server
from tokenpace.engines.engine import PromptScoring
from tokenpace.engines.registry import ADAPTERS

SKIPPED_POSITIONS: Final = 32
"""At the beginning: there any model is surprised by whatever comes."""
NAMED_TOKENS: Final = 500
"""Of llama.cpp, at each position. Of SmolLM2's 49,152 these hold the true one at more than 99 % of them."""


class Position(NamedTuple):
    """One true token."""

    log_probability: float
    named: bool
    """Whether the server named it; else it is taken for as likely as the least of those named, which it is at most."""


Score = Callable[[aiohttp.ClientSession, str, str, int], Awaitable[Sequence[Position]]]
"""Scores the tokens of a text: session, model, text, and how many tokens after `SKIPPED_POSITIONS`."""


async def perplexity(
    session: aiohttp.ClientSession, server: Server, *, name: str, text: str, positions: int
) -> Perplexity:
    """Return how surprised the model is by a text.

    Raises:
        BenchError: the server does not tell, or answers otherwise than it should.
    """
    score = _SCORES[ADAPTERS[EngineType(server.engine)].prompt_scoring]
    try:
        scored = await score(session, server.model, text, positions)
    except (KeyError, IndexError, TypeError, ValueError, aiohttp.ClientError) as error:
        raise BenchError(
            f"--quality: {server.engine} does not tell the probabilities of a prompt's tokens "
            f"({type(error).__name__}: {error}): see docs/bench.md for what each server needs"
        ) from error
    if len(scored) < 2:  # noqa: PLR2004 (one position has no error)
        raise BenchError("--quality-positions: at least 2 are needed for an error")
    losses = [-one.log_probability for one in scored]
    value = math.exp(mean(losses))
    return Perplexity(
        perplexity=value,
        error=value * standard_error(losses),
        text=name,
        positions=len(scored),
        missed=sum(not one.named for one in scored),
        log_probabilities=tuple(one.log_probability for one in scored),
    )


async def _echoed(session: aiohttp.ClientSession, model: str, text: str, positions: int) -> Sequence[Position]:
    body = {"model": model, "prompt": text, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
    answer = await _post(session, "completions", body)
    found = answer["choices"][0]["logprobs"]["token_logprobs"]
    if found[0] is not None:
        raise ValueError("the prompt is not echoed")
    return _named(found[:-1], positions)


async def _of_tgi(session: aiohttp.ClientSession, _model: str, text: str, positions: int) -> Sequence[Position]:
    body = {"inputs": text, "parameters": {"max_new_tokens": 1, "details": True, "decoder_input_details": True}}
    prefill = (await _post(session, "../generate", body))["details"]["prefill"]
    return _named([token["logprob"] for token in prefill], positions)


def _named(found: Sequence[float | None], positions: int) -> Sequence[Position]:
    part = found[SKIPPED_POSITIONS : SKIPPED_POSITIONS + positions]
    return [Position(float(value), named=True) for value in part if value is not None]


async def _of_llama_cpp(session: aiohttp.ClientSession, _model: str, text: str, positions: int) -> Sequence[Position]:
    tokens = (await _post(session, "../tokenize", {"content": text, "add_special": True}))["tokens"]
    scored: list[Position] = []
    for at in range(SKIPPED_POSITIONS, min(len(tokens), SKIPPED_POSITIONS + positions)):
        body = {
            "prompt": tokens[:at],
            "n_predict": 1,
            "n_probs": NAMED_TOKENS,
            "cache_prompt": True,
            "temperature": -1,  # greedy, with probabilities of the plain softmax
            "id_slot": 0,  # the one that has the beginning in its cache
        }
        answer = await _post(session, "../completion", body)
        named = {one["id"]: one["logprob"] for one in answer["completion_probabilities"][0]["top_logprobs"]}
        true = named.get(tokens[at])
        scored.append(Position(min(named.values()) if true is None else true, named=true is not None))
    return scored


_SCORES: Final[Mapping[PromptScoring, Score]] = {
    PromptScoring.ECHO: _echoed,
    PromptScoring.PREFILL_DETAILS: _of_tgi,
    PromptScoring.NEXT_TOKENS: _of_llama_cpp,
}


async def _post(session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
    async with session.post(path, json=body) as response:
        if not response.ok:
            raise ValueError(f"{path} answered {response.status}: {(await response.text())[:200]}")
        return await response.json(content_type=None)


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean of values, of which there are 2 or more."""
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values))
