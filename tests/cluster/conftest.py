from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from tokenpace.cluster.client import ApiClient


@pytest.fixture
async def client(kmock: Any) -> AsyncIterator[ApiClient]:
    """A real client of a server that misbehaves on purpose."""

    async def log_in(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = "Bearer renewed"

    configuration = Configuration(host=str(kmock.url).rstrip("/"), api_key={"BearerToken": "Bearer first"})
    client = ApiClient(configuration, log_in, timeout_seconds=5)
    yield client
    await client.close()
