"""Which server answers: what each says of itself, through its own API."""

from typing import Any, Final

import aiohttp

from tokenpace.bench.errors import BenchError
from tokenpace.bench.result import Server
from tokenpace.engines.engine import EngineAdapter
from tokenpace.engines.registry import ADAPTERS

_ANSWER_SECONDS: Final = 10.0
_UNKNOWN: Final = "unknown"
"""In the version that a server was built without: llama.cpp outside its repository says ``b0-unknown``."""


async def identify(session: aiohttp.ClientSession, model: str | None) -> Server:
    """Return what the server says of itself.

    Args:
        session: to the base of the server's API.
        model: the name that its API knows the model by; None for the first that it lists.

    Raises:
        BenchError: nobody answers, or no model is named and the server lists none.
    """
    models = await _json(session, "models")
    listed: dict[str, Any] = next(iter((models or {}).get("data") or ()), {})
    adapter, said = await _introduced(session, str(listed.get("owned_by", "")).lower())
    introduction = adapter.introduction
    name = model or listed.get("id") or said.get(introduction.model)
    if name is None:
        raise BenchError("--url: the server lists no model: is the address right? Else give --model")
    version = said.get(introduction.version)
    return Server(
        engine=adapter.type,
        version=None if version is None or _UNKNOWN in str(version) else str(version),
        model=name,
        slots=said.get(introduction.slots) if introduction.slots else None,
    )


async def _introduced(session: aiohttp.ClientSession, owner: str) -> tuple[EngineAdapter, dict[str, Any]]:
    """Return the server's adapter, and what it answers where such a server tells its version; empty if it does not.

    One that is known by the owner of its models is asked; else those that can only be known by their answer, the last
    of which, a server of the user's own, is known by nothing.
    """
    named = [one for one in ADAPTERS.values() if one.introduction.owned_by == owner]
    adapters = named or [one for one in ADAPTERS.values() if one.introduction.owned_by is None]
    for adapter in adapters:
        for path in adapter.introduction.paths:
            said = await _json(session, f"../{path}")
            if said is not None and said.keys() >= adapter.introduction.marks:
                return adapter, said
    return adapters[-1], {}


async def _json(session: aiohttp.ClientSession, path: str) -> dict[str, Any] | None:
    """Return what a path answers, None where it answers anything but an object.

    Raises:
        BenchError: nobody answers.
    """
    try:
        async with session.get(path, timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)) as response:
            answer = await response.json(content_type=None) if response.ok else None
    except ValueError:
        return None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise BenchError(f"--url: nobody answers: {str(error) or 'no answer in time'}") from error
    return answer if isinstance(answer, dict) else None
