"""Manifests as people write them: what the schema admits, the models read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tokenpace.api.resource import LLMDeployment
from tokenpace.api.schema import structural_schema
from tokenpace.api.spec import LLMDeploymentSpec

MANIFESTS = Path(__file__).parent / "manifests"
SPEC_SCHEMA = structural_schema(LLMDeploymentSpec)


def manifests(pattern: str) -> Any:
    paths = sorted(MANIFESTS.glob(pattern))
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


@manifests("good/*.yaml")
def test_a_good_manifest_is_read(path: Path) -> None:
    LLMDeployment.model_validate(yaml.safe_load(path.read_text()))


@manifests("bad/fields/*.yaml")
def test_a_field_that_the_schema_refuses_is_refused_offline_too(path: Path) -> None:
    with pytest.raises(ValidationError):
        LLMDeployment.model_validate(yaml.safe_load(path.read_text()))


@manifests("bad/rules/*.yaml")
def test_what_only_a_rule_refuses_can_be_read(path: Path) -> None:
    LLMDeployment.model_validate(yaml.safe_load(path.read_text()))


def admitted(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return everything that a structural schema admits, short of rules between fields."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(min_value=0, max_value=999) | st.sampled_from(["500m", "8Gi", "1.5"])
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(st.sampled_from("ab"), st.integers() | st.text(max_size=3), max_size=2)
    kinds = {"integer": integers, "string": strings, "array": arrays, "object": objects}
    return kinds[schema["type"]](schema)


def integers(schema: dict[str, Any]) -> st.SearchStrategy[int]:
    return st.integers(min_value=schema["minimum"], max_value=schema["maximum"])


def strings(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    patterns = [
        match.group(1)
        for rule in schema.get("x-kubernetes-validations", ())
        if (match := re.fullmatch(r"self\.matches\(r'(.*)'\)", rule["rule"]))
    ]
    most = schema["maxLength"]
    if patterns:
        return st.from_regex(patterns[0], fullmatch=True).filter(lambda text: len(text) <= most)
    return st.text(min_size=schema.get("minLength", 0), max_size=min(most, 8))


def arrays(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    keys = schema.get("x-kubernetes-list-map-keys")
    unique = (lambda item: tuple(item[key] for key in keys)) if keys else None
    return st.lists(admitted(schema["items"]), min_size=schema.get("minItems", 0), max_size=2, unique_by=unique)


def objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "additionalProperties" in schema:
        return st.dictionaries(st.sampled_from(["cpu", "memory"]), admitted(schema["additionalProperties"]))
    required = set(schema.get("required", ()))
    fields = {name: admitted(field) for name, field in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def defaulted(value: Any, schema: dict[str, Any]) -> Any:
    """Fill in the schema's defaults as the API server does: parents first, then what they hold."""
    if isinstance(value, list):
        return [defaulted(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    defaults = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}
    return {name: defaulted(inner, schema["properties"][name]) for name, inner in {**defaults, **value}.items()}


def without_empty(value: Any) -> Any:
    """Drop empty lists and objects, which mean the same as absent ones."""
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: without_empty(inner) for name, inner in value.items()}
    return {name: inner for name, inner in kept.items() if inner not in ([], {})}


SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@SLOW
@given(admitted(SPEC_SCHEMA))
def test_whatever_the_schema_admits_is_read_without_loss_and_with_the_schemas_defaults(spec: dict[str, Any]) -> None:
    read = LLMDeploymentSpec.model_validate(spec)
    assert without_empty(read.as_manifest()) == without_empty(defaulted(spec, SPEC_SCHEMA))


def with_unknown_fields(value: Any) -> Any:
    """Return the manifest as a newer version might write it: one more field in every object."""
    if isinstance(value, list):
        return [with_unknown_fields(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {**{name: with_unknown_fields(inner) for name, inner in value.items()}, "ofANewerVersion": True}


@manifests("good/*.yaml")
def test_fields_of_a_newer_version_are_ignored(path: Path) -> None:
    spec = yaml.safe_load(path.read_text())["spec"]
    for variant in spec["variants"]:  # Kubernetes' own objects and maps have no unknown fields
        for opaque in ("podTemplate", "resources", "engine"):
            variant.pop(opaque, None)
    spec.get("scaling", {}).get("wake", {}).pop("matchLabels", None)
    assert LLMDeploymentSpec.model_validate(with_unknown_fields(spec)) == LLMDeploymentSpec.model_validate(spec)
