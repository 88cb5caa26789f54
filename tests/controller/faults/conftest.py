from typing import Any

import pytest
from tests.conftest import FakeApiServer
from tests.controller.faults.declared_cluster import Cluster
from tests.controller.faults.faulty_cluster import Service
from tests.controller.http_api_server import HttpApiServer


@pytest.fixture
async def service(fake: FakeApiServer) -> Service:
    """One replica of q8, the better and slower of two variants, that serves 10 tokens/s."""
    one = Service(fake)
    await one.minutes(4)
    assert one.serving() == {"q8": 1}
    return one


@pytest.fixture
def cluster(server: HttpApiServer, resource: dict[str, Any]) -> Cluster:
    return Cluster(server, resource)
