import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    """An event loop for pytest-asyncio to find before an async test and to put back after it.

    Where there is none it makes one that nobody closes, and the warning about it fails whichever test is running then.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
