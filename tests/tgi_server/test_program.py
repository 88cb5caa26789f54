"""The program as a container runs it, over a fake of llama-server."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest
from asking import events, generation

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).with_name("fake_llama_cpp.py")
Program = asyncio.subprocess.Process
Start = Callable[..., Awaitable[Program]]


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
async def start(tmp_path: Path, port: int) -> AsyncIterator[Start]:
    """Start the program with a model of this name."""
    programs: list[Program] = []

    async def started(model: str = "q8_0.gguf") -> Program:
        (tmp_path / model).touch()
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "e2e.tgi", "--model-id", str(tmp_path), "--engine-program", str(FAKE)),
            *("--hostname", "127.0.0.1", "--port", str(port), "--max-total-tokens", "100000"),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        programs.append(program)
        return program

    yield started
    for program in programs:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def until_ready(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/health") as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)


async def until_refused(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/info"):
                    await asyncio.sleep(0.005)
            except aiohttp.ClientConnectionError:
                return


def engine_process(directory: Path) -> int:
    """The process id of the fake, once it has noted it."""
    while not (notes := [note for note in directory.glob("*.pid") if note.stat().st_size]):
        time.sleep(0.02)
    return int(notes[0].read_text())


async def test_sigterm_lets_streams_finish_and_takes_nothing_more(start: Start, port: int) -> None:
    program, url = await start(), f"http://127.0.0.1:{port}"
    await until_ready(url)
    async with aclosing(events(url, "/generate_stream", generation(3000))) as stream:
        received = [await anext(stream)]
        program.send_signal(signal.SIGTERM)
        await until_refused(url)
        received += [event async for event in stream]
    assert len(received) == 3000
    assert received[-1]["generated_text"] is not None
    assert await program.wait() == 0


async def test_after_sigterm_a_kept_connection_is_answered_once_and_asked_to_close(start: Start, port: int) -> None:
    program, url = await start(), f"http://127.0.0.1:{port}"
    await until_ready(url)
    async with aiohttp.ClientSession(url) as session:
        async with session.get("/health") as before:
            assert before.headers.get("Connection") != "close"
        program.send_signal(signal.SIGTERM)
        await until_refused(url)
        async with session.get("/health") as after:
            assert (after.status, after.headers["Connection"]) == (200, "close")
    assert await program.wait() == 0


async def test_sigterm_ends_it_while_the_model_loads(start: Start, tmp_path: Path) -> None:
    program = await start("endless.gguf")
    engine = engine_process(tmp_path)
    program.send_signal(signal.SIGTERM)
    assert await program.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(engine, 0)


async def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason(start: Start) -> None:
    program = await start("broken.gguf")
    _, said = await program.communicate()
    assert program.returncode == 1
    assert said.decode().splitlines()[-2:] == [
        "error loading model: broken",
        "llama-server ended before its model was loaded",
    ]


async def test_an_engine_that_ends_ends_it(start: Start, port: int, tmp_path: Path) -> None:
    program = await start()
    await until_ready(f"http://127.0.0.1:{port}")
    os.kill(engine_process(tmp_path), signal.SIGKILL)
    _, said = await program.communicate()
    assert (program.returncode, said.decode()) == (1, "llama-server ended\n")
