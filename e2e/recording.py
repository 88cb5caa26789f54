"""What one LLMDeployment did over time: sampled from the operator's own metrics, kept as JSON lines."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from e2e.kubectl import KubectlError
from e2e.llmdeployment import LLMDeployment
from e2e.running_operator import RunningOperator
from e2e.waiting import until

_EVERY_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look. Speeds in tokens/s; what is not known is None, never 0."""

    elapsed_seconds: float
    demand: float | None
    served: float | None
    capacity: float | None
    stream: float | None
    wanted: Mapping[str, int]
    """Replicas that the plan leads to, by variant."""
    ready: Mapping[str, int]
    """Replicas that serve, by variant."""
    slo_met: bool | None

    @property
    def wanted_replicas(self) -> int:
        """Replicas that the plan leads to, of all variants."""
        return sum(self.wanted.values())

    @property
    def ready_replicas(self) -> int:
        """Replicas that serve, of all variants."""
        return sum(self.ready.values())

    @classmethod
    def of(
        cls, metrics: Mapping[tuple[str, frozenset[tuple[str, str]]], float], elapsed_seconds: float, **labels: str
    ) -> Self | None:
        """Pick one LLMDeployment, named by ``namespace`` and ``name``, out of the operator's metrics.

        None where they do not know it: an operator that has just started has looked at nothing yet.
        """
        mine = {
            (name, dict(has).get("variant")): value
            for (name, has), value in metrics.items()
            if labels.items() <= dict(has).items()
        }

        def of_fleet(name: str) -> float | None:
            return mine.get((f"tokenpace_{name}", None))

        def by_variant(name: str) -> dict[str, int]:
            return {
                variant: int(value)
                for (which, variant), value in mine.items()
                if which == f"tokenpace_{name}" and variant
            }

        if not (wanted := by_variant("desired_replicas")):
            return None
        slo_met = of_fleet("slo_met")
        return cls(
            elapsed_seconds=round(elapsed_seconds, 1),
            demand=of_fleet("demand_tokens_per_second"),
            served=of_fleet("served_tokens_per_second"),
            capacity=of_fleet("capacity_tokens_per_second"),
            stream=of_fleet("stream_tokens_per_second"),
            wanted=wanted,
            ready=by_variant("ready_replicas"),
            slo_met=None if slo_met is None else bool(slo_met),
        )


class Recording:
    """Samples of one LLMDeployment, taken by a thread of its own until it is stopped."""

    def __init__(self, operator: RunningOperator, resource: LLMDeployment, record_to: Path) -> None:
        self.samples: list[Sample] = []
        self._operator = operator
        self._labels = {"namespace": resource.kubectl.namespace, "name": resource.name}
        self._record_to = record_to
        self._begin = time.monotonic()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sample until stopped. A look that fails leaves a gap: the operator may be gone for a moment."""
        self._record_to.parent.mkdir(parents=True, exist_ok=True)
        with self._record_to.open("w", encoding="utf-8") as file:
            while not self._stopped.wait(_EVERY_SECONDS):
                try:
                    metrics = self._operator.metrics()
                except KubectlError:
                    continue
                sample = Sample.of(metrics, time.monotonic() - self._begin, **self._labels)
                if sample is None:
                    continue
                self.samples.append(sample)
                file.write(json.dumps(asdict(sample)) + "\n")
                file.flush()

    def next_sample(self) -> Sample:
        """Wait for a sample that is not there yet, and return it."""
        before = len(self.samples)
        until(lambda: len(self.samples), lambda number: number > before, what="a sample", seconds=60, every_seconds=0.2)
        return self.samples[-1]

    def capacity_of_a_replica(self) -> float:
        """Return the tokens/s that the operator now holds one replica to be worth."""
        sample = until(
            self.next_sample, lambda one: one.capacity and one.ready_replicas, what="a known capacity", seconds=60
        )
        return (sample.capacity or 0.0) / sample.ready_replicas

    def stop(self) -> None:
        """Take no more samples."""
        self._stopped.set()


@contextmanager
def recording(operator: RunningOperator, resource: LLMDeployment, record_to: Path) -> Iterator[Recording]:
    """Record for as long as the context lasts."""
    running = Recording(operator, resource, record_to)
    thread = threading.Thread(target=running.run, name="recording")
    thread.start()
    try:
        yield running
    finally:
        running.stop()
        thread.join()


def read(recorded: Path) -> Sequence[Sample]:
    """Read a recording back."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in recorded.read_text(encoding="utf-8").splitlines()]
    return [Sample(**line) for line in lines]
