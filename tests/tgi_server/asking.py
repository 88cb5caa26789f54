"""What a client and a Prometheus ask of the server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


async def exposition(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        assert response.status == 200
        return await response.text()


async def scrape(url: str) -> dict[str, float]:
    """Every sample by its name and labels, as in `tgi_request_failure{err=dropped}`."""
    samples = (s for family in text_string_to_metric_families(await exposition(url)) for s in family.samples)
    return {_name(s.name) + "".join(f"{{{k}={v}}}" for k, v in s.labels.items()): s.value for s in samples}


def _name(name: str) -> str:
    """As it stands in the text: the parser appends `_total` to a counter's name that lacks it, as all of TGI's do."""
    return name.removesuffix("_total")


async def until(url: str, name: str, value: float) -> dict[str, float]:
    """Scrape until a sample has a value."""
    while (samples := await scrape(url)).get(name) != value:  # noqa: ASYNC110 - over HTTP
        await asyncio.sleep(0.005)
    return samples


def live_tokens(samples: dict[str, float]) -> float:
    return samples["tgi_request_skipped_tokens_sum"] + samples["tgi_request_skipped_tokens_count"]


async def ask(url: str, path: str, body: object) -> tuple[int, Any]:
    """Status and JSON of an answer that is no stream."""
    async with aiohttp.ClientSession() as session, session.post(url + path, json=body) as response:
        return response.status, await response.json()


async def events(url: str, path: str, body: object) -> AsyncIterator[Any]:
    """The events of a stream, but for OpenAI's end mark; closed early, it leaves the server alone."""
    async with aiohttp.ClientSession() as session, session.post(url + path, json=body) as response:
        assert response.status == 200
        async for line in response.content:
            if line.startswith(b"data: {"):
                yield json.loads(line.removeprefix(b"data: "))


def generation(tokens: int = 3, **parameters: Any) -> dict[str, Any]:
    """The body of a request for so many tokens after a prompt of four."""
    return {"inputs": "once upon a time", "parameters": {"max_new_tokens": tokens, **parameters}}
