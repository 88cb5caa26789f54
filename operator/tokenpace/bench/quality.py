"""Quality of a variant as a share of its reference's: by perplexity, and by agreement of greedy answers."""

import json
import math
from importlib.resources import files
from itertools import takewhile
from typing import Final

import aiohttp

from tokenpace.bench.errors import BenchError
from tokenpace.bench.perplexity import mean, perplexity, standard_error
from tokenpace.bench.result import Answers, Estimate, Perplexity, Quality, Server

TEXT: Final = "harbour-1"
"""Written for this project, so that no model was trained on it."""
PROMPTS: Final = "greedy-1"
"""Twenty-four beginnings of sentences, likewise."""
ANSWER_TOKENS: Final = 24

_DATA: Final = files("tokenpace.bench") / "data"


async def quality(session: aiohttp.ClientSession, server: Server, *, positions: int) -> Quality:
    """Measure what a variant is compared by; `compared` compares.

    Args:
        session: to the base of the server's API.
        server: who answers.
        positions: tokens of the text.

    Raises:
        BenchError: the server does not tell probabilities.
    """
    text = (_DATA / f"{TEXT}.txt").read_text(encoding="utf-8")
    scored = await perplexity(session, server, name=TEXT, text=text, positions=positions)
    prompts: list[str] = json.loads((_DATA / f"{PROMPTS}.json").read_text(encoding="utf-8"))
    texts = tuple([await _answer(session, server.model, prompt) for prompt in prompts])
    answers = Answers(prompts=PROMPTS, tokens=ANSWER_TOKENS, texts=texts)
    return Quality(perplexity=scored, answers=answers, reference=None, percent=None, agreement_percent=None)


def compared(measured: Quality, reference: Quality, name: str) -> Quality:
    """Return a quality as a share of a reference's; ``name`` says which variant that is.

    Raises:
        BenchError: the reference was measured on something else.
    """
    return measured.model_copy(
        update={
            "reference": name,
            "percent": percent(measured.perplexity, reference.perplexity),
            "agreement_percent": agreement_percent(measured.answers, reference.answers),
        }
    )


def percent(scored: Perplexity, reference: Perplexity) -> Estimate:
    """Return 100 · perplexity of the reference / perplexity, above 100 where it is better.

    Both met the same tokens, so most of what makes the one uncertain makes the other so: the error is that of the
    differences, position by position.

    Raises:
        BenchError: they met different tokens.
    """
    if (scored.text, scored.positions) != (reference.text, reference.positions):
        raise BenchError(
            f"--reference: was measured on {reference.positions} positions of {reference.text}, this on "
            f"{scored.positions} of {scored.text}: measure it again with the same --quality-positions"
        )
    gains = [mine - its for mine, its in zip(scored.log_probabilities, reference.log_probabilities, strict=True)]
    value = 100 * math.exp(mean(gains))
    return Estimate(value=value, error=value * standard_error(gains))


def agreement_percent(answers: Answers, reference: Answers) -> Estimate:
    """Return the mean share of each of the reference's answers before the first character that differs.

    After the first difference the model answers another beginning: what follows tells nothing.

    Raises:
        BenchError: they answered different prompts.
    """
    if (answers.prompts, answers.tokens) != (reference.prompts, reference.tokens):
        raise BenchError(f"--reference: answered {reference.prompts}, this {answers.prompts}: measure it again")
    shares = [_share(mine, its) for mine, its in zip(answers.texts, reference.texts, strict=True)]
    return Estimate(value=100 * mean(shares), error=100 * standard_error(shares))


def _share(answer: str, reference: str) -> float:
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(answer, reference, strict=False)))
    return same / len(reference) if reference else float(not answer)


async def _answer(session: aiohttp.ClientSession, model: str, prompt: str) -> str:
    body = {"model": model, "prompt": prompt, "max_tokens": ANSWER_TOKENS, "temperature": 0, "seed": 1}
    try:
        async with session.post("completions", json=body) as response:
            response.raise_for_status()
            return str((await response.json(content_type=None))["choices"][0]["text"])
    except (aiohttp.ClientError, LookupError, TypeError, ValueError) as error:
        raise BenchError(f"--quality: completions do not answer: {error}") from error
