"""The CustomResourceDefinitions, generated from the models.

Kubernetes takes a *structural* schema: a type on every node, no references, no null, nothing that it cannot prune by
(kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions", "Specifying a structural schema").
Pydantic writes JSON Schema. What lies between is here; what neither of them means the same by is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from tokenpace.api import names
from tokenpace.api.fields import ApiModel
from tokenpace.api.resource import LLMDeployment
from tokenpace.api.speed_card import LLMSpeedCard

_SAYABLE = frozenset(
    {
        "additionalProperties", "anyOf", "default", "description", "enum", "format", "items", "maxItems", "maxLength",
        "maxProperties", "maximum", "minItems", "minLength", "minimum", "properties", "required", "type",
        "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
    }
)  # fmt: skip
_TYPES = frozenset({"array", "boolean", "integer", "object", "string"})
_INT32_MAX = 2**31 - 1
_EMPTY: tuple[Any, ...] = (None, [], {})


class _KubernetesJsonSchema(GenerateJsonSchema):
    """Pydantic's generator, where Kubernetes means something else: optional fields, defaults, integers."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Describe a field that may be absent. Null is not a value: the API server drops it on the way in."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Spell out the default of an optional object, and leave out defaults that say nothing.

        The API server descends only into what is there: without a default of its own, ``scaling.mode`` would have one
        only for people who write ``scaling: {}``. It must be whole, because rules are tried on it as it stands.
        """
        described = super().default_schema(schema)
        factory = schema.get("default_factory")
        if isinstance(factory, type) and issubclass(factory, ApiModel):
            described["default"] = {key: value for key, value in factory().as_manifest().items() if value not in _EMPTY}
        return {key: value for key, value in described.items() if key != "default" or value not in _EMPTY}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        """Name the width, which typed clients are generated from."""
        width = "int32" if schema.get("le", _INT32_MAX + 1) <= _INT32_MAX else "int64"
        return super().int_schema(schema) | {"format": width}


def structural_schema(model: type[ApiModel]) -> dict[str, Any]:
    """Return the structural schema of a model.

    Raises:
        ValueError: the model uses something that a structural schema cannot say.
    """
    schema = model.model_json_schema(schema_generator=_KubernetesJsonSchema)
    return _structural(schema, schema.get("$defs", {}))


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    named = definitions[node["$ref"].removeprefix("#/$defs/")] if "$ref" in node else {}
    flat = {key: value for key, value in {**named, **node}.items() if key not in {"$ref", "$defs", "title"}}
    if unsayable := flat.keys() - _SAYABLE:
        raise ValueError(f"a structural schema has no {sorted(unsayable)}: {flat}")
    if flat.get("type") not in _TYPES and "x-kubernetes-int-or-string" not in flat:
        raise ValueError(f"a field must have one type, and no float: {flat}")
    if "description" in flat:
        flat["description"] = _documentation(flat)
    for inner in ("items", "additionalProperties"):
        if inner in flat:
            flat[inner] = _structural(flat[inner], definitions)
    if "properties" in flat:
        flat["properties"] = {name: _structural(field, definitions) for name, field in flat["properties"].items()}
    return flat


def _documentation(node: Mapping[str, Any]) -> str:
    """Return a description without the line breaks of the source, and with the default that `explain` does not show."""
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in node["description"].split("\n\n"))
    default = node.get("default")
    return text if default is None or isinstance(default, dict) else f"{text} Default: {default}."


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


_COLUMNS = (
    _column("Variant", "string", ".status.variant", "The variant that serves."),
    _column("Replicas", "integer", ".status.replicas", "Replicas that are asked for."),
    _column("Demand", "string", ".status.tokensPerSecond.demand", "Tokens per second that clients want."),
    _column("Served", "string", ".status.tokensPerSecond.served", "Tokens per second that are generated."),
    _column("Target", "integer", ".spec.slo.generationTokensPerSecond", "Tokens per second that are promised."),
    _column("SLO", "string", '.status.conditions[?(@.type=="SLOMet")].status', "Whether the promise holds now."),
    _column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether the model is served."),
    _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
    _column("Reason", "string", ".status.lastDecision.reason", "Why the fleet is what it is.", wide=True),
)


_CARD_COLUMNS = (
    _column("Model", "string", ".spec.model.name", "The model that was measured."),
    _column("Quantization", "string", ".spec.quantization", "Its precision."),
    _column("Engine", "string", ".spec.engine.type", "The inference server."),
    _column("Hardware", "string", ".spec.hardware.name", "What one replica ran on."),
    _column("Tok/s", "string", ".spec.summary.generatedTokensPerSecond", "Most tokens per second that it generated."),
    _column("Stream", "string", ".spec.summary.streamTokensPerSecond", "What half of the requests saw at least, then."),
    _column("Quality", "string", ".spec.quality.percent", "Per cent of the reference variant's score."),
    _column("Cost/M", "string", ".spec.cost.perMillionGeneratedTokens", "Cost of a million generated tokens."),
    _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created."),
    _column("Measured", "string", ".spec.measurement.date", "When it was measured.", wide=True),
)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CustomResourceDefinition is made of."""

    model: type[ApiModel]
    kind: str
    singular: str
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[dict[str, Any], ...]
    subresources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the definition, as the API server wants it."""
        return f"{self.plural}.{names.GROUP}"

    @property
    def file_name(self) -> str:
        """Name of its file in `crds/` and in the chart."""
        return f"{names.GROUP}_{self.plural}.yaml"


LLM_DEPLOYMENTS = Definition(
    model=LLMDeployment,
    kind=names.KIND,
    singular=names.SINGULAR,
    plural=names.PLURAL,
    short_names=(names.SHORT_NAME,),
    columns=_COLUMNS,
    subresources={
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
)
SPEED_CARDS = Definition(
    model=LLMSpeedCard,
    kind=names.SPEED_CARD_KIND,
    singular=names.SPEED_CARD_SINGULAR,
    plural=names.SPEED_CARD_PLURAL,
    short_names=names.SPEED_CARD_SHORT_NAMES,
    columns=_CARD_COLUMNS,
)
DEFINITIONS = (LLM_DEPLOYMENTS, SPEED_CARDS)


def custom_resource_definition(definition: Definition = LLM_DEPLOYMENTS) -> dict[str, Any]:
    """Return a CustomResourceDefinition as the API server takes it."""
    schema = structural_schema(definition.model)
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": f"Always `{names.API_VERSION}`."},
        "kind": {"type": "string", "description": f"Always `{definition.kind}`."},
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},  # named, for a rule to blame it
        **schema["properties"],
    }
    version = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        **({"subresources": dict(definition.subresources)} if definition.subresources else {}),
        "additionalPrinterColumns": list(definition.columns),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": definition.name,
            # Deleting a CRD deletes every resource of its kind: removing the chart must not.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.singular,
                "shortNames": list(definition.short_names),
                "categories": [names.CATEGORY],
            },
            "versions": [version],
        },
    }


class _PlainDumper(yaml.SafeDumper):
    """YAML as people write it: no anchors, and paragraphs as a block."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the base class's signature)
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_PlainDumper.add_representer(str, _text)


def crd_yaml(definition: Definition = LLM_DEPLOYMENTS) -> str:
    """Return a CustomResourceDefinition as the file that `crds/` holds."""
    described = custom_resource_definition(definition)
    text = yaml.dump(described, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from the models in tokenpace.api by `tokenpace crd`: change those.\n{text}"
