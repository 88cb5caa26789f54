"""Prometheus and the chart, installed into the cluster as a person would."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from e2e.images import built_image
from e2e.kubectl import ENVIRONMENT, ROOT, Kubectl, KubectlError
from e2e.running_operator import RunningOperator

CHART = "charts/tokenpace"
RELEASE = "tokenpace"
NAMESPACE = "tokenpace-system"
PROMETHEUS_NAMESPACE = "monitoring"


def require_cluster(kubectl: Kubectl) -> None:
    """Fail with the cure where there is no cluster."""
    try:
        kubectl("get", "--raw", "/readyz")
    except (KubectlError, OSError) as error:
        raise RuntimeError(f"no cluster answers ({error}); `make cluster images` brings one up") from error


def install_prometheus(kubectl: Kubectl) -> None:
    """Apply Prometheus and wait until it answers."""
    kubectl("apply", "--kustomize", str(ROOT / "e2e" / "prometheus"))
    kubectl.within(PROMETHEUS_NAMESPACE)("rollout", "status", "deployment/prometheus", "--timeout=90s")


def helm_command(
    image: str | None = None, *, chart: str = CHART, namespace: str = NAMESPACE, **values: str
) -> list[str]:
    """Return the command that installs or upgrades the chart: one operator, short windows, else as delivered.

    Args:
        image: the operator's; by default the one that was built last.
        chart: its folder, or an archive of it.
        namespace: of the release.
        values: more of the chart's, or others.
    """
    repository, _, tag = (image or built_image("operator")).rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "replicas": "1",  # scenarios kill the one that works, and read its log
        "tickSeconds": "2",
        "prometheus.url": f"http://prometheus.{PROMETHEUS_NAMESPACE}:9090",
        "prometheus.windowSeconds": "10",
        "prometheus.staleAfterSeconds": "6",
        **values,
    }
    sets = [f"--set={key}={value}" for key, value in values.items()]
    return ["helm", "upgrade", "--install", RELEASE, chart, f"--namespace={namespace}", "--create-namespace", *sets]


def run_helm(*command: str) -> None:
    """Run a command of helm to its end.

    Raises:
        RuntimeError: it refused; the message is its own.
    """
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)}\n{done.stderr.strip()}")


def install_operator(
    kubectl: Kubectl, *, image: str | None = None, chart: str = CHART, namespace: str = NAMESPACE, **values: str
) -> RunningOperator:
    """Install the chart and wait until the operator is ready.

    Raises:
        RuntimeError: helm refused; the message is its own.
    """
    make_namespace(kubectl, namespace)
    # A cluster that somebody has applied the definition to by hand is taken over.
    command = helm_command(image, chart=chart, namespace=namespace, **values)
    run_helm(*command, "--force-conflicts", "--wait", "--timeout=120s")
    return RunningOperator(kubectl.within(namespace))


def uninstall_operator(namespace: str = NAMESPACE) -> None:
    """Remove the release, and wait until its operator is gone."""
    run_helm("helm", "uninstall", RELEASE, f"--namespace={namespace}", "--ignore-not-found", "--wait", "--timeout=60s")


def make_namespace(kubectl: Kubectl, name: str, pod_security: str = "restricted") -> None:
    """Make a namespace, or take the one that is there, that lets in no pod below a Pod Security Standard."""
    enforced = {"pod-security.kubernetes.io/enforce": pod_security}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforced}})


@contextmanager
def laboratory(purpose: str) -> Iterator[tuple[Kubectl, RunningOperator]]:
    """Install Prometheus and the operator, and give a throwaway namespace: what every measurement begins with."""
    kubectl = Kubectl()
    require_cluster(kubectl)
    install_prometheus(kubectl)
    operator = install_operator(kubectl)
    with throwaway_namespace(kubectl, purpose, pod_security="baseline") as namespace:
        yield namespace, operator


@contextmanager
def throwaway_namespace(kubectl: Kubectl, purpose: str, *, pod_security: str = "restricted") -> Iterator[Kubectl]:
    """Give a namespace of its own; at the end it goes with all it holds, and nobody waits for that."""
    name = f"{purpose}-{uuid4().hex[:6]}"
    make_namespace(kubectl, name, pod_security)
    try:
        yield kubectl.within(name)
    finally:
        # First, because Kubernetes takes minutes over a namespace whose pods have a long grace period.
        kubectl.within(name)("delete", "llmdeployments", "--all")
        kubectl("delete", "namespace", name, "--wait=false")
