"""What waits for streams to end by a server's own gauges, as a shell runs it."""

import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tokenpace.engines.draining import drain_script

GAUGES = ("running", "waiting")


class FakeServer(ThreadingHTTPServer):
    """Answers each scrape with the next page; the last one stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.pages = [""]
        self.scrapes = 0


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_GET(self) -> None:
        page = self.server.pages[min(self.server.scrapes, len(self.server.pages) - 1)]
        self.server.scrapes += 1
        self.send_response(self.server.status if self.path == "/stats" else 404)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        thread = Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        fake.shutdown()
        thread.join()


def asked_once(server: FakeServer) -> bool:
    """Tell whether the script's own question says that the server is idle."""
    question = drain_script(server.server_port, "/stats", GAUGES).partition("until idle")[0] + "idle"
    return subprocess.run(["/bin/sh", "-c", question], check=False).returncode == 0


@pytest.mark.parametrize(
    ("page", "idle"),
    [
        ("running 0\nwaiting 0\n", True),
        ('running{name="a"} 0.0\nrunning{name="b"} 0.0\nwaiting 0\n', True),
        ('running{name="a"} 0.0\nrunning{name="b"} 1.0\nwaiting 0\n', False),
        ("running 0\nwaiting 2\n", False),
        ("running 10\nwaiting 0\n", False),
        ("running 0\nwaiting 0\nrunning_total 5\nnever_running 5\n", True),
    ],
)
def test_a_server_is_idle_when_every_series_of_every_gauge_is_zero(server: FakeServer, page: str, idle: bool) -> None:
    server.pages = [page]
    assert asked_once(server) is idle


@pytest.mark.parametrize("page", ["", "# HELP running How many.\n# TYPE running gauge\n", "ended 5\n"])
def test_a_server_without_the_gauges_does_not_say_that_it_is_idle(server: FakeServer, page: str) -> None:
    server.pages = [page]
    assert not asked_once(server)


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_what_is_no_answer_does_not_say_that_streams_have_ended(server: FakeServer, status: int) -> None:
    server.status = status
    assert not asked_once(server)


def test_it_waits_until_nothing_runs(server: FakeServer) -> None:
    server.pages = ["running 2\nwaiting 1\n", "running 1\nwaiting 0\n", "running 0\nwaiting 0\n"]
    script = drain_script(server.server_port, "/stats", GAUGES).replace("sleep 1", "sleep 0")
    assert subprocess.run(["/bin/sh", "-c", script], check=False).returncode == 0
    assert server.scrapes == 3
