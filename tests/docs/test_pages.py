"""Blocks are found wherever Markdown has them."""

from pathlib import Path

import pytest
from tests.docs.pages import blocks, prose

PAGE = """Apply it:

```yaml
kind: A
```

1. In a list:

   ```yaml
   kind: B
   spec:
     x: 1
   ```

   ```console
   $ kubectl get b \\
       --watch
   ```

The end.
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_block_in_a_list_is_found_and_loses_the_indentation_of_the_list(page: Path) -> None:
    assert blocks(page, "yaml") == ["kind: A\n", "kind: B\nspec:\n  x: 1\n"]


def test_only_blocks_in_the_language_are_found(page: Path) -> None:
    assert blocks(page, "console") == ["$ kubectl get b \\\n    --watch\n"]


def test_what_is_in_no_block_is_prose(page: Path) -> None:
    assert prose(page).split() == ["Apply", "it:", "1.", "In", "a", "list:", "The", "end."]
