"""What servers say of themselves, from answers written down here."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientSession

from tokenpace.bench import server
from tokenpace.bench.result import Server
from tokenpace.bench.server import identify
from tokenpace.engines.registry import ADAPTERS

TGI = {"model_id": "HuggingFaceTB/SmolLM2-135M", "version": "3.3.4", "max_concurrent_requests": 128}
LLAMA_CPP = {"build_info": "b11549-0e9e39f", "total_slots": 4}
SAID = [
    ("llamacpp", {"../props": LLAMA_CPP}, Server(engine="LlamaCpp", version="b11549-0e9e39f", model="chat", slots=4)),
    ("HuggingFaceTB/SmolLM2-135M", {"../info": TGI}, Server(engine="TGI", version="3.3.4", model="chat", slots=None)),
    ("vllm", {"../version": {"version": "0.33.0"}}, Server(engine="VLLM", version="0.33.0", model="chat", slots=None)),
    (
        "sglang",
        {"../server_info": {"version": "0.5.23"}},
        Server(engine="SGLang", version="0.5.23", model="chat", slots=None),
    ),
    (
        "sglang",
        {"../get_server_info": {"version": "0.4.10"}},
        Server(engine="SGLang", version="0.4.10", model="chat", slots=None),
    ),
    (
        "tensorrt_llm",
        {"../version": {"version": "1.3.0rc14"}},
        Server(engine="TensorRTLLM", version="1.3.0rc14", model="chat", slots=None),
    ),
    (
        "OVMS",
        {"../v2": {"name": "OpenVINO Model Server", "version": "2026.4"}},
        Server(engine="OpenVINO", version="2026.4", model="chat", slots=None),
    ),
    ("somebody", {"../version": {"version": 7}}, Server(engine="Custom", version="7", model="chat", slots=None)),
    ("somebody", {}, Server(engine="Custom", version=None, model="chat", slots=None)),
]


async def identified(
    monkeypatch: pytest.MonkeyPatch, owner: str, answers: Mapping[str, Mapping[str, Any]], model: str | None = None
) -> Server:
    models = {"data": [{"id": "chat", "owned_by": owner}]}

    async def answer(_session: ClientSession, path: str) -> Any:
        return {"models": models, **answers}.get(path)

    monkeypatch.setattr(server, "_json", answer)
    async with ClientSession() as session:
        return await identify(session, model)


@pytest.mark.parametrize(("owner", "answers", "expected"), SAID)
async def test_a_server_says_which_it_is(
    monkeypatch: pytest.MonkeyPatch, owner: str, answers: Mapping[str, Mapping[str, Any]], expected: Server
) -> None:
    assert await identified(monkeypatch, owner, answers) == expected


def test_every_engine_is_among_them() -> None:
    assert {expected.engine for *_, expected in SAID} == ADAPTERS.keys()


async def test_the_newest_name_of_a_path_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"../get_server_info": {"version": "old"}, "../server_info": {"version": "new"}}
    assert (await identified(monkeypatch, "sglang", both)).version == "new"


async def test_a_version_that_a_server_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    built_elsewhere = {"../props": {**LLAMA_CPP, "build_info": "b0-unknown"}}
    assert (await identified(monkeypatch, "llamacpp", built_elsewhere)).version is None


async def test_the_slots_of_tgi_are_its_batch_and_not_the_requests_from_which_on_it_turns_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await identified(monkeypatch, "somebody", {"../info": TGI | {"max_batch_size": 4}})).slots == 4
