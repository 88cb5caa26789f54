"""Text Generation Inference's own API, through huggingface_hub."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

from huggingface_hub import AsyncInferenceClient, TextGenerationStreamOutput, set_async_client_factory

from tokenpace.planning.observation import CANARY_TOKENS
from tokenpace.probing.connection import TIMEOUT, client
from tokenpace.probing.question import PROMPT, Answer, Progress, Question

_NO_KEY = "none"
"""Without a key huggingface_hub looks for the operator's own. This one is not sent."""


@asynccontextmanager
async def ask(question: Question) -> AsyncIterator[Answer]:
    """Ask, and give the answer as it comes, once the server has begun to answer.

    Raises:
        httpx2.HTTPError: the server could not be reached, or refused; huggingface_hub's errors are such, too.
    """
    set_async_client_factory(client)
    # Named a float there, and handed on to httpx as it is: only connecting has a limit of its own.
    hub = AsyncInferenceClient(api_key=_NO_KEY, timeout=TIMEOUT)  # type: ignore[arg-type]
    async with hub:
        # The address goes with each call: what huggingface_hub once heard of a server without one, it believes of all.
        outputs = await hub.text_generation(
            PROMPT, model=question.url, max_new_tokens=CANARY_TOKENS, details=True, stream=True
        )
        yield _progress(outputs)


async def _progress(outputs: AsyncIterable[TextGenerationStreamOutput]) -> Answer:
    """Yield the progress after each token: TGI sends every one by itself."""
    tokens = 0
    async for output in outputs:
        tokens += 1
        yield Progress(tokens, output.details.finish_reason if output.details else None)
