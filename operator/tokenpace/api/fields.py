"""The scalar types of the resource: what a string or a number in a manifest may be.

Kubernetes API conventions forbid floats, so decimals travel as strings with a pattern; every
string, integer and list is bounded, because CEL's cost is estimated from the bounds.
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

DECIMAL_PATTERN = r"^(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?$"
"""A decimal as `kubectl apply` accepts it: at most seven digits before the point and six after."""

PERCENT_PATTERN = r"^(100(\.0{1,3})?|[1-9]?[0-9](\.[0-9]{1,3})?)$"
"""A share from 0 to 100 with at most three digits after the point."""

DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def _decimal_string(pattern: str, length: int) -> Any:
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": length})


def _reject_floats(value: object) -> object:
    """Refuse what the API server's schema refuses too: 2.5 for "2.5"."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f'must be a string, put quotes around it: "{value}"')
    return value


DecimalString = Annotated[
    Decimal,
    BeforeValidator(_reject_floats),
    PlainSerializer(str, return_type=str),
    _decimal_string(DECIMAL_PATTERN, 14),
]
PercentString = Annotated[
    Decimal,
    BeforeValidator(_reject_floats),
    Field(ge=0, le=100),
    PlainSerializer(str, return_type=str),
    _decimal_string(PERCENT_PATTERN, 7),
]
DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=253)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Replicas = Annotated[int, Field(ge=0, le=64)]
TokensPerSecond = Annotated[int, Field(ge=1, le=100_000_000)]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
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


def rules(*validations: tuple[str, str]) -> dict[str, Any]:
    """Return the schema extra that carries CEL rules, given as (expression, message) pairs."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in validations]}
