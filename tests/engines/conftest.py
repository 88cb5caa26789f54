from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered pod, and what its engine is told."""

    pod: dict[str, Any]

    @property
    def engine(self) -> dict[str, Any]:
        (engine,) = (one for one in self.pod["containers"] if one["name"] == "engine")
        assert isinstance(engine, dict)
        return engine

    def flag(self, name: str) -> str | None:
        """Return the value after a flag; None without it. A flag is there once."""
        args = self.engine["args"]
        assert args.count(name) <= 1
        return args[args.index(name) + 1] if name in args else None

    def variable(self, name: str) -> Any:
        """Return a variable's value, or where it is from; None without it."""
        found = {one["name"]: one.get("value", one.get("valueFrom")) for one in self.engine["env"]}
        return found.get(name)


@pytest.fixture
def render(start: Start) -> Callable[..., Rendered]:
    """Return the pod of such a spec."""

    def rendered(**fields: Any) -> Rendered:
        launch = start(**fields)
        assert launch.variant.engine is not None
        return Rendered(ADAPTERS[launch.variant.engine.type].pod_template(launch)["spec"])

    return rendered
