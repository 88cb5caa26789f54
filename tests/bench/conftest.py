"""The long runs that measure and try cards are beside the package: their folder is found from the repository's root."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.bench.fake_server import Serve, servers

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with servers() as start:
        yield start
