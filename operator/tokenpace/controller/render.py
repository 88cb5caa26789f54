"""The objects of a manifest, without a cluster: what `tokenpace render` prints."""

from typing import Any

import yaml

from tokenpace.api.names import API_VERSION, KIND
from tokenpace.cluster.objects import desired_objects
from tokenpace.controller.manifest import ManifestError, field_problems, parse_spec, runnable_spec


def render(text: str) -> list[dict[str, Any]]:
    """Return the objects of every LLMDeployment in a YAML text, in the order of the text.

    One whose variants all bring their own workloads has none.

    Raises:
        ManifestError: not YAML, not an LLMDeployment, or one that cannot be run.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise ManifestError(f"the manifest is not YAML: {error}") from error
    if not documents:
        raise ManifestError("the manifest holds no LLMDeployment")
    objects: list[dict[str, Any]] = []
    for document in documents:
        if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
            raise ManifestError(f"every document must be an LLMDeployment of {API_VERSION}")
        if not isinstance(document.get("metadata"), dict) or "name" not in document["metadata"]:
            raise ManifestError("metadata.name: must be specified")
        declared = parse_spec(document)
        if found := field_problems(declared):
            raise ManifestError("; ".join(f"{problem.field}: {problem.message}" for problem in found))
        objects += desired_objects(document, runnable_spec(declared))
    return objects
