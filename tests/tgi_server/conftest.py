"""The stand-in for TGI over a fake of llama.cpp: both are programs beside the package, found by their folders."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from huggingface_hub import close_session, constants

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from e2e.tgi.__main__ import listening  # noqa: E402 - found by the folders above, like those below
from e2e.tgi.engine import Engine  # noqa: E402
from e2e.tgi.flags import parse_flags  # noqa: E402
from fake_llama_cpp import FakeLlamaCpp  # noqa: E402

Serve = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def nothing_asked_of_huggingface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the server is tested, and not with a client that an earlier test made in another environment."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    close_session()


@pytest.fixture
async def llama_cpp() -> AsyncIterator[FakeLlamaCpp]:
    fake = FakeLlamaCpp()
    runner = web.AppRunner(fake.application(), handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def serve(llama_cpp: FakeLlamaCpp) -> AsyncIterator[Serve]:
    """Start the server over the fake, with flags; gives its URL."""
    async with AsyncExitStack() as stack:

        async def started(*arguments: str) -> str:
            flags = parse_flags(["--model-id", "/models", "--port", "0", "--hostname", "127.0.0.1", *arguments], {})
            engine = await stack.enter_async_context(Engine(llama_cpp.url))
            return f"http://127.0.0.1:{await stack.enter_async_context(listening(flags, engine))}"

        yield started
        llama_cpp.go.set()
