"""Every change of a fleet's replicas, as the API server told it: a watch misses none between two looks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from e2e.llmdeployment import LLMDeployment

_COLUMNS = "custom-columns=NAME:.metadata.name,WANTED:.spec.replicas,READY:.status.readyReplicas"


@dataclass(frozen=True, slots=True)
class Replicas:
    """What the workloads of a fleet asked for and had from one moment on."""

    at: datetime
    by_workload: Mapping[str, tuple[int, int]]
    """Replicas asked for and ready, by the workload's name."""

    @property
    def wanted(self) -> int:
        """Replicas that all workloads together asked for."""
        return sum(wanted for wanted, _ in self.by_workload.values())

    @property
    def ready(self) -> int:
        """Replicas of all workloads together that were ready."""
        return sum(ready for _, ready in self.by_workload.values())


class ReplicaHistory:
    """The changes so far, of all workloads of an LLMDeployment."""

    def __init__(self) -> None:
        self.changes: list[Replicas] = []

    def wanted_since(self, moment: datetime) -> Sequence[int]:
        """Return the replicas asked for at a moment and at every change after it, without repetitions."""
        before = [change.wanted for change in self.changes if change.at <= moment][-1:]
        after = [change.wanted for change in self.changes if change.at > moment]
        sequence = [*before, *after]
        return [*sequence[:1], *(then for now, then in pairwise(sequence) if now != then)]

    def ready_since(self, workload: str, moment: datetime) -> Sequence[int]:
        """Return the ready replicas of one workload at every change after a moment."""
        return [change.by_workload.get(workload, (0, 0))[1] for change in self.changes if change.at > moment]

    def first_up(self, since: datetime) -> tuple[datetime, datetime]:
        """Return when, after a moment, more replicas were first asked for, and when more were first ready."""
        before = [change for change in self.changes if change.at <= since][-1]
        after = [change for change in self.changes if change.at > since]
        decided_at = next(change.at for change in after if change.wanted > before.wanted)
        return decided_at, next(change.at for change in after if change.ready > before.ready)

    def first_at_most(self, replicas: int, since: datetime) -> datetime:
        """Return when, after a moment, so few replicas were first asked for."""
        return next(change.at for change in self.changes if change.at > since and change.wanted <= replicas)


def changes_of_direction(sequence: Sequence[int]) -> int:
    """Return how often a sequence turned from up to down or from down to up."""
    steps = [then > now for now, then in pairwise(sequence) if then != now]
    return sum(before != after for before, after in pairwise(steps))


@contextmanager
def replica_history(resource: LLMDeployment) -> Iterator[ReplicaHistory]:
    """Watch for as long as the context lasts."""
    history = ReplicaHistory()
    watch = ("get", "deployments", f"--selector={resource.selector}", "--watch", "--no-headers", f"--output={_COLUMNS}")

    def note(line: str) -> None:
        name, *numbers = line.split()
        wanted, ready = (int(number) if number.isdigit() else 0 for number in numbers)
        before = history.changes[-1].by_workload if history.changes else {}
        history.changes.append(Replicas(datetime.now(UTC), {**before, name: (wanted, ready)}))

    with resource.kubectl.follow(*watch, on_line=note):
        yield history
