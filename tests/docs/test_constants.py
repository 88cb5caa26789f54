"""Every constant of the planner stands in docs/planning.md, with the value that it has and a reason."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest
from tests.docs.pages import ROOT

from tokenpace import planning

PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
ROWS = {
    name: (value, why.strip())
    for name, value, why in re.findall(
        r"^\| `(\w+)` \| ([^|]+) \|([^|]*)\|$", PAGE[PAGE.index("## Constants") :], re.MULTILINE
    )
    if name.isupper()
}


def constants() -> Iterator[tuple[str, object]]:
    """Yield the names in capitals that modules of the planner give a number, or several."""
    for found in pkgutil.iter_modules(planning.__path__):
        module = importlib.import_module(f"{planning.__name__}.{found.name}")
        for statement in ast.parse(str(module.__loader__.get_source(module.__name__))).body:  # type: ignore[union-attr]
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    yield target.id, getattr(module, target.id)


NUMBERS = {name: value for name, value in constants() if isinstance(value, int | float)}


def number(text: str) -> float:
    """Return the number that a value begins with."""
    first, _, unit = text.partition(" ")
    return float(first) / (100 if unit.startswith("%") else 1)


@pytest.mark.parametrize("name", [*NUMBERS, "TIMEOUT_LEADS"])
def test_a_constant_of_the_planner_has_a_reason(name: str) -> None:
    assert name in ROWS, f"docs/planning.md: Constants: {name} is missing: add its value, its unit and why it is so"
    assert ROWS[name][1], f"docs/planning.md: Constants: {name} has no reason"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_constant_has_the_value_that_is_documented(name: str) -> None:
    assert number(ROWS[name][0]) == pytest.approx(NUMBERS[name])


def test_nothing_is_documented_that_is_no_constant_any_more() -> None:
    assert ROWS.keys() == NUMBERS.keys() | {"TIMEOUT_LEADS"}
