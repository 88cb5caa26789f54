"""The scalar types of the resource: what a string or a number in a manifest may be.

Kubernetes API conventions forbid floats, so decimals travel as strings. Every string, integer and list is bounded,
because the API server estimates the cost of CEL rules from the bounds.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

LIST_MAP_BY_NAME: dict[str, JsonValue] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""Schema extra of a list of named objects: names are unique, and server-side apply merges by them."""

REFERENCE: dict[str, JsonValue] = {"x-kubernetes-map-type": "atomic"}
"""Schema extra of a reference: server-side apply replaces it whole, so that two owners cannot mix theirs."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule: what must hold, and what to tell a person when it does not."""

    expression: str
    message: str
    """Names what is wrong and the cure, in words, with field names in back-quotes."""
    field_path: str | None = None
    """The field to blame, below the object that carries the rule, for example ``.replicas``."""
    reason: Literal["FieldValueForbidden", "FieldValueRequired"] | None = None
    """How the API server introduces the message: "Forbidden", "Required value", else "Invalid value"."""

    def as_schema(self) -> dict[str, str]:
        """Return the rule as a CRD spells it."""
        spelled = {
            "rule": self.expression,
            "message": self.message,
            "fieldPath": self.field_path,
            "reason": self.reason,
        }
        return {key: value for key, value in spelled.items() if value is not None}


def rules(*validations: Rule) -> dict[str, Any]:
    """Return the schema extra that carries CEL rules."""
    return {"x-kubernetes-validations": [validation.as_schema() for validation in validations]}


@dataclass(frozen=True, slots=True)
class Matches:
    """A string whose whole must match a pattern, with one message for the API server and for offline use.

    The schema's own ``pattern`` would answer with the regular expression, which tells nobody what to write instead.
    """

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check before whatever the string is turned into."""
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the CEL rule to whatever the string's schema says."""
        return handler(schema) | rules(Rule(f"self.matches(r'^({self.pattern})$')", self.message))

    def _checked(self, value: object) -> object:
        text = plain_decimal(value) if isinstance(value, Decimal) else value
        if not isinstance(text, str):
            raise _refusal(f'must be a string, put quotes around it: "{value}"')
        if not re.fullmatch(self.pattern, text):
            raise _refusal(self.message)
        return value


def _refusal(message: str) -> PydanticCustomError:
    """Return an error that pydantic reports in our words alone."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def plain_decimal(value: Decimal) -> str:
    """Write a decimal without an exponent: 1200, never 1.2E+3."""
    return format(value, "f")


DecimalString = Annotated[
    Decimal,
    PlainSerializer(plain_decimal, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 14}),
    Matches(
        r"(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?",
        'must be a decimal in quotes, with up to seven digits before the point and six after, for example "2.50"',
    ),
]
PercentString = Annotated[
    Decimal,
    PlainSerializer(plain_decimal, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 7}),
    Matches(
        r"100(\.0{1,3})?|[1-9]?[0-9](\.[0-9]{1,3})?",
        'must be a share from 0 to 100 in quotes, with up to three digits after the point, for example "99.5"',
    ),
]
DnsLabel = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    Matches(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "must be lower-case letters, digits and `-`, and must begin and end with a letter or digit",
    ),
]
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(
        r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?",
        "must be the name of an object: lower-case letters, digits, `-` and `.`, a letter or digit at both ends",
    ),
]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=253)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Integer = Annotated[int, Field(strict=True)]
"""An integer that is not a string and not a bool: what the API server calls one."""
Replicas = Annotated[Integer, Field(ge=0, le=64)]
TokensPerSecond = Annotated[Integer, Field(ge=1, le=100_000_000)]
Seconds = Annotated[Integer, Field(ge=0, le=86_400)]
PreservedObject = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""An object that Kubernetes itself defines and checks later: passed through whole, invisible to CEL."""


class ApiModel(BaseModel):
    """A part of the resource: camelCase in manifests, snake_case here, immutable.

    Unknown fields are ignored on reading, because admission belongs to the schema: an operator
    one version behind its CRD must go on serving.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def as_manifest(self) -> dict[str, Any]:
        """Return the part as a manifest spells it, without what is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
