"""The preStop hook as a shell runs it, against a server that says how many requests it works on."""

import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tokenpace.engines.engine import Launch
from tokenpace.engines.llama_cpp import LlamaCpp
from tokenpace.engines.pod import PROPAGATION_SECONDS


class FakeLlamaServer(ThreadingHTTPServer):
    """Answers each scrape with the next count of requests; the last count stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.counts = [(0, 0)]
        self.scrapes = 0


class _Handler(BaseHTTPRequestHandler):
    server: FakeLlamaServer

    def do_GET(self) -> None:
        processing, deferred = self.server.counts[min(self.server.scrapes, len(self.server.counts) - 1)]
        self.server.scrapes += 1
        body = (
            "# TYPE llamacpp:requests_processing gauge\n"
            f"llamacpp:requests_processing {processing}\n"
            f"llamacpp:requests_deferred {deferred}\n"
        )
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FakeLlamaServer]:
    with FakeLlamaServer() as fake:
        thread = Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        fake.shutdown()
        thread.join()


@pytest.fixture
def script(start: Callable[..., Launch], server: FakeLlamaServer) -> str:
    """Return the rendered hook, aimed at the fake and without the waits."""
    (container,) = LlamaCpp().pod_template(start())["spec"]["containers"]
    shell, flag, text = container["lifecycle"]["preStop"]["exec"]["command"]
    assert (shell, flag) == ("/bin/sh", "-c")
    aimed = text.replace(f"/{LlamaCpp.port};", f"/{server.server_port};")
    return str(aimed.replace(f"sleep {PROPAGATION_SECONDS}", "").replace("sleep 1", "sleep 0"))


def test_an_idle_server_may_go(script: str) -> None:
    assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == 0


def test_the_hook_waits_until_nothing_is_processed_and_nothing_waits(script: str, server: FakeLlamaServer) -> None:
    server.counts = [(2, 3), (10, 0), (0, 1), (0, 0)]
    assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == 0
    assert server.scrapes == 4


def asked_once(script: str, path: str | None = None) -> int:
    """Return the status of the hook's own question instead of asking until it is answered."""
    question = script.partition("until idle")[0] + "idle"
    return subprocess.run(["/bin/sh", "-c", question], check=False, env={"PATH": path} if path else None).returncode


@pytest.mark.parametrize(("status", "may_go"), [(503, True), (401, False), (500, False)])
def test_a_server_that_still_loads_may_go_and_other_refusals_say_nothing(
    script: str, server: FakeLlamaServer, status: int, may_go: bool
) -> None:
    server.status, server.counts = status, [(503, 503)]
    assert (asked_once(script) == 0) is may_go


def test_a_server_that_cannot_be_asked_is_not_taken_for_idle(script: str, server: FakeLlamaServer) -> None:
    server.shutdown()
    server.server_close()
    assert asked_once(script) != 0


def test_an_image_without_the_tools_waits_out_the_grace_period(script: str) -> None:
    assert asked_once(script, path="/nonexistent") != 0
