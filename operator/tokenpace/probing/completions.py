"""OpenAI's completions, streamed: llama.cpp, vLLM and most other servers.

Asked without huggingface_hub, whose client knows only ``/v1/chat/completions``: a base model has no chat template and
would fail a canary for that.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tokenpace.planning.observation import CANARY_TOKENS
from tokenpace.probing.connection import client
from tokenpace.probing.question import PROMPT, Answer, GenerationRefusedError, Progress, Question

_DATA = "data:"
_END = "[DONE]"


@asynccontextmanager
async def ask(question: Question) -> AsyncIterator[Answer]:
    """Ask, and give the answer as it comes, once the server has begun to answer.

    Raises:
        httpx2.HTTPError: the server could not be reached, or refused.
    """
    body = {
        "model": question.model,
        "prompt": PROMPT,
        "max_tokens": CANARY_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    address = f"{question.url}{question.completions_path}"
    async with client() as http, http.stream("POST", address, json=body) as response:
        response.raise_for_status()
        yield _progress(response)


async def _progress(response: httpx2.Response) -> Answer:
    """Yield the progress after each event.

    Tokens are counted by the events with text until the server says itself how many there were: a busy one puts
    several into an event.
    """
    tokens, reason = 0, None
    async for line in response.aiter_lines():
        data = line.removeprefix(_DATA).strip()
        if data == _END:
            return
        if not line.startswith(_DATA) or not data:
            continue
        event: Any = json.loads(data)
        if event.get("error"):  # in the middle of the stream no status can tell of it any more
            raise GenerationRefusedError(json.dumps(event["error"]))
        for choice in event.get("choices", ()):
            tokens += bool(choice["text"])
            reason = choice.get("finish_reason") or reason
        tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
        yield Progress(tokens, reason)
