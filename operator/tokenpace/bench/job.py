"""A benchmark as a Job: the same command, in the cluster, in any image that holds tokenpace."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tokenpace.api.names import VARIANT_LABEL
from tokenpace.bench.errors import BenchError
from tokenpace.bench.options import SELF, Options, arguments

NAME: Final = "tokenpace-bench"
API_KEY_VARIABLE: Final = "TOKENPACE_BENCH_API_KEY"
MOST_TRACE_BYTES: Final = 1 << 20
"""What a ConfigMap holds at most."""
_TRACES: Final = Path("/traces")


def job_name(variant: str | None) -> str:
    """Return what a variant's Job is called, and the ConfigMap with its trace."""
    return NAME if variant is None else f"{NAME}-{variant.replace('_', '-')}"


def job(
    options: Options, *, image: str, variant: str | None, trace: str | None = None, key_from: str | None = None
) -> tuple[Mapping[str, Any], ...]:
    """Return the manifests: the Job, after a ConfigMap with the trace that it replays, if any.

    The Job's log is the result: comments for the progress, then JSON.

    Args:
        options: what to measure.
        image: that holds tokenpace.
        variant: that is measured; both are called and labelled by it.
        trace: what the file of `options.trace` holds.
        key_from: name of a Secret whose key `API_KEY_VARIABLE` holds the server's API key.

    Raises:
        BenchError: an option names another file, which the pod would not have, or the trace is too large.
    """
    if options.reference not in (None, SELF) or options.task_scores is not None:
        cure = "leave out --reference and --task-scores, and compare afterwards"
        raise BenchError(f"--job: a pod has no file of yours: {cure}")
    name, labels = job_name(variant), {VARIANT_LABEL: variant} if variant else {}
    container: dict[str, Any] = {
        "name": "bench",
        "image": image,
        # No limit: throttled, it would measure itself, and say so.
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    if key_from is not None:
        secret = {"name": key_from, "key": API_KEY_VARIABLE}
        container["env"] = [{"name": API_KEY_VARIABLE, "valueFrom": {"secretKeyRef": secret}}]
    before: tuple[Mapping[str, Any], ...] = ()
    if options.trace is not None and trace is not None:
        before = (_config_map(name, labels, options.trace.name, trace),)
        options = replace(options, trace=_TRACES / options.trace.name)
        container["volumeMounts"] = [{"name": "trace", "mountPath": str(_TRACES), "readOnly": True}]
        pod["volumes"] = [{"name": "trace", "configMap": {"name": name}}]
    container["args"] = ["bench", *arguments(options), "--out=-"]
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},  # a second run would measure something else
    }
    return (*before, made)


def _config_map(name: str, labels: Mapping[str, str], file: str, trace: str) -> Mapping[str, Any]:
    if len(trace.encode()) > MOST_TRACE_BYTES:
        raise BenchError("--trace: a Job gets it by a ConfigMap, which holds 1 MiB: shorten it")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": dict(labels)},
        "data": {file: trace},
    }
