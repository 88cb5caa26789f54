"""From a KEDA ScaledObject to an LLMDeployment that advises beside it. Pure.

Source of the fields and their defaults: kedacore/keda, apis/keda/v1alpha1/scaledobject_types.go. What a ScaledObject
says of when to scale has no counterpart: tokenpace plans from a promised speed, which no ScaledObject declares. So the
bounds and the workload are taken over, and everything else is told in comments.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from tokenpace.api import names
from tokenpace.api.resource import LLMDeployment
from tokenpace.api.scaling import Scaling, Schedule
from tokenpace.api.variant import EngineType
from tokenpace.controller.manifest import ManifestError
from tokenpace.engines.registry import ADAPTERS
from tokenpace.planning.schedules import schedule_problems

_DEFAULT_MOST_REPLICAS = 100
"""KEDA's own."""
_MOST_REPLICAS = 64
_LONGEST_STABILIZATION_SECONDS = 3600
_LONGEST_COMMENT = 300
_STREAM_TOKENS_PER_SECOND = 20
_CONTEXT_TOKENS = 8192

_BEHAVIOR = "advanced.horizontalPodAutoscalerConfig.behavior"
_WITHOUT_COUNTERPART = {
    "fallback": "without metrics nothing scales down; that is no setting.",
    "pollingInterval": "one setting of the operator for all (tickSeconds of the chart).",
    "cooldownPeriod": "it is about scaling to zero.",
    "advanced.scalingModifiers": "there is no formula over triggers.",
    f"{_BEHAVIOR}.scaleUp": "up at once, as far as the bounds go.",
    f"{_BEHAVIOR}.scaleDown.policies": "down when the smaller fleet was enough all through the window.",
}
"""What a ScaledObject may say that is not taken over, and what holds instead."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An LLMDeployment, what to put right in it by hand, and what of the ScaledObject is not in it."""

    manifest: dict[str, Any]
    to_check: tuple[str, ...]
    left_out: tuple[str, ...]

    def text(self) -> str:
        """Return it as YAML with comments. What the ScaledObject says stays in its comment, whatever it holds."""
        name = self.manifest["metadata"]["name"]
        sections: tuple[tuple[str, tuple[str, ...]], ...] = (
            (f"From ScaledObject {name}. Advisory: it decides, reports, and touches nothing.", ()),
            ("Put right before you apply it:", self.to_check),
            ("Not carried over:", self.left_out),
            ("Before `scaling.mode: Auto` delete the ScaledObject: two autoscalers undo each other's work.", ()),
        )
        comments = [line for title, points in sections for line in (title, *(f"- {point}" for point in points))]
        return "".join(f"# {_one_line(line)}\n" for line in comments) + yaml.safe_dump(self.manifest, sort_keys=False)


def import_scaled_objects(text: str) -> tuple[Imported, ...]:
    """Return an LLMDeployment for every ScaledObject of a file.

    Raises:
        ManifestError: it is not YAML, holds no ScaledObject, or one of them cannot be understood.
    """
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise ManifestError(f"not YAML: {error}") from error
    found = [one for one in documents if isinstance(one, dict) and one.get("kind") == "ScaledObject"]
    if not found:
        raise ManifestError("holds no ScaledObject of keda.sh/v1alpha1")
    return tuple(_imported(one) for one in found)


def _imported(scaled: Mapping[str, Any]) -> Imported:
    metadata, spec = _object(scaled, "metadata"), _object(scaled, "spec")
    target = _object(spec, "scaleTargetRef")
    triggers = [one for one in _list(spec, "triggers") if isinstance(one, dict)]
    queries = " ".join(str(_part(one, "metadata").get("query", "")) for one in triggers)
    fewest, most = _count(spec, "minReplicaCount", 0), _count(spec, "maxReplicaCount", _DEFAULT_MOST_REPLICAS)
    engine = next(
        (engine for engine, one in ADAPTERS.items() if any(start in queries for start in one.metric_prefixes)), None
    )
    model = re.search(r'model_name="([^"\\]+)"', queries)
    name, given = _legal_name(str(metadata.get("name", ""))), str(target.get("name", ""))
    down = _part(spec, *_BEHAVIOR.split("."), "scaleDown")
    window = _count(down, "stabilizationWindowSeconds", Scaling().scale_down.stabilization_window_seconds)
    bound = min(max(most, fewest, 1), _MOST_REPLICAS)
    scaling: dict[str, Any] = {
        "mode": "Advisory",
        "minReplicas": min(max(fewest, 1), bound),
        "maxReplicas": bound,
        "scaleDown": {"stabilizationWindowSeconds": min(window, _LONGEST_STABILIZATION_SECONDS)},
    }
    if schedules := _schedules(triggers, bound):
        scaling["schedules"] = schedules
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {})},
        "spec": {
            "model": {"servedName": model.group(1) if model else given, "contextTokens": _CONTEXT_TOKENS},
            "slo": {"stream": {"tokensPerSecond": _STREAM_TOKENS_PER_SECOND, "percentile": 50}},
            "variants": [
                {
                    "name": "today",
                    "scaleTargetRef": {
                        "apiVersion": target.get("apiVersion") or "apps/v1",
                        "kind": target.get("kind") or "Deployment",
                        "name": given,
                    },
                    "metrics": str(engine or EngineType.VLLM),
                }
            ],
            "scaling": scaling,
        },
    }
    _check(manifest)
    to_check = _to_check(engine, model is not None, name == metadata.get("name"))
    return Imported(manifest, tuple(to_check), tuple(_left_out(scaled, spec, triggers, scaling)))


def _to_check(engine: EngineType | None, model_known: bool, name_kept: bool) -> Iterator[str]:
    yield f"slo: a ScaledObject promises no speed; {_STREAM_TOKENS_PER_SECOND} tokens/s for a reader is a guess."
    yield "model.contextTokens: what the server was started with."
    if not model_known:
        yield "model.servedName: what clients put into `model`."
    if engine is None:
        yield "variants[today].metrics: whose metrics the pods export: VLLM, TGI or LlamaCpp."
    if not name_kept:
        yield "metadata.name: the ScaledObject's own is no legal name here."


def _left_out(
    scaled: Mapping[str, Any], spec: Mapping[str, Any], triggers: list[dict[str, Any]], scaling: Mapping[str, Any]
) -> Iterator[str]:
    for trigger in triggers:
        if _schedule(trigger, "cron", _MOST_REPLICAS) is None:
            yield _trigger(trigger)
    if _count(spec, "minReplicaCount", 0) == 0 or "idleReplicaCount" in spec:
        yield "scaling to zero: declare `scaling.scaleToZeroAfterSeconds` and `scaling.wake`; one replica stays."
    if _count(spec, "maxReplicaCount", _DEFAULT_MOST_REPLICAS) > scaling["maxReplicas"]:
        yield f"maxReplicaCount: at most {_MOST_REPLICAS} replicas of one LLMDeployment."
    for path, why in _WITHOUT_COUNTERPART.items():
        *above, last = path.split(".")
        if last in _part(spec, *above):
            yield f"{path}: {why}"
    for annotation in _part(scaled, "metadata", "annotations"):
        if str(annotation).startswith("autoscaling.keda.sh/paused"):
            yield f"annotation {annotation}: here it is {names.PAUSED_ANNOTATION}."


def _schedules(triggers: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    found = (_schedule(trigger, f"cron-{number}", most) for number, trigger in enumerate(triggers, start=1))
    return [schedule for schedule in found if schedule is not None]


def _schedule(trigger: Mapping[str, Any], name: str, most: int) -> dict[str, Any] | None:
    """Return a cron trigger as a schedule; None for another trigger, and for one that is no schedule here."""
    said = _part(trigger, "metadata")
    replicas = str(said.get("desiredReplicas", ""))
    if trigger.get("type") != "cron" or not replicas.isdecimal():
        return None
    schedule = {
        "name": name,
        "start": str(said.get("start", "")).upper(),
        "end": str(said.get("end", "")).upper(),
        "timeZone": str(said.get("timezone", "")),
        "minReplicas": min(int(replicas), most),
    }
    try:
        problems = schedule_problems((Schedule.model_validate(schedule),))
    except ValidationError:
        return None
    return None if any(problems) else schedule


def _trigger(trigger: Mapping[str, Any]) -> str:
    kind, metadata = trigger.get("type", "unknown"), _part(trigger, "metadata")
    if kind == "cron":
        return "trigger cron: needs start, end, timezone and desiredReplicas as `scaling.schedules` takes them."
    at = f" at {metadata['threshold']}" if "threshold" in metadata else ""
    return f"trigger {kind}{at}: there are no thresholds; demand and capacity are measured. {metadata.get('query', '')}"


def _part(whole: Any, *path: str) -> Mapping[str, Any]:
    """Return an object somewhere inside; empty where there is none."""
    for field in path:
        whole = whole.get(field) if isinstance(whole, dict) else None
    return whole if isinstance(whole, dict) else {}


def _object(whole: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    part = whole.get(field)
    if not isinstance(part, dict):
        raise ManifestError(f"{field}: must be there, as in a ScaledObject of keda.sh/v1alpha1")
    return part


def _list(whole: Mapping[str, Any], field: str) -> list[Any]:
    found = whole.get(field)
    return found if isinstance(found, list) else []


def _count(whole: Mapping[str, Any], field: str, default: int) -> int:
    value = whole.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ManifestError(f"{field}: must be a whole number of at least 0, not {value!r}")
    return value


def _legal_name(name: str) -> str:
    """Return the nearest name that an LLMDeployment may have."""
    spelled = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    begun = spelled if spelled[:1].isalpha() else f"llm-{spelled}"
    return begun[: names.NAME_MAX_LENGTH].strip("-")


def _check(manifest: Mapping[str, Any]) -> None:
    try:
        LLMDeployment.model_validate(manifest)
    except ValidationError as error:
        found = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ManifestError("; ".join(found)) from error


def _one_line(text: str) -> str:
    """Return text that ends where its line does: no break that YAML knows, nothing that a terminal obeys."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_LONGEST_COMMENT]
