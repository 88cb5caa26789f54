from collections.abc import AsyncIterator

import pytest
from tests.bench.fake_server import Serve, servers


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with servers() as start:
        yield start
