"""The pod around an engine: what is the same for every inference server.

It satisfies the *restricted* Pod Security Standard, so that a namespace may enforce it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tokenpace.api.variant import Engine, Resources, Variant
from tokenpace.engines.engine import ENGINE_CONTAINER, HTTP_PORT, FieldProblem, Launch
from tokenpace.engines.merge import merge, unnamed
from tokenpace.engines.weights import Weights

PROPAGATION_SECONDS: Final = 10
"""How long a terminating pod still gets new requests: until every kube-proxy and balancer has dropped its endpoint."""

LOADING_SECONDS: Final = 3600
"""Longest time to download and load weights before the kubelet starts the container anew."""

SCRATCH_DIRECTORY: Final = "/tmp"  # noqa: S108 - an emptyDir of the pod's own is mounted there

USER_ID: Final = 65532
"""Any number but 0 that no image uses for anything: `nonroot` of the distroless images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContainer:
    """What an engine adds to the pod that every engine gets."""

    args: Sequence[str]
    env: Sequence[Mapping[str, Any]]
    port: int
    health_path: str
    """Answers 200 as soon as, and as long as, requests can be served."""
    drain_script: str
    """Shell commands that return when no request is being worked on; run after `PROPAGATION_SECONDS`."""
    drain_seconds: int


def engine_pod_template(launch: Launch, weights: Weights, container: EngineContainer) -> dict[str, Any]:
    """Return the PodTemplateSpec with the user's `podTemplate` merged over it."""
    engine = launch.variant.engine
    resources = _resources(launch.variant.resources)
    mounts = [*weights.mounts, {"name": "scratch", "mountPath": SCRATCH_DIRECTORY}]
    rendered = {
        "spec": {
            "automountServiceAccountToken": False,
            # A Service named after an engine injects variables such as VLLM_PORT that the engine takes for its own.
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": PROPAGATION_SECONDS + container.drain_seconds,
            "securityContext": _pod_security(),
            "initContainers": [
                {**init, "resources": resources, "securityContext": _container_security()}
                for init in weights.init_containers
            ],
            "containers": [
                {
                    "name": ENGINE_CONTAINER,
                    "image": launch.image,
                    "args": [*container.args, *(engine.args if engine else ())],
                    "env": _environment(
                        engine, [{"name": "HOME", "value": SCRATCH_DIRECTORY}, *weights.env], container
                    ),
                    "ports": [{"name": HTTP_PORT, "containerPort": container.port, "protocol": "TCP"}],
                    "resources": resources,
                    "volumeMounts": mounts,
                    **_probes(container.health_path),
                    "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", _pre_stop(container)]}}},
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "securityContext": _container_security(),
                }
            ],
            "volumes": [*weights.volumes, {"name": "scratch", "emptyDir": {}}],
        }
    }
    return merge(rendered, launch.variant.pod_template or {})


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
    return tuple(problems)


def _environment(
    engine: Engine | None, common: Sequence[Mapping[str, Any]], container: EngineContainer
) -> list[dict[str, Any]]:
    """Return each variable once, because server-side apply refuses two of one name; the user's come last and win."""
    users = [variable.model_dump(by_alias=True, exclude_none=True) for variable in engine.env] if engine else []
    by_name = {variable["name"]: dict(variable) for variable in [*common, *container.env, *users]}
    return list(by_name.values())


def _resources(resources: Resources) -> dict[str, Any]:
    return {"limits": dict(resources.limits), "requests": {**resources.limits, **resources.requests}}


def _probes(path: str) -> dict[str, Any]:
    """Ready is seen within 2 s, as part of the lead time; a restart comes late, because it cuts every stream."""
    check = {"httpGet": {"path": path, "port": HTTP_PORT}, "timeoutSeconds": 5}
    return {
        "startupProbe": {**check, "periodSeconds": 2, "failureThreshold": LOADING_SECONDS // 2},
        "readinessProbe": {**check, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**check, "periodSeconds": 10, "failureThreshold": 6},
    }


def _pre_stop(container: EngineContainer) -> str:
    """Wait for the endpoints to be dropped, then for the streams. The grace period ends it if nothing else does."""
    return f"sleep {PROPAGATION_SECONDS}\n{container.drain_script}"


def _pod_security() -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        # A volume with a hundred gigabytes of weights is not walked at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
