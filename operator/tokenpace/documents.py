"""JSON that programs read: results of benchmarks, boards and reports. Their schemas are committed under `docs/`."""

import json

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of such a document; its fields are described by the docstrings below them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def json_schema_of(document: type[Part]) -> str:
    """Return the JSON schema of a document, as it is committed."""
    return json.dumps(document.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
