"""Expositions served over HTTP whose counters grow at known rates, and a real Prometheus that scrapes them."""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

EXPOSITIONS: Final = Path(__file__).parents[1] / "expositions"
SAMPLE: Final = re.compile(r'([\w:]+)(\{(?:[^"}]|"[^"]*")*\})? (\S+)')

StartPrometheus = Callable[[Path, str], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One pod: an exposition whose counters grow at given rates; these and gauges by metric, or metric with labels."""

    name: str
    text: str
    rates: Mapping[str, float] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    silent_seconds: float = 0.0
    """How long after the start it exports nothing."""
    restart_seconds: float = math.inf
    """When all counters begin again from zero."""
    jobs: int = 1
    """How many times over Prometheus scrapes it."""

    def exposition(self, since_start: float, at_milliseconds: int) -> str:
        """Return the text with the time of its values, so that a slow scrape makes no other rate."""
        if since_start < self.silent_seconds:
            return ""
        lines = (self._line(*sample, since_start) for sample in _samples(self.text))
        return "".join(f"{line} {at_milliseconds}\n" for line in lines)

    def _line(self, metric: str, labels: str, recorded: float, since_start: float) -> str:
        rate = self.rates.get(metric + labels, self.rates.get(metric, 0.0))
        restarted = since_start >= self.restart_seconds
        grown = rate * (since_start - self.restart_seconds) if restarted else recorded + rate * since_start
        return f"{metric}{labels} {self.gauges.get(metric + labels, self.gauges.get(metric, grown))!r}"


@cache
def _samples(text: str) -> tuple[tuple[str, str, float], ...]:
    """Return metric, labels and value of every sample."""
    found = filter(None, map(SAMPLE.fullmatch, text.splitlines()))
    return tuple((one[1], one[2] or "", float(one[3])) for one in found)


@contextmanager
def scraped(
    servers: Sequence[Server], start_prometheus: StartPrometheus, directory: Path, interval: str
) -> Iterator[str]:
    """Run the servers and a Prometheus that scrapes all of them, and give its address."""

    class Handler(BaseHTTPRequestHandler):
        started = time.time()

        def do_GET(self) -> None:
            now = time.time()
            (server,) = (one for one in servers if self.path == f"/{one.name}")
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(server.exposition(now - self.started, int(now * 1000)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        jobs = "".join(_job(one.name, number, http.server_port) for one in servers for number in range(one.jobs))
        timing = f"{{scrape_interval: {interval}, scrape_timeout: {interval}}}"
        Handler.started = time.time()
        try:
            with start_prometheus(directory, f"global: {timing}\nscrape_configs:\n{jobs}") as url:
                yield url
        finally:
            http.shutdown()
            thread.join()


def _job(pod: str, number: int, port: int) -> str:
    target = f"{{targets: ['127.0.0.1:{port}'], labels: {{namespace: team, pod: {pod}}}}}"
    return f"- {{job_name: {pod}-{number}, metrics_path: /{pod}, static_configs: [{target}]}}\n"
