"""A real headless Chromium, steered by its own DevTools protocol."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

_QUIET = (
    "--headless",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Tab:
    """One page: what it asked for, what it complained of, and what can be read from it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        """Console messages, exceptions, and what the page's own policy refused."""
        self._events: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser, and take note of what happens until it answers."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive(timeout=60)).data)
            if message.get("id") == self._calls:
                assert "error" not in message, message
                answer: dict[str, Any] = message["result"]
                return answer
            self._note(message)

    async def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show a page at a size and in a colour scheme, once it is loaded."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self._loaded_by("Page.navigate", url=url)

    async def click(self, selector: str) -> None:
        """Click on what leads to another page, and wait for that."""
        await self._loaded_by("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)}).click()")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def picture(self, *, whole: bool = False) -> bytes:
        """Return what is seen, or the whole page, as PNG."""
        answer = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    async def _loaded_by(self, method: str, **parameters: Any) -> None:
        self._events.clear()
        await self.call(method, **parameters)
        while "Page.loadEventFired" not in self._events:
            self._note(json.loads((await self._socket.receive(timeout=60)).data))

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method", ""), message.get("params", {})
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(parameters))


class Chromium:
    """A running browser."""

    def __init__(self, address: str) -> None:
        self._address = address

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """Open a tab, and close it afterwards."""
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{self._address}/json/new?about:blank") as answer:
                target = await answer.json()
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=64 * 2**20) as socket:
                yield Tab(socket)
            async with session.get(f"{self._address}/json/close/{target['id']}") as answer:
                await answer.read()


@contextmanager
def chromium(directory: Path) -> Iterator[Chromium]:
    """Run a browser that has never run before; its profile is written into ``directory``."""
    program = shutil.which("chromium")
    assert program, "chromium is missing: hack/install.sh chromium"
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([program, *_QUIET, f"--user-data-dir={directory}"], stdout=log, stderr=log)
    try:
        yield Chromium(f"http://127.0.0.1:{_port(directory, process)}")
    finally:
        process.terminate()
        process.wait(30)


def _port(directory: Path, process: subprocess.Popen[bytes]) -> int:
    """Return the port that the browser listens on, once it has written it down."""
    told = directory / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, (directory / "log").read_text()
        if told.exists() and (lines := told.read_text().split()):
            return int(lines[0])
        time.sleep(0.05)
    raise TimeoutError((directory / "log").read_text())
