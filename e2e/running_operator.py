"""The operator as it runs in the cluster: its log, its metrics, and its sudden end."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from e2e.kubectl import Kubectl, Manifest
from e2e.waiting import until

_METRICS_PORT = 8081


@dataclass(frozen=True, slots=True)
class RunningOperator:
    """The one operator of a release."""

    kubectl: Kubectl
    """In the release's namespace."""

    def pod(self) -> Manifest:
        """Return its pod."""
        found = until(
            lambda: self.kubectl.list("pods", "app.kubernetes.io/component=operator"),
            lambda pods: len(pods) == 1 and pods[0]["status"].get("containerStatuses"),
            what="exactly one operator runs",
            seconds=60,
        )
        return found[0]

    def log(self) -> Sequence[dict[str, Any]]:
        """Return every line of its log, oldest first, of the process that runs now."""
        text = self.kubectl("logs", f"pod/{self.pod()['metadata']['name']}", "--tail=-1")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return its metrics now, through the API server: no Prometheus is needed for it."""
        address = f"pods/{self.pod()['metadata']['name']}:{_METRICS_PORT}/proxy/metrics"
        text = self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.kubectl.namespace}/{address}")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @contextmanager
    def armed(self) -> Iterator["Trigger"]:
        """Prepare to kill it, so that the kill itself takes a millisecond and hits between two of its writes."""
        pod = self.pod()
        (container,) = pod["status"]["containerStatuses"]
        _, _, container_id = container["containerID"].partition("://")
        # The node of kind is a container that sees its pods' processes, and a process names its container by cgroup.
        with subprocess.Popen(
            ["docker", "exec", "--interactive", pod["spec"]["nodeName"], "bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as shell:
            assert shell.stdin is not None
            assert shell.stdout is not None
            shell.stdin.write(
                f"basename -a $(dirname $(grep --files-with-matches {container_id} /proc/[0-9]*/cgroup))\n"
            )
            shell.stdin.write("echo found\n")
            shell.stdin.flush()
            processes = [line.strip() for line in iter(shell.stdout.readline, "found\n")]
            yield Trigger(shell, processes, restarts=container["restartCount"])
            shell.stdin.close()

    def restarts(self) -> int:
        """Return how often its container has been started again."""
        (container,) = self.pod()["status"]["containerStatuses"]
        return int(container["restartCount"])


@dataclass(frozen=True, slots=True)
class Trigger:
    """A shell on the operator's node with a finger on its process."""

    shell: subprocess.Popen[str]
    processes: Sequence[str]
    restarts: int
    """How often it had been started again before this."""

    def pull(self) -> None:
        """Send SIGKILL: no handler runs, no lease is given back, no write is finished."""
        assert self.shell.stdin is not None
        self.shell.stdin.write(f"kill -KILL {' '.join(self.processes)}\n")
        self.shell.stdin.flush()
