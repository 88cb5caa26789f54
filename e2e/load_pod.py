"""Load from a pod inside the cluster: started, followed line by line, stopped."""

import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from e2e.images import built_image
from e2e.kubectl import RESTRICTED_CONTAINER, RESTRICTED_POD, TOOLS, Kubectl, KubectlError, Manifest
from e2e.waiting import until
from tokenpace.planning.balance import Shape

Line = dict[str, Any]

SHAPE = Shape(4, 8)
"""Of the requests that the manifest declares. Short, because demand is counted in requests: a pod of an eighth of a CPU
serves about one of these in a second, and how surely a rate is known goes with the square root of their number."""
REPORT_SECONDS = 2.0
_DRAIN_SECONDS = 60
"""SIGTERM ends the arrivals; the streams in flight may end in peace for so long."""
_QUEUE_SECONDS = 180
"""Or for so long, where nobody is in a hurry: TGI's queue of 124 requests takes an eighth of a CPU two minutes."""
_END_ARRIVALS = ("python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")


class Load:
    """One generator: what it has said so far, one record a line."""

    def __init__(self, kubectl: Kubectl, name: str, record_to: Path) -> None:
        self.name = name
        self.lines: list[Line] = []
        self._kubectl = kubectl
        self._record_to = record_to
        self._following = ExitStack()
        """The log that is read, until there is nothing left to hear."""

    def begin(self) -> None:
        """Wait until the generator has said its first word, so that load is on when the caller goes on."""
        until(self._phase, lambda phase: phase not in {"", "Pending"}, what=f"{self.name} runs", seconds=60)
        with ExitStack() as following:
            record = following.enter_context(self._record_to.open("w", encoding="utf-8"))

            def hear(text: str) -> None:
                record.write(text)
                self.lines.append(json.loads(text))

            following.enter_context(self._kubectl.follow("logs", "--follow", f"pod/{self.name}", on_line=hear))
            until(self.intervals, bool, what=f"{self.name} reports", seconds=30, every_seconds=0.2)
            self._following = following.pop_all()

    @property
    def begun_at(self) -> datetime:
        """When its arrivals began."""
        first = self.intervals()[0]
        return moment(first) - timedelta(seconds=first["seconds"])

    def stop(self) -> datetime:
        """End the arrivals and let the streams in flight end; return when the arrivals ended.

        The pod goes only after its last word was read: while a container is removed, the kubelet writes an error of its
        own into the log that it hands on, and may leave out the end.
        """
        ended_at = datetime.now(UTC)
        with suppress(KubectlError):  # The profile may be over already. If that is not why, no summary comes.
            self._kubectl("exec", self.name, "--", *_END_ARRIVALS)
        self.wait(_QUEUE_SECONDS)
        self._kubectl("delete", "pod", self.name, "--ignore-not-found", "--now")
        return ended_at

    def wait(self, seconds: float) -> Line:
        """Wait until the profile is over and return the summary."""
        with self._following:
            return until(lambda: self.summary, bool, what=f"{self.name} has ended", seconds=seconds) or {}

    @property
    def summary(self) -> Line | None:
        """The generator's last word, over the whole run; None while it goes on."""
        last = self.lines[-1:]
        return last[0] if last and last[0]["kind"] == "summary" else None

    def intervals(self) -> Sequence[Line]:
        """Return what clients saw, interval by interval."""
        return [line for line in self.lines if line["kind"] == "interval"]

    def streams(self) -> Sequence[Line]:
        """Return what became of every stream that has ended."""
        return [line for line in self.lines if line["kind"] == "stream"]

    def _phase(self) -> str:
        found = self._kubectl.get("pod", self.name) or {}
        return str(found.get("status", {}).get("phase", ""))


def moment(line: Line) -> datetime:
    """Return when a line was written."""
    return datetime.fromisoformat(line["at"])


def start_load(
    kubectl: Kubectl,
    name: str,
    *,
    profile: str,
    target: str = "chat",
    keep_alive: int | None = None,
    shape: Shape = SHAPE,
) -> Load:
    """Start a generator and return once it is at work.

    Args:
        kubectl: in the namespace of the model's Service.
        name: of the pod.
        profile: tokens/s and seconds, as in ``20:60,20-80:120``; what is offered does not wait for answers.
        target: name of the LLMDeployment, which is its Service's name and its model's.
        keep_alive: connections that are kept; None for a fresh one for each stream.
        shape: tokens of each request.
    """
    directory = TOOLS / "e2e" / "load"
    directory.mkdir(parents=True, exist_ok=True)
    kubectl.apply(_pod(name, profile, target, keep_alive, shape))
    started = Load(kubectl, name, directory / f"{kubectl.namespace}-{name}.jsonl")
    started.begin()
    return started


def _pod(name: str, profile: str, target: str, keep_alive: int | None, shape: Shape) -> Manifest:
    flags = {
        "url": f"http://{target}",
        "api": "completions",
        "model": target,
        "profile": profile,
        "max-tokens": shape.generated_tokens,
        "prompt-tokens": shape.prompt_tokens,
        "report-seconds": REPORT_SECONDS,
        **({} if keep_alive is None else {"keep-alive": keep_alive}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "load"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": _DRAIN_SECONDS,
            "securityContext": RESTRICTED_POD,
            "containers": [
                {
                    "name": "load",
                    "securityContext": RESTRICTED_CONTAINER,
                    "image": built_image("load"),
                    "args": ["--log-streams", *(f"--{flag}={value}" for flag, value in flags.items())],
                    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                }
            ],
        },
    }
