"""The pages of the documentation, and the blocks in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every whole manifest in a YAML block, with where it stands."""
    for page in PAGES:
        for block in blocks(page, "yaml"):
            for number, document in enumerate(yaml.safe_load_all(block)):
                if isinstance(document, dict) and "kind" in document:
                    yield f"{page.name}-{document['kind']}-{number}", document


LLM_DEPLOYMENTS = [(where, found) for where, found in manifests() if found["kind"] == "LLMDeployment"]
