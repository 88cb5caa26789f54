"""`docs/engines.md` and the way to a new engine in CONTRIBUTING.md are as the code is."""

import re
from pathlib import Path
from typing import Final

import pytest

from tokenpace.engines import arguments, description, engine, pod, registry, weights
from tokenpace.engines.page import page
from tokenpace.engines.registry import ADAPTERS
from tokenpace.planning import observation

ROOT: Final = Path(__file__).parents[2]
WALK: Final = (ROOT / "CONTRIBUTING.md").read_text().partition("## Adding an inference server")[2].partition("\n## ")[0]


def test_the_page_is_what_the_adapters_say() -> None:
    assert (ROOT / "docs" / "engines.md").read_text() == page(), "run `make engines`"


@pytest.mark.parametrize("engine_type", sorted(ADAPTERS))
def test_every_value_that_is_legal_is_on_the_page(engine_type: str) -> None:
    section = page().partition(f"(`type: {engine_type}`)\n")[2].partition("\n## ")[0]
    assert all(f"`{value}`" in section for value in ADAPTERS[engine_type].description.quantizations)  # type: ignore[index]


def test_every_file_on_the_way_to_a_new_engine_exists() -> None:
    named = {one for one in re.findall(r"`([\w./]+\.(?:py|yaml|md))`", WALK) if "<" not in one}
    places = (ROOT, ROOT / "operator" / "tokenpace", ROOT / "operator" / "tokenpace" / "engines")
    assert {one for one in named if not any((place / one).exists() for place in places)} == set()
    assert len(named) > 5


def test_every_name_on_the_way_to_a_new_engine_exists() -> None:
    named = set(re.findall(r"`([A-Za-z_]+)`", WALK))
    modules = (arguments, description, engine, pod, registry, weights, observation)
    known = {name for module in modules for name in vars(module)} | set(vars(engine.EngineAdapter))
    fields = {"drain_script", "unmeasured", "None"}
    assert {one for one in named if one not in known} <= fields
    assert fields - {"None"} <= set(pod.EngineContainer.__slots__) | set(observation.Reading.__slots__)


def test_every_target_of_make_on_the_way_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert {one for one in re.findall(r"`make (\w+)`", WALK) if f"\n{one}:" not in makefile} == set()
