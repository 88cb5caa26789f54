"""What servers say of themselves, from answers written down here."""

from typing import Any

import pytest
from aiohttp import ClientSession

from tokenpace.bench import server
from tokenpace.bench.server import identify

TGI = {"model_id": "HuggingFaceTB/SmolLM2-135M", "version": "3.3.4", "max_concurrent_requests": 128}


@pytest.mark.parametrize(("said", "slots"), [({}, None), ({"max_batch_size": 4}, 4)])
async def test_the_slots_of_tgi_are_its_batch_and_not_the_requests_from_which_on_it_turns_away(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, int], slots: int | None
) -> None:
    async def answer(_session: ClientSession, path: str) -> dict[str, Any] | None:
        return TGI | said if path.endswith("info") else None

    monkeypatch.setattr(server, "_json", answer)
    async with ClientSession() as session:
        found = await identify(session, None)
    assert (found.engine, found.slots) == ("TGI", slots)
