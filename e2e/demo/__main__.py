"""`make demo`: install, declare one model, put load on it, and watch replicas, then precision, follow demand."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rich.console import Console

from e2e.clients_view import ClientsView
from e2e.demo.display import showing
from e2e.installation import NAMESPACE, helm_command, install_operator, install_prometheus, require_cluster
from e2e.kubectl import KUBECONFIG, TOOLS, Kubectl
from e2e.llmdeployment import MANIFEST, START_SECONDS, LLMDeployment
from e2e.load_pod import start_load
from e2e.recording import Recording, Sample, recording
from e2e.running_operator import RunningOperator
from e2e.waiting import until

DEMO_NAMESPACE = "demo"
RECORD = TOOLS / "e2e" / "demo.jsonl"
QUIET, HIGH, PEAK = 0.6, 2.5, 4.2
"""Replicas' worth of load, of the best variant: one is enough, three are, and more than the three that are allowed."""
BEST, FAST = "q8", "q4"
LIMIT_SECONDS = 480
"""The show ends by then, whatever happens."""


def main() -> None:
    """Run the demo and leave the cluster as it is, for people to look around."""
    console = Console(highlight=False)
    kubectl = Kubectl()
    require_cluster(kubectl)
    operator = set_up(console, kubectl)
    resource = declare(console, kubectl.within(DEMO_NAMESPACE))
    with recording(operator, resource, RECORD) as recorded:
        view = watch(console, resource, recorded)
    summarize(console, recorded, view)


def set_up(console: Console, kubectl: Kubectl) -> RunningOperator:
    """Install Prometheus and the operator, saying how."""
    say(console, "kubectl", "apply", "--kustomize", "e2e/prometheus")
    install_prometheus(kubectl)
    say(console, *helm_command())
    return install_operator(kubectl)


def declare(console: Console, kubectl: Kubectl) -> LLMDeployment:
    """Apply the manifest in a namespace without yesterday's objects, and wait until the model serves."""
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DEMO_NAMESPACE}})
    # Not by deleting the namespace: that takes half of the longest grace period of its pods, two and a half minutes.
    kubectl("delete", "llmdeployments", "--all")
    kubectl("delete", "pod", "load", "--ignore-not-found")
    until(lambda: kubectl.list("pods"), lambda left: not left, what="yesterday's pods are gone", seconds=120)
    manifest = MANIFEST.relative_to(Path.cwd())
    say(console, *kubectl.command("apply", "--filename", str(manifest)))
    console.print(kubectl("apply", "--filename", str(manifest)).strip())
    resource = LLMDeployment(kubectl, "chat")
    wait = ("wait", "llmdep/chat", "--for=condition=Ready", f"--timeout={START_SECONDS}s")
    say(console, *kubectl.command(*wait))
    console.print(kubectl(*wait).strip())
    return resource


def watch(console: Console, resource: LLMDeployment, recorded: Recording) -> ClientsView:
    """Put load on the model and show what happens until the replicas have come and gone."""
    one = recorded.capacity_of_a_replica()
    console.print(
        f"\nA replica of {BEST} is worth {one:.1f} tokens/s, and three are allowed. Load: first as much as one of them "
        f"serves, then three, then more than three can: {FAST} has to help, which is faster and not quite as good.\n"
    )
    low, high, peak = (worth * one for worth in (QUIET, HIGH, PEAK))
    profile = f"{low:.1f}:20,{high:.1f}:70,{high:.1f}-{peak:.1f}:20,{peak:.1f}:80,{low:.1f}:{LIMIT_SECONDS}"
    load = start_load(resource.kubectl, "load", profile=profile)
    begun_at = datetime.now(UTC)
    try:
        show_until_quiet(console, recorded, full_scale=1.3 * peak)
    finally:
        ended_at = load.stop()
    slo = yaml.safe_load(MANIFEST.read_text())["spec"]["slo"]
    return ClientsView.of([load], slo, begun_at, ended_at)


def show_until_quiet(console: Console, recorded: Recording, full_scale: float) -> None:
    """Show every sample until the fleet is back at one replica of the best variant, or the time is over."""
    with showing(console, full_scale) as show:
        while not is_over(recorded.samples):
            recorded.next_sample()
            show(recorded.samples)


def is_over(samples: Sequence[Sample]) -> bool:
    """Whether replicas and the fast variant have come and gone."""
    last = samples[-1]
    came = any(sample.ready.get(FAST) for sample in samples)
    quiet = last.wanted_replicas == last.ready_replicas == last.ready.get(BEST) == 1
    return (came and quiet) or last.elapsed_seconds > LIMIT_SECONDS


def summarize(console: Console, recorded: Recording, view: ClientsView) -> None:
    """Say what clients saw, and where to look on."""
    most = {name: max(sample.ready.get(name, 0) for sample in recorded.samples) for name in (BEST, FAST)}
    console.print(
        f"\n{view.streams} streams, {len(view.failed)} failed; up to {most[BEST]} replicas of {BEST}, then "
        f"{most[FAST]} of {FAST}, and back. "
        f"{view.stream_percent_in_time:.0f} % of streams were as fast as promised, "
        f"{view.first_token_percent_in_time:.0f} % of first tokens came in time.\n"
    )
    look = f"kubectl --namespace {DEMO_NAMESPACE}"
    for what, command in (
        ("the cluster", f"export KUBECONFIG={KUBECONFIG} PATH={TOOLS / 'bin'}:$PATH"),
        ("the resource", f"{look} get llmdep chat --output yaml"),
        ("its decisions", f"{look} get events --field-selector involvedObject.name=chat"),
        ("the operator's log", f"kubectl --namespace {NAMESPACE} logs deployment/tokenpace"),
        ("a picture", f"uv run python -m e2e.picture {RECORD.relative_to(Path.cwd())} docs/demo.svg"),
        ("remove it all", "make clean"),
    ):
        console.print(f"  {what:20} {command}", soft_wrap=True)


def say(console: Console, *command: str) -> None:
    """Show a command as a person would type it."""
    console.print(f"[bold]$ {shlex.join(command)}[/bold]", soft_wrap=True)


if __name__ == "__main__":
    main()
