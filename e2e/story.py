"""One LLMDeployment under load that comes and goes, watched by its clients, its operator and the API server at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from e2e.clients_view import ClientsView
from e2e.kubectl import TOOLS, Manifest
from e2e.llmdeployment import LLMDeployment
from e2e.load_pod import REPORT_SECONDS, Load, start_load
from e2e.recording import Recording, recording
from e2e.replica_history import ReplicaHistory, replica_history
from e2e.running_operator import RunningOperator

_LONGEST_SECONDS = 1800
"""Every load is stopped long before."""
REGAINED_SECONDS = 10
"""Streams of a fleet of three that end in this time are about thirty: enough for a tenth of them."""
REPORT = timedelta(seconds=REPORT_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the tests about one deployment share."""

    resource: LLMDeployment
    declared: Manifest
    recording: Recording
    history: ReplicaHistory
    keep_alive: int | None = None
    """Connections that each load keeps; None for a fresh one for each stream."""
    loads: dict[str, Load] = field(default_factory=dict)
    """Every load that there has been, by name."""
    offered: dict[str, float] = field(default_factory=dict)
    """Tokens/s of the loads that are on now, by name."""

    def add_load(self, name: str, tokens_per_second: float) -> datetime:
        """Put a steady load on top of what there is; return when it began."""
        profile = f"{tokens_per_second:.2f}:{_LONGEST_SECONDS}"
        resource = self.resource
        self.loads[name] = start_load(
            resource.kubectl,
            f"{resource.name}-{name}",
            profile=profile,
            target=resource.name,
            keep_alive=self.keep_alive,
        )
        self.offered[name] = tokens_per_second
        return self.loads[name].begun_at

    def end_load(self, name: str) -> datetime:
        """Take a load away; return when nothing of it came any more."""
        del self.offered[name]
        return self.loads[name].stop()

    def regained_at(self, since: datetime) -> datetime:
        """Return from when on streams that ended in any `REGAINED_SECONDS` were in time, after ``since``.

        What is served is not compared with what is offered here: in so short a time they differ by chance.
        """
        stretch = timedelta(seconds=REGAINED_SECONDS)
        ends = [since + stretch]
        while ends[-1] + REPORT < datetime.now(UTC):
            ends.append(ends[-1] + REPORT)
        slo = self.declared["spec"]["slo"]
        missed = [end for end in ends if not self.clients_view(end - stretch, end).is_in_time(slo)]
        return missed[-1] if missed else since

    def broken_streams(self) -> list[str]:
        """Return what clients said of every stream so far that did not end with all its tokens."""
        ended = [line for load in self.loads.values() for line in load.streams()]
        return [str(line) for line in ended if line["end"] != "complete"]

    def clients_view(self, begin: datetime, end: datetime) -> ClientsView:
        """Return what the clients of all loads saw between two moments."""
        return ClientsView.of(list(self.loads.values()), self.declared["spec"]["slo"], begin, end)

    def view_at_rest(self, since: datetime, seconds: float) -> ClientsView | None:
        """Return what clients saw of a fleet that has not changed for so long; None while it has not been so long."""
        now = datetime.now(UTC)
        begin = now - timedelta(seconds=seconds)
        if begin < max(since, self.history.changes[-1].at):
            return None
        return self.clients_view(begin, now)


@contextmanager
def told(
    resource: LLMDeployment, declared: Manifest, operator: RunningOperator, *, keep_alive: int | None = None
) -> Iterator[Story]:
    """Apply a manifest and watch what becomes of it; in the end, stop every load."""
    resource.kubectl.apply(declared)
    record = TOOLS / "e2e" / f"{resource.kubectl.namespace}-{resource.name}.jsonl"
    with recording(operator, resource, record) as recorded, replica_history(resource) as history:
        story = Story(resource=resource, declared=declared, recording=recorded, history=history, keep_alive=keep_alive)
        try:
            yield story
        finally:
            for name in story.offered:
                story.loads[name].stop()
