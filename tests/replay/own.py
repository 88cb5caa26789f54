"""What a user brings: two minutes of a trace, and an LLMDeployment."""

from pathlib import Path
from typing import Any

import yaml
from tests.planning.declared import LARGE_POD


def trace(folder: Path, begins: int = 0) -> Path:
    path = folder / "trace.csv"
    rows = (f"{begins + at / 2},{100 + at % 50},{20 + at % 30}" for at in range(240))
    path.write_text("\n".join(("timestamp,prompt,generated", *rows)) + "\n", encoding="utf-8")
    return path


def manifest(folder: Path, **scaling: Any) -> Path:
    path = folder / "chat.yaml"
    variant = {
        "name": "bf16",
        "engine": {"type": "VLLM"},
        "hourlyCost": "2",
        "expected": {**LARGE_POD, "startupSeconds": 30},
    }
    spec = {
        "model": {
            "servedName": "m",
            "contextTokens": 2048,
            "source": {"volume": {"claimName": "models", "path": "m"}},
        },
        "slo": {"stream": {"tokensPerSecond": 20}},
        "variants": [variant],
        "scaling": scaling,
    }
    resource = {"apiVersion": "tokenpace.dev/v1alpha1", "kind": "LLMDeployment", "metadata": {"name": "chat"}}
    path.write_text(yaml.safe_dump({**resource, "spec": spec}), encoding="utf-8")
    return path
