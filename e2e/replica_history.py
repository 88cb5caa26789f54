"""Every change of a fleet's replicas, as the API server told it: a watch misses none between two looks."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from e2e.llmdeployment import LLMDeployment

_COLUMNS = "custom-columns=WANTED:.spec.replicas,READY:.status.readyReplicas"


@dataclass(frozen=True, slots=True)
class Replicas:
    """What a workload asked for and had from one moment on."""

    at: datetime
    wanted: int
    ready: int


class ReplicaHistory:
    """The changes so far, of an LLMDeployment with one variant."""

    def __init__(self) -> None:
        self.changes: list[Replicas] = []

    def wanted_since(self, moment: datetime) -> Sequence[int]:
        """Return the replicas asked for at a moment and at every change after it, without repetitions."""
        before = [change.wanted for change in self.changes if change.at <= moment][-1:]
        after = [change.wanted for change in self.changes if change.at > moment]
        sequence = [*before, *after]
        return [*sequence[:1], *(then for now, then in pairwise(sequence) if now != then)]

    def first_up(self, since: datetime) -> tuple[datetime, datetime]:
        """Return when, after a moment, more replicas were first asked for, and when more were first ready."""
        before = [change for change in self.changes if change.at <= since][-1]
        after = [change for change in self.changes if change.at > since]
        decided_at = next(change.at for change in after if change.wanted > before.wanted)
        return decided_at, next(change.at for change in after if change.ready > before.ready)

    def first_down(self, since: datetime) -> datetime:
        """Return when, after a moment, fewer replicas were first asked for than before."""
        return next(then.at for now, then in pairwise(self.changes) if then.at > since and then.wanted < now.wanted)


def changes_of_direction(sequence: Sequence[int]) -> int:
    """Return how often a sequence turned from up to down or from down to up."""
    steps = [then > now for now, then in pairwise(sequence) if then != now]
    return sum(before != after for before, after in pairwise(steps))


@contextmanager
def replica_history(resource: LLMDeployment) -> Iterator[ReplicaHistory]:
    """Watch for as long as the context lasts."""
    history = ReplicaHistory()
    watch = ("get", "deployments", f"--selector={resource.selector}", "--watch", "--no-headers", f"--output={_COLUMNS}")
    with resource.kubectl.follow(*watch) as running:

        def read() -> None:
            for line in running.stdout or ():
                wanted, ready = (int(number) if number.isdigit() else 0 for number in line.split())
                history.changes.append(Replicas(datetime.now(UTC), wanted, ready))

        reader = threading.Thread(target=read, name="replica history", daemon=True)
        reader.start()
        yield history
