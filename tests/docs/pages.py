"""The pages of the documentation, and the blocks in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Return every block in a language, without the indentation that a list gives it."""
    return [
        re.sub(rf"^{found['indent']}", "", found["body"], flags=re.MULTILINE)
        for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if found["language"] == language
    ]


def prose(page: Path) -> str:
    """Return what is in no block."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every whole manifest in a YAML block, with where it stands."""
    for page in PAGES:
        for block in blocks(page, "yaml"):
            for number, document in enumerate(yaml.safe_load_all(block)):
                if isinstance(document, dict) and "kind" in document:
                    yield f"{page.name}-{document['kind']}-{number}", document


LLM_DEPLOYMENTS = [(where, found) for where, found in manifests() if found["kind"] == "LLMDeployment"]
