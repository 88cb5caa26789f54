"""Text Generation Inference's own API, through huggingface_hub."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from huggingface_hub import AsyncInferenceClient, TextGenerationStreamOutput, constants, set_async_client_factory

from tokenpace.planning.observation import CANARY_TOKENS
from tokenpace.probing.connection import TIMEOUT, client
from tokenpace.probing.question import PROMPT, Answer, GenerationRefusedError, Progress, Question

# For its User-Agent huggingface_hub 2.4 asks huggingface.co, once a process and blocking, which programs may have
# started it. In a cluster without a way out all that the operator does would wait for that.
constants.HF_HUB_DISABLE_TELEMETRY = True

_NO_KEY = "none"
"""Without a key huggingface_hub looks for the operator's own. This one is not sent."""


@asynccontextmanager
async def ask(question: Question) -> AsyncIterator[Answer]:
    """Ask, and give the answer as it comes, once the server has begun to answer.

    Raises:
        httpx2.HTTPError: the server could not be reached, or refused; huggingface_hub's errors are such, too.
        GenerationRefusedError: requests as long as clients are told may be sent are more than it takes.
    """
    await _check_context(question)
    set_async_client_factory(client)
    # Named a float there, and handed on to httpx as it is: only connecting has a limit of its own.
    hub = AsyncInferenceClient(api_key=_NO_KEY, timeout=TIMEOUT)  # type: ignore[arg-type]
    async with hub:
        # The address goes with each call: what huggingface_hub once heard of a server without one, it believes of all.
        outputs = await hub.text_generation(
            PROMPT, model=question.url, max_new_tokens=CANARY_TOKENS, details=True, stream=True
        )
        yield _progress(outputs)


async def _check_context(question: Question) -> None:
    """Compare what TGI says of itself with what clients count on.

    TGI chooses its longest request by the memory that it finds, and then refuses longer ones one by one: a canary of a
    few tokens would never show it. huggingface_hub asks for /info only at Hugging Face's own endpoints.
    """
    async with client() as http:
        response = await http.get(f"{question.url}/info")
    if not response.is_success:
        return
    info: Any = response.json()
    most = info.get("max_total_tokens")
    if isinstance(most, int) and question.context_tokens is not None and most < question.context_tokens:
        raise GenerationRefusedError(
            f"takes requests of {most} tokens at most, and `model.contextTokens` says {question.context_tokens}"
        )


async def _progress(outputs: AsyncIterable[TextGenerationStreamOutput]) -> Answer:
    """Yield the progress after each token: TGI sends every one by itself."""
    tokens = 0
    async for output in outputs:
        tokens += 1
        yield Progress(tokens, output.details.finish_reason if output.details else None)
