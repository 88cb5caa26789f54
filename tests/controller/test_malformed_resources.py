"""Whatever the schema of the CRD can hold, and what an older or broken one let through: a condition, never a crash."""

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import FakeApiServer
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.api.schema import custom_resource_definition
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS

EXPLORES = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)
DECIMALS = st.sampled_from(["0", "1", "0.1", "50", "95", "99.5", "100", "9" * 30, "NaN"])


def matching(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a structural schema admits, its rules left aside."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(-1, 10**6) | DECIMALS | st.text(max_size=8)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(st.sampled_from(["spec", "metadata", "other"]), ANYTHING, max_size=2)
    if schema.get("type") == "object":
        return of_object(schema)
    return of_list(schema) if schema.get("type") == "array" else of_scalar(schema)


def of_list(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
    return st.lists(matching(schema["items"]), min_size=least, max_size=max(least, most))


def of_scalar(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if schema["type"] == "integer":
        return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1))
    if schema["type"] == "boolean":
        return st.booleans()
    names = st.sampled_from(["a", "q8", "q8_0", "none", "model.gguf", "/models", "awq", "--parallel"])
    text = st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 12), 12))
    return names | DECIMALS | text | st.datetimes().map(lambda time: f"{time.isoformat()}Z")


def of_object(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "additionalProperties" in schema:
        return st.dictionaries(st.text(max_size=8), matching(schema["additionalProperties"]), max_size=2)
    fields = {name: matching(part) for name, part in schema.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where something else could stand."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


@st.composite
def spoilt(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Any:
    """Return a value in which now and then something stands that no schema admits there."""
    value = draw(values)
    if draw(st.integers(0, 2)):
        return value
    path = draw(st.sampled_from(places(value)))
    if not path:
        return draw(ANYTHING)
    part = value
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = draw(ANYTHING)
    return value


@st.composite
def nearly_sound(draw: st.DrawFn) -> dict[str, Any]:
    """Return a spec that can be run, with parts drawn from the schema: others get no further than parsing."""
    parts = SCHEMA["spec"]["properties"]
    variant = {"name": "q8", "quantization": "q8_0", "engine": {"type": "LlamaCpp"}}
    source = {"volume": {"claimName": "weights", "path": "/", "file": "q8.gguf"}}
    spec: dict[str, Any] = {
        "model": {"servedName": "chat", "contextTokens": 2048, "source": source},
        "slo": {"generationTokensPerSecond": 60},
        "variants": [variant, {**variant, "name": "q4", "quality": "90"}],
    }
    for part in draw(st.sets(st.sampled_from(["slo", "scaling", "traffic"]))):
        fields = parts[part]["properties"]
        chosen = draw(st.sets(st.sampled_from(sorted(fields)), max_size=2))
        spec[part] = spec.get(part, {}) | {name: draw(matching(fields[name])) for name in sorted(chosen)}
    fields = parts["variants"]["items"]["properties"]
    chosen = draw(st.sets(st.sampled_from(sorted(fields.keys() - {"name", "engine", "scaleTargetRef"})), max_size=3))
    spec["variants"][0] = variant | {name: draw(matching(fields[name])) for name in sorted(chosen)}
    return spec


SPECS = nearly_sound() | spoilt(nearly_sound()) | spoilt(matching(SCHEMA["spec"]))
STATUSES = spoilt(matching(SCHEMA["status"]))


async def served(resource: dict[str, Any], spec: Any, status: Any) -> FakeApiServer:
    """Return the cluster after two ticks over a resource with this spec and status, beside one that is sound."""
    fake = FakeApiServer()
    declare(fake, resource, "good")
    body = declare(fake, resource, "odd")
    body["spec"], body["status"] = spec, status
    operator = Operator(fake)
    await operator.ticks(2)
    assert operator.replicas("good") == 1
    return fake


@pytest.mark.timeout(7200 if EXPLORES else 120)
@settings(
    max_examples=10_000 if EXPLORES else 60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.large_base_example],
)
@given(spec=SPECS, status=STATUSES)
def test_every_resource_is_served_or_told_what_is_wrong_with_it(resource: Any, spec: Any, status: Any) -> None:
    fake = asyncio.run(served(resource, spec, status))
    reported = fake.objects[LLM_DEPLOYMENTS, "shop", "odd"]["status"]
    conditions = {one["type"]: one["reason"] for one in reported["conditions"]}
    assert conditions["Ready"] != "InternalError"
    if not status:  # of what was there before, a False where 0 belongs is 0 to Python, and stays
        LLMDeploymentStatus.model_validate(reported)
