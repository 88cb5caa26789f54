import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.controller.manifest import ManifestError, runnable_spec


def test_a_resource_whose_only_variant_is_out_of_use_is_told_what_to_change() -> None:
    spec = LLMDeploymentSpec.model_validate(
        {
            "model": {
                "servedName": "chat",
                "contextTokens": 2048,
                "source": {"image": {"path": "/models", "file": "q8.gguf"}},
            },
            "slo": {"generationTokensPerSecond": 60},
            "variants": [{"name": "q8", "engine": {"type": "LlamaCpp"}, "maxReplicas": 0}],
        }
    )
    with pytest.raises(ManifestError, match=r"^spec\.variants: .* `maxReplicas` > 0\.$"):
        runnable_spec(spec)
