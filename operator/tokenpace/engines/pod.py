"""The pod around an engine: what is the same for every inference server.

It satisfies the *restricted* Pod Security Standard, so that a namespace may enforce it; as root, if an engine's images
run as nothing else, the *baseline* standard.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tokenpace.api.variant import Resources, Variant
from tokenpace.engines.engine import ENGINE_CONTAINER, HTTP_PORT, FieldProblem, Launch
from tokenpace.engines.merge import merge, unnamed
from tokenpace.engines.weights import Weights

PROPAGATION_SECONDS: Final = 10
"""How long a terminating pod still gets new requests: until every kube-proxy and balancer has dropped its endpoint."""

LOADING_SECONDS: Final = 3600
"""Longest time to download and load weights before the kubelet starts the container anew."""

SCRATCH_DIRECTORY: Final = "/tmp"  # noqa: S108 - an emptyDir of the pod's own is mounted there

CACHE_DIRECTORIES: Final = MappingProxyType(
    {
        "HOME": SCRATCH_DIRECTORY,
        "XDG_CACHE_HOME": f"{SCRATCH_DIRECTORY}/.cache",
        "HF_HOME": f"{SCRATCH_DIRECTORY}/huggingface",
    }
)
"""Where engines write what they download and compile, whatever their images say: compiled kernels (Triton,
FlashInfer, torch.compile) are kept below the home or the cache directory, and nothing else can be written."""

USER_NAME: Final = "engine"
"""PyTorch's compiler fails where neither `USER` nor /etc/passwd says who runs it (pytorch/pytorch#140765)."""

DEFAULT_METRICS_PATH: Final = "/metrics"

METRICS_PATH_ANNOTATION: Final = "prometheus.io/path"
"""On pods whose metrics are elsewhere: the common name, which the chart's PodMonitor relabels by."""

USER_ID: Final = 65532
"""Any number but 0 that no image uses for anything: `nonroot` of the distroless images."""

ROOT_USER_ID: Final = 0

_SHARED_MEMORY: Final = {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
"""For NCCL between the processes of several GPUs. What is written there counts against the pod's memory limit."""

_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContainer:
    """What an engine adds to the pod that every engine gets."""

    args: Sequence[str]
    env: Sequence[Mapping[str, Any]]
    port: int
    health_path: str
    """Answers 200 as soon as, and as long as, requests can be served."""
    drain_seconds: int
    drain_script: str = ""
    """Shell commands that return when no request is being worked on; run after `PROPAGATION_SECONDS`. An engine that
    finishes its streams after SIGTERM needs none."""
    user_id: int = USER_ID
    metrics_path: str = DEFAULT_METRICS_PATH
    shared_memory: bool = False
    """Whether processes of the engine talk through /dev/shm, of which containers have 64 MiB."""


def engine_pod_template(launch: Launch, weights: Weights, container: EngineContainer) -> dict[str, Any]:
    """Return the PodTemplateSpec with the user's `podTemplate` merged over it."""
    bounds = {"resources": _resources(launch.variant.resources), "securityContext": _CONTAINER_SECURITY}
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        # A Service named after an engine injects variables such as VLLM_PORT that the engine takes for its own.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": PROPAGATION_SECONDS + container.drain_seconds,
        "securityContext": _pod_security(container.user_id),
        "containers": [_main_container(launch, weights, container) | bounds],
        "volumes": [
            *weights.volumes,
            {"name": "scratch", "emptyDir": {}},
            *([_SHARED_MEMORY] if container.shared_memory else []),
        ],
    }
    if weights.init_containers:
        # With the engine's resources, because a quota may refuse a container without any. They are not added up: a
        # pod reserves the larger of the two.
        spec["initContainers"] = [init | bounds for init in weights.init_containers]
    template: dict[str, Any] = {"spec": spec}
    if container.metrics_path != DEFAULT_METRICS_PATH:
        template["metadata"] = {"annotations": {METRICS_PATH_ANNOTATION: container.metrics_path}}
    return merge(template, launch.variant.pod_template or {})


def cpu_limit_variable(variant: Variant, name: str) -> list[dict[str, Any]]:
    """Return a variable with the pod's CPU limit, rounded up by the kubelet; nothing where no limit is set.

    By default engines start a thread for every core of the node, however small the pod's share of it.
    """
    if "cpu" not in variant.resources.limits:
        return []
    return [{"name": name, "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]


def pod_template_problems(variant: Variant, field: str) -> tuple[FieldProblem, ...]:
    """Return what a user's `podTemplate` has that cannot be merged."""
    patch = variant.pod_template or {}
    spec = patch.get("spec", {})
    problems = [
        FieldProblem(f"{field}.podTemplate{path}", f"has no `{key}`: add it, elements are merged by `{key}`")
        for path, key in unnamed(patch)
    ]
    if not isinstance(spec, Mapping) or not isinstance(spec.get("containers", []), list):
        problems.append(
            FieldProblem(
                f"{field}.podTemplate.spec.containers",
                f"would remove the engine: use a list; the engine's container is the one named `{ENGINE_CONTAINER}`",
            )
        )
    return (*problems, *_metadata_problems(patch.get("metadata"), f"{field}.podTemplate.metadata"))


def _metadata_problems(metadata: Any, field: str) -> Iterator[FieldProblem]:
    parts = {field: metadata}
    if isinstance(metadata, Mapping):
        parts |= {f"{field}.{name}": metadata.get(name) for name in ("labels", "annotations")}
    for name, value in parts.items():
        if value is not None and not isinstance(value, Mapping):
            yield FieldProblem(name, "has no keys: write it as `key: value`, or leave it out")


def _main_container(launch: Launch, weights: Weights, container: EngineContainer) -> dict[str, Any]:
    engine = launch.variant.engine
    users = [variable.as_manifest() for variable in engine.env] if engine else []
    common = {"USER": USER_NAME, "DO_NOT_TRACK": "1", **CACHE_DIRECTORIES}  # vLLM and TensorRT-LLM would report home
    env = [
        *({"name": name, "value": value} for name, value in common.items()),
        *weights.env,
        *container.env,
        *users,
    ]
    return {
        "name": ENGINE_CONTAINER,
        "image": launch.image,
        "args": [*container.args, *(engine.args if engine else ())],
        # Each variable once, because server-side apply refuses two of one name. The user's are last and win.
        "env": list({variable["name"]: variable for variable in env}.values()),
        "ports": [{"name": HTTP_PORT, "containerPort": container.port, "protocol": "TCP"}],
        "volumeMounts": [
            *weights.mounts,
            {"name": "scratch", "mountPath": SCRATCH_DIRECTORY},
            *([{"name": _SHARED_MEMORY["name"], "mountPath": "/dev/shm"}] if container.shared_memory else []),  # noqa: S108
        ],
        **_probes(container.health_path),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", _pre_stop(container)]}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _pod_security(user_id: int) -> dict[str, Any]:
    return {
        "runAsNonRoot": user_id != ROOT_USER_ID,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": USER_ID,
        # A volume with a hundred gigabytes of weights is not walked at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _resources(resources: Resources) -> dict[str, Any]:
    """Return amounts as strings, which is how the API server gives integers back."""
    limits = {name: str(amount) for name, amount in resources.limits.items()}
    return {"limits": limits, "requests": limits | {name: str(amount) for name, amount in resources.requests.items()}}


def _probes(path: str) -> dict[str, Any]:
    """Ready is seen within 2 s, as part of the lead time; a restart comes late, because it cuts every stream."""

    def probe(period_seconds: int, failures: int) -> dict[str, Any]:
        return {
            "httpGet": {"path": path, "port": HTTP_PORT},
            "timeoutSeconds": 5,
            "periodSeconds": period_seconds,
            "failureThreshold": failures,
        }

    return {
        "startupProbe": probe(2, LOADING_SECONDS // 2),
        "readinessProbe": probe(5, 3),
        "livenessProbe": probe(10, 6),
    }


def _pre_stop(container: EngineContainer) -> str:
    """Wait for the endpoints to be dropped, then for the streams. The grace period ends it if nothing else does."""
    return f"sleep {PROPAGATION_SECONDS}\n{container.drain_script}"
