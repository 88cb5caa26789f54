"""`operator/` is a source root, and must never shadow the standard library's module of that name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_source_root_is_no_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_the_source_root_holds_one_package_and_nothing_else() -> None:
    assert [path.name for path in (ROOT / "operator").iterdir() if path.name != "__pycache__"] == ["tokenpace"]


def test_the_standard_library_is_found_from_the_repository_root() -> None:
    """With `-S` no site-packages preload the module, which would hide the clash."""
    program = "import collections, operator; print(operator.__file__)"
    found = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert not Path(found.strip()).is_relative_to(ROOT)
