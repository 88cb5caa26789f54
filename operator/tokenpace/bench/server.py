"""Which server answers: what each says of itself, through its own API."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from tokenpace.api.variant import EngineType
from tokenpace.bench.errors import BenchError
from tokenpace.bench.result import Server

_OWNERS: Final[Mapping[str, EngineType]] = {
    "llamacpp": EngineType.LLAMA_CPP,
    "vllm": EngineType.VLLM,
    "sglang": EngineType.SGLANG,
    "tensorrt_llm": EngineType.TENSORRT_LLM,
    "ovms": EngineType.OPENVINO,
}
"""`owned_by` of the models in /v1/models."""

_ANSWER_SECONDS: Final = 10.0


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
    info = await _json(session, "../info")
    if info is not None and "model_id" in info and "version" in info:
        name = model or listed.get("id") or info["model_id"]
        # Not max_concurrent_requests: that many may wait before it answers 429.
        most = info.get("max_batch_size")
        return Server(engine=EngineType.TGI, version=info["version"], model=name, slots=most)
    name = model or listed.get("id")
    if name is None:
        raise BenchError("--url: the server lists no model: is the address right? Else give --model")
    engine = _OWNERS.get(str(listed.get("owned_by", "")).lower(), EngineType.CUSTOM)
    if engine is EngineType.LLAMA_CPP:
        properties = await _json(session, "../props") or {}
        return Server(
            engine=engine, version=properties.get("build_info"), model=name, slots=properties.get("total_slots")
        )
    path = "../get_server_info" if engine is EngineType.SGLANG else "../version"
    version = (await _json(session, path) or {}).get("version")
    return Server(engine=engine, version=None if version is None else str(version), model=name, slots=None)


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
