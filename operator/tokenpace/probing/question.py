"""What a canary asks a pod, and what it hears back, whatever the API."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from tokenpace.engines.engine import COMPLETIONS_PATH, GenerationApi

PROMPT: Final = "1, 2, 3, 4, 5, 6, 7, 8, 9,"
"""Every language model goes on counting; few would end here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whom to ask, in which API, and how slow is too slow."""

    url: str
    """Of the server's root: ``http://10.0.0.7:8080``."""
    model: str
    """The name that clients ask for."""
    api: GenerationApi
    completions_path: str = COMPLETIONS_PATH
    """Where `GenerationApi.COMPLETIONS` are answered."""
    context_tokens: int | None = None
    """Tokens of a request, prompt and answer, that clients count on; None where nothing is declared."""
    least_tokens_per_second: float | None = None
    """A stream slower than this is not worth having; None where nothing is promised or expected of a stream."""


class GenerationRefusedError(Exception):
    """The server says, not by a status, that it cannot do what it is there for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a generation has come."""

    tokens: int
    finish_reason: str | None = None
    """Why it ended, in the server's own word; None while it goes on."""


Answer = AsyncIterator[Progress]
