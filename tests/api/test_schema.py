from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tokenpace.api.fields import ApiModel
from tokenpace.api.schema import DEFINITIONS, Definition, crd_yaml, custom_resource_definition, structural_schema

ROOT = Path(__file__).parents[2]
VERSION = custom_resource_definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every node of a structural schema with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from nodes(schema[inner], f"{path}[]")


NODES = {path: node for path, node in nodes(SCHEMA) if not path.startswith((".metadata", ".apiVersion", ".kind"))}


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
@pytest.mark.parametrize("copy", ["crds", "charts/tokenpace/files"])
def test_the_committed_definition_is_what_the_models_say(copy: str, definition: Definition) -> None:
    committed = (ROOT / copy / definition.file_name).read_text()
    assert committed == crd_yaml(definition), "run `make crd`"


def test_every_field_is_described() -> None:
    silent = [path for path, node in NODES.items() if not path.endswith("[]") and "description" not in node]
    assert silent == []


def test_every_description_is_a_sentence() -> None:
    broken = {
        path: node["description"]
        for path, node in NODES.items()
        if "description" in node and not (node["description"][0].isupper() and node["description"].endswith("."))
    }
    assert broken == {}


def is_bounded(node: dict[str, Any]) -> bool:
    if "enum" in node or node.get("format") == "date-time" or node.get("x-kubernetes-preserve-unknown-fields"):
        return True
    if "additionalProperties" in node:
        return "maxProperties" in node
    bounds = {
        "boolean": set(),
        "string": {"maxLength"},
        "integer": {"minimum", "maximum"},
        "array": {"maxItems"},
        "object": set(),
    }
    return bounds[node.get("type", "string")] <= node.keys()


def test_everything_is_bounded_because_the_cost_of_rules_is_estimated_from_bounds() -> None:
    assert [path for path, node in NODES.items() if not is_bounded(node)] == []


def test_every_list_says_how_two_owners_share_it() -> None:
    lists = {path: node.get("x-kubernetes-list-type") for path, node in NODES.items() if node.get("type") == "array"}
    assert lists == {
        ".spec.scaling.schedules": "map",
        ".spec.variants": "map",
        ".spec.variants[].engine.args": "atomic",
        ".spec.variants[].engine.env": "map",
        ".status.variants": "map",
        ".status.outlook": "atomic",
        ".status.conditions": "map",
    }


def test_no_number_is_a_float() -> None:
    assert [path for path, node in NODES.items() if node.get("type") == "number"] == []


def test_integers_name_their_width() -> None:
    wide = {path for path, node in NODES.items() if node.get("format") == "int64"}
    assert {path for path, node in NODES.items() if node.get("type") == "integer" and "format" not in node} == set()
    assert ".status.observedGeneration" in wide
    assert ".spec.replicas" not in wide


def test_the_paths_of_the_scale_subresource_and_of_the_columns_exist() -> None:
    scale = VERSION["subresources"]["scale"].values()
    columns = [column["jsonPath"].split("[?")[0] for column in VERSION["additionalPrinterColumns"]]
    known = NODES.keys() | {".metadata.creationTimestamp"}
    assert {*scale, *columns} <= known


def test_an_absent_parent_does_not_hide_the_defaults_of_its_fields() -> None:
    hidden = [
        f"{path}.{name}"
        for path, node in NODES.items()
        for name, field in node.get("properties", {}).items()
        if "default" not in field
        and name not in node.get("required", ())
        and "properties" in field
        and not field.get("required")
        and any("default" in inner for inner in field["properties"].values())
    ]
    assert hidden == []


class Union(ApiModel):
    either: int | str


class Float(ApiModel):
    speed: float


class Constant(ApiModel):
    always: Literal["this"]


@pytest.mark.parametrize("model", [Union, Float, Constant])
def test_what_a_structural_schema_cannot_say_is_refused_when_it_is_generated(model: type[ApiModel]) -> None:
    with pytest.raises(ValueError, match=r"a structural schema has no|must have one type"):
        structural_schema(model)
