from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.controller.http_api_server import HttpApiServer
from tests.controller.operator_in_memory import Operator


@pytest.fixture
def operator(fake: Any) -> Operator:
    return Operator(fake)


@pytest.fixture
async def server(fake: Any) -> AsyncIterator[HttpApiServer]:
    found = HttpApiServer(fake)
    await found.start()
    yield found
    await found.stop()
