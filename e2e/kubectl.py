"""kubectl: the suite and the demo speak to the cluster as a person does."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
"""Where `make` keeps the tools that it built, the kubeconfig, and what these runs leave behind."""

KUBECONFIG = Path(os.environ.get("KUBECONFIG_FILE") or TOOLS / "kubeconfig")
"""That of the cluster that `make` brought up. Never the person's own `$KUBECONFIG`: what it leads to may be in use."""

ENVIRONMENT = {**os.environ, "KUBECONFIG": str(KUBECONFIG), "PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}"}
"""For kubectl and helm alike: this cluster, and the tools of the project before others of the machine."""

Manifest = dict[str, Any]

RESTRICTED_POD: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER: Manifest = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""What the restricted Pod Security Standard asks of a pod and of each of its containers."""


class KubectlError(Exception):
    """kubectl ended with an error; the message is its own."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl in one namespace, or in those that manifests name."""

    namespace: str = ""

    def within(self, namespace: str) -> Self:
        """Return kubectl in another namespace."""
        return replace(self, namespace=namespace)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return ["kubectl", *((f"--namespace={self.namespace}",) if self.namespace else ()), *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            KubectlError: it did not end with status 0.
        """
        done = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True, env=ENVIRONMENT, check=False
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: Manifest) -> None:
        """Create or change objects."""
        self("apply", "--filename", "-", stdin=yaml.safe_dump_all(manifests))

    def get(self, kind: str, name: str) -> Manifest | None:
        """Return one object, or None where there is none."""
        text = self("get", kind, name, "--output=json", "--ignore-not-found")
        found: Manifest | None = json.loads(text) if text else None
        return found

    def list(self, kinds: str, selector: str = "") -> Sequence[Manifest]:
        """Return every object of one kind, or of several separated by commas."""
        found: Sequence[Manifest] = json.loads(self("get", kinds, "--output=json", f"--selector={selector}"))["items"]
        return found

    @contextmanager
    def follow(self, *arguments: str, on_line: Callable[[str], None]) -> Iterator[None]:
        """Run a command that goes on (a watch, a log), and hand on its lines, for as long as the context lasts.

        They are handed on in a thread of their own, which has ended when the context has.
        """
        with subprocess.Popen(
            self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
        ) as running:

            def read() -> None:
                for line in running.stdout or ():
                    on_line(line)

            reader = threading.Thread(target=read, name=f"kubectl {' '.join(arguments)}", daemon=True)
            reader.start()
            try:
                yield
            finally:
                running.terminate()
                reader.join()  # It must have met the end before the pipe is closed under it.
