"""One LLMDeployment of a test or of the demo: its manifest, and what the cluster says of it."""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.kubectl import Kubectl, Manifest
from e2e.waiting import until
from tokenpace.planning.balance import Costs

MANIFEST = Path(__file__).parent / "demo" / "llmdeployment.yaml"
"""What the demo applies; the tests change only what their promise is about."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How the model is served, and how clients connect."""

    file: Path
    keep_alive: int | None
    """Connections that a load keeps; None for a fresh one for each stream."""


SERVINGS = {
    "llama-cpp": Serving(MANIFEST, keep_alive=None),  # its server closes each connection of its own
    "tgi": Serving(Path(__file__).parent / "tgi" / "llmdeployment.yaml", keep_alive=32),
}

SLOTS: int = yaml.safe_load(MANIFEST.read_text())["spec"]["variants"][0]["expected"]["atStreams"]
"""Requests that a pod of these manifests works on at a time."""

START_SECONDS = 120
"""Longest wait for a pod of this model; measured 8 to 25 s, depending on what else the two cores do."""


def manifest(
    name: str, *, variants: Collection[str] = ("q8",), file: Path = MANIFEST, **changes: Mapping[str, Any]
) -> Manifest:
    """Return the demo's manifest, or another one, under another name and with parts of its spec changed.

    Only the named variants stay. Each change is merged into the part of its name: ``slo={"stream": {...}}`` leaves the
    other targets as they are.
    """
    base: Manifest = yaml.safe_load(file.read_text())
    base["metadata"]["name"] = name
    base["spec"]["variants"] = [one for one in base["spec"]["variants"] if one["name"] in variants]
    for part, change in changes.items():
        base["spec"][part] = _merged(base["spec"].get(part, {}), change)
    return base


def planned_from(card: Manifest, name: str) -> Manifest:
    """Return the demo's manifest with one replica of the variant that a card is of, and the requests of the card.

    Its pod is as large as the one that the card was measured in: the speed of a CPU goes with its limit.
    """
    measured = card["spec"]
    limits = {kind: measured["hardware"][kind] for kind in ("cpu", "memory")}
    traffic = {kind: round(float(measured["traffic"][kind])) for kind in ("promptTokens", "generatedTokens")}
    wanted = manifest(name, traffic=traffic, scaling={"mode": "Manual"})
    (only,) = wanted["spec"]["variants"]
    only |= {
        "name": measured["quantization"].replace("_", "-"),
        "quantization": measured["quantization"],
        "source": {"image": {"path": "/models", "file": f"{measured['quantization']}.gguf"}},
        "resources": _merged(only["resources"], {"limits": limits}),
        "speedCardRef": {"name": card["metadata"]["name"]},
    }
    return wanted


def _merged(base: Any, change: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(change, Mapping):
        return {key: _merged(base.get(key), change[key]) if key in change else base[key] for key in {**base, **change}}
    return copy.deepcopy(change)


@dataclass(frozen=True, slots=True)
class LLMDeployment:
    """A resource in the cluster, and the objects that belong to it."""

    kubectl: Kubectl
    name: str

    @property
    def selector(self) -> str:
        """What selects every object that the operator made for it."""
        return f"tokenpace.dev/llmdeployment={self.name}"

    def status(self) -> Manifest:
        """Return its status; empty before the operator has written one."""
        found = self.kubectl.get("llmdeployment", self.name) or {}
        status: Manifest = found.get("status", {})
        return status

    def condition(self, kind: str) -> Manifest:
        """Return one condition; empty where it is not there yet."""
        conditions = self.status().get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def until_condition(self, kind: str, status: str, *, seconds: float, reason: str | None = None) -> Manifest:
        """Wait for a condition and return it."""
        return until(
            lambda: self.condition(kind),
            lambda seen: seen.get("status") == status and reason in (None, seen["reason"]),
            what=f"{kind} of {self.name} is {status}" + (f" for {reason}" if reason else ""),
            seconds=seconds,
        )

    def pods(self) -> Sequence[str]:
        """Return the UIDs of the pods that serve or are to serve, in order."""
        found = self.kubectl.list("pods", self.selector)
        return sorted(pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"])

    def ready_by_variant(self) -> dict[str, int]:
        """Return the replicas that serve, of the variants that have any, in the cluster's own words."""
        workloads = self.kubectl.list("deployments", self.selector)
        ready = {
            one["metadata"]["labels"]["tokenpace.dev/variant"]: one["status"].get("readyReplicas", 0)
            for one in workloads
        }
        return {variant: count for variant, count in ready.items() if count}

    def until_ready(self, wanted: Mapping[str, int], *, seconds: float) -> None:
        """Wait until exactly these replicas serve, by variant."""
        until(
            self.ready_by_variant,
            lambda ready: ready == wanted,
            what=f"of {self.name} serves {dict(wanted)}",
            seconds=seconds,
        )

    def source_of_speed(self) -> str | None:
        """Return where the speed of its first variant comes from; None while nothing is known."""
        variants = self.status().get("variants", [{}])
        source: str | None = variants[0].get("source")
        return source

    def learned_costs(self) -> Costs:
        """Return what the operator has learned of its first variant's engine."""
        learned = self.status()["variants"][0]["learned"]
        return Costs(*(learned[f"{cost}Nanoseconds"] / 1e9 for cost in ("step", "generatedToken", "promptToken")))

    def wanted_replicas(self) -> int:
        """Return the replicas that its workloads ask for, in the cluster's own words and not in the status's."""
        return sum(workload["spec"]["replicas"] for workload in self.kubectl.list("deployments", self.selector))

    def until_replicas(self, wanted: int, *, seconds: float) -> None:
        """Wait until exactly so many replicas are asked for."""
        until(
            self.wanted_replicas,
            lambda seen: seen == wanted,
            what=f"{self.name} has {wanted} replicas",
            seconds=seconds,
        )
