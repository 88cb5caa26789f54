"""The load generator is a program of its own, beside the package: its folder is put on the path."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.bench.fake_server import Serve, servers

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e" / "load"))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with servers() as start:
        yield start
