"""Every field of the resource on one page, from the schema that the API server admits by."""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenpace.api import names
from tokenpace.api.schema import DEFINITIONS, LLM_DEPLOYMENTS, Definition, custom_resource_definition

_HEAD = f"""# Fields of an {names.KIND} and of an {names.SPEED_CARD_KIND}

Generated from the schemas of `{names.API_VERSION}` by `tokenpace crd --reference`; `kubectl explain` says the same.
A field in bold must be there. `[]` is each element of a list, `{{}}` each value of a map.
"""
_BOUNDS = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} elements"),
    ("maxItems", "at most {} elements"),
    ("maxProperties", "at most {} keys"),
)


def reference() -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *(part for definition in DEFINITIONS for part in _parts(definition))])


def _parts(definition: Definition) -> Iterator[str]:
    (version,) = custom_resource_definition(definition)["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    for part in ("spec", "status"):
        if part not in schema:
            continue
        rows = "\n".join(_rows(part, schema[part]))
        rules = "\n".join(_rules(part, schema[part]))
        title = part if definition is LLM_DEPLOYMENTS else f"{part} of an {definition.kind}"
        yield f"## {title}\n\n| field | type | meaning |\n|---|---|---|\n{rows}\n"
        if rules:
            yield f"What must hold between the fields of {part}:\n\n{rules}\n"


def _rows(path: str, node: Mapping[str, Any]) -> Iterator[str]:
    for name, field in node.get("properties", {}).items():
        below = f"{path}.{name}"
        shown = f"**`{below}`**" if name in node.get("required", ()) else f"`{below}`"
        yield f"| {shown} | {_type(field)} | {_meaning(field)} |"
        yield from _rows(*_within(below, field))


def _rules(path: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Return the rules of objects; a rule of a single value is its spelling, which its own refusal explains."""
    if "properties" in node:
        for rule in node.get("x-kubernetes-validations", ()):
            yield f"- `{path}`: {rule['message']}."
    for name, field in node.get("properties", {}).items():
        yield from _rules(*_within(f"{path}.{name}", field))


def _within(path: str, field: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the object that a field holds, or the one that a list or map of it repeats."""
    if "items" in field:
        return f"{path}[]", field["items"]
    if isinstance(inner := field.get("additionalProperties"), dict):
        return f"{path}{{}}", inner
    return path, field


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if "x-kubernetes-int-or-string" in field:
        return "integer or string"
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if isinstance(inner := field.get("additionalProperties"), dict):
        return f"map of {_type(inner)}"
    return str(field["type"])


def _meaning(field: Mapping[str, Any]) -> str:
    bounds = ", ".join(text.format(field[key]) for key, text in _BOUNDS if key in field)
    text = " ".join(field.get("description", "").split()).replace("|", "\\|")
    return f"{text} ({bounds})" if bounds else text
