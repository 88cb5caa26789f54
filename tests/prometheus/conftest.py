import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
import requests

NOW: Final = 1_767_225_600.0
"""The moment at which every query is evaluated: samples are written around it, so that no test waits for any."""

SCRAPE_SECONDS: Final = 5

StartPrometheus = Callable[[Path, str], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True)
class LlamaPod:
    """A pod under llama.cpp that has worked steadily since it started, as Prometheus scraped it.

    By default 4 streams at 10 tok/s each, 100 prompt tokens/s at 2 ms each, and 3 requests waiting.
    """

    name: str
    started: float = NOW - 3600
    scrapes: Iterable[float] = tuple(range(-120, 0, SCRAPE_SECONDS))
    """In seconds before `NOW`."""
    streams: float = 4
    labels: dict[str, str] = field(default_factory=dict)
    broken: dict[float, str] = field(default_factory=dict)
    """Scrapes whose every value is this text."""

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield metric name and OpenMetrics line of each sample."""
        labels = {
            "namespace": "team",
            "pod": self.name,
            "job": "pods",
            "instance": f"{self.name}:8080",
            **self.labels,
        }
        rendered = ",".join(f"{label}={json.dumps(value)}" for label, value in labels.items())
        for before in self.scrapes:
            at = NOW + before
            for metric, value in self._values(at - self.started).items():
                text = self.broken.get(before, repr(value))
                yield metric, f"llamacpp:{metric}{{{rendered}}} {text} {at:.3f}"

    def _values(self, age_seconds: float) -> dict[str, float]:
        working_seconds = age_seconds if self.streams else 0.0
        return {
            "n_decode_total": 10 * working_seconds,
            "n_busy_slots_per_decode": self.streams,
            "prompt_tokens_total": 100 * working_seconds,
            "prompt_seconds_total": 0.2 * working_seconds,
            "tokens_predicted_total": 39 * working_seconds,
            "tokens_predicted_seconds_total": 3.9 * working_seconds,
            "requests_processing": self.streams,
            "requests_deferred": 3.0 if self.streams else 0.0,
        }


PODS: Final = (
    LlamaPod("steady"),
    LlamaPod("idle", streams=0),
    LlamaPod("young", started=NOW - 31, scrapes=range(-30, 0, SCRAPE_SECONDS)),
    LlamaPod("newborn", started=NOW - 5, scrapes=(-4,)),
    LlamaPod("unseen-for-a-while", scrapes=(-60, -55, -10, -5)),
    LlamaPod("stale", scrapes=range(-120, -49, SCRAPE_SECONDS)),
    LlamaPod("gone", scrapes=range(-400, -299, SCRAPE_SECONDS)),
    # Restarted 32 s ago: the same pod, its counters from zero.
    LlamaPod("restarted", scrapes=range(-120, -32, SCRAPE_SECONDS)),
    LlamaPod("restarted", started=NOW - 32, scrapes=range(-30, 0, SCRAPE_SECONDS)),
    LlamaPod("scraped-twice", labels={"job": "pods"}),
    LlamaPod("scraped-twice", labels={"job": "again"}, scrapes=range(-118, 0, SCRAPE_SECONDS)),
    LlamaPod("broken-values", broken={-20: "NaN", -10: "+Inf", -5: "-Inf"}),
    LlamaPod("elsewhere", labels={"cluster": 'us "2"'}),
    LlamaPod("relabelled", labels={"kubernetes_namespace": "other", "kubernetes_pod": "renamed"}),
    LlamaPod("nameless", labels={"pod": ""}),
)


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that has scraped `PODS`."""
    directory = tmp_path_factory.mktemp("prometheus")
    _write_blocks(directory)
    with _prometheus(directory, "global: {}\n") as url:
        yield url


@pytest.fixture(scope="session")
def start_prometheus() -> StartPrometheus:
    """Return how to run a real Prometheus: its directory, its configuration."""
    return _prometheus


@contextmanager
def _prometheus(directory: Path, configuration: str) -> Iterator[str]:
    (directory / "prometheus.yml").write_text(configuration)
    port = _free_port()
    command = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _await_ready(f"http://127.0.0.1:{port}/-/ready", process, directory / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _write_blocks(directory: Path) -> None:
    """Write the samples as promtool backfills them; it wants each metric's lines together."""
    lines = sorted((line for pod in PODS for line in pod.lines()), key=lambda line: line[0])
    exposition = directory / "scrapes.txt"
    exposition.write_text("".join(f"{line}\n" for _, line in lines) + "# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(exposition), str(directory / "data")]
    subprocess.run(command, check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail(f"Prometheus did not become ready:\n{log.read_text()}")
