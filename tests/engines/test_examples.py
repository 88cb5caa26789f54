"""The manifests in `examples/`: whatever they declare can be launched, every rung of a ladder."""

import json
from pathlib import Path

import pytest
import yaml
from kubernetes.client import ApiClient

from tokenpace.api.resource import LLMDeployment
from tokenpace.engines.engine import Launch
from tokenpace.engines.registry import adapter_of, problems

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_variant_of_an_example_can_run(example: Path) -> None:
    spec = LLMDeployment.model_validate(yaml.safe_load(example.read_text())).spec
    assert [problem for variant in spec.variants for problem in problems(spec, variant)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_variant_of_an_example_is_rendered_as_kubernetes_knows_pods(example: Path) -> None:
    spec = LLMDeployment.model_validate(yaml.safe_load(example.read_text())).spec
    client = ApiClient()
    for variant in spec.variants:
        source = variant.source or spec.model.source
        if variant.engine is None or source is None:
            continue
        adapter = adapter_of(variant)
        image = variant.engine.image or adapter.default_image(variant)
        assert image is not None
        template = adapter.pod_template(Launch(spec=spec, variant=variant, source=source, image=image))
        known = client.deserialize(json.dumps(template), "V1PodTemplateSpec", "application/json")
        assert client.sanitize_for_serialization(known) == template  # type: ignore[no-untyped-call]
