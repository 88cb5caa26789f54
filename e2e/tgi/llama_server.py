"""llama.cpp's server as a process of the same container."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """A process that was started; it may still be loading its model."""

    process: asyncio.subprocess.Process
    url: str


@asynccontextmanager
async def llama_server(program: str, weights: Path, *, slots: int, context_tokens: int) -> AsyncIterator[LlamaServer]:
    """Run llama-server on loopback until the block ends.

    Args:
        program: a Python program that takes llama-server's flags.
        weights: the GGUF file.
        slots: streams generated at a time.
        context_tokens: of one slot; 0 divides the model's own among them.

    """
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port = any_port.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, program, "--model", weights, "--host", "127.0.0.1", "--port", str(port)),
        *("--parallel", str(slots), "--ctx-size", str(slots * context_tokens)),
        # As many as TGI's shards take on a CPU. Without a prompt cache in main memory, which TGI has not either.
        *("--threads", os.environ.get("OMP_NUM_THREADS", "-1"), "--cache-ram", "0", "--metrics"),
    )
    try:
        yield LlamaServer(process, f"http://127.0.0.1:{port}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
