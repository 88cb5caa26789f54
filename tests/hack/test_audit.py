"""`make audit`: a known weakness fails, none passes, and no answer is told and fails nothing."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def audit(database: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "hack" / "audit.sh", "--service-url", database]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def database() -> Iterator[Callable[[set[str]], str]]:
    """A stand-in for OSV that knows a weakness of the given packages; returns its address."""
    servers: list[HTTPServer] = []

    def start(weak: set[str]) -> str:
        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
                known = [{"id": "MADE-UP-1", "modified": "2026-01-01T00:00:00Z"}]
                self.answer(
                    {"results": [{"vulns": known} if one["package"]["name"] in weak else {} for one in queries]}
                )

            def do_GET(self) -> None:
                self.answer({"id": "MADE-UP-1", "modified": "2026-01-01T00:00:00Z", "summary": "one", "affected": []})

            def answer(self, body: object) -> None:
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_known_weakness_of_a_dependency_fails_and_is_named(database: Callable[[set[str]], str]) -> None:
    done = audit(database({"aiohttp"}))
    assert done.returncode == 1
    assert "MADE-UP-1" in done.stderr


def test_dependencies_without_a_known_weakness_pass(database: Callable[[set[str]], str]) -> None:
    done = audit(database(set()))
    assert (done.returncode, "no known weakness" in done.stderr) == (0, True)


def test_a_database_that_gives_no_answer_is_told_and_fails_nothing() -> None:
    done = audit("http://127.0.0.1:1")
    assert (done.returncode, "NOT DONE" in done.stderr) == (0, True)
