from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.engines.engine import Launch
from tokenpace.engines.registry import ADAPTERS

Specify = Callable[..., LLMDeploymentSpec]
Start = Callable[..., Launch]


@pytest.fixture
def specify() -> Specify:
    """Return a spec with one llama.cpp variant; arguments replace fields of the variant, `model` those of the model."""

    def specified(model: Mapping[str, Any] | None = None, **variant: Any) -> LLMDeploymentSpec:
        source = {"image": {"path": "/weights", "file": "chat-q8_0.gguf"}}
        return LLMDeploymentSpec.model_validate(
            {
                "model": {"servedName": "chat", "contextTokens": 2048, "source": source, **(model or {})},
                "slo": {"generationTokensPerSecond": 100},
                "variants": [{"name": "q8", "engine": {"type": "LlamaCpp"}, **variant}],
            }
        )

    return specified


@pytest.fixture
def start(specify: Specify) -> Start:
    """Return the launch of such a spec."""

    def started(**fields: Any) -> Launch:
        spec = specify(**fields)
        variant = spec.variants[0]
        source = variant.source or spec.model.source
        assert source is not None
        assert variant.engine is not None
        image = variant.engine.image or ADAPTERS[variant.engine.type].default_image(variant)
        return Launch(spec=spec, variant=variant, source=source, image=image)

    return started
