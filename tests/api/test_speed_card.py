"""Speed cards as people and `tokenpace bench` write them: what the schema admits, the model reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from pydantic import ValidationError
from tests.api.test_manifests import SLOW, admitted, defaulted, without_empty
from tests.api.test_schema import is_bounded, nodes

from tokenpace.api.schema import SPEED_CARDS, custom_resource_definition, structural_schema
from tokenpace.api.speed_card import LLMSpeedCard, LLMSpeedCardSpec, summary_of

CARDS = Path(__file__).parent / "speed_cards"
SPEC_SCHEMA = structural_schema(LLMSpeedCardSpec)
NODES = dict(nodes(SPEC_SCHEMA, ".spec"))


def cards(pattern: str) -> Any:
    paths = sorted(CARDS.glob(pattern))
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def read(path: Path) -> LLMSpeedCard:
    return LLMSpeedCard.model_validate(yaml.safe_load(path.read_text()))


@cards("good/*.yaml")
def test_a_good_card_is_read(path: Path) -> None:
    assert read(path).spec.points


@cards("bad/fields/*.yaml")
def test_a_field_that_the_schema_refuses_is_refused_offline_too(path: Path) -> None:
    with pytest.raises(ValidationError):
        read(path)


@cards("bad/rules/*.yaml")
def test_what_only_a_rule_refuses_can_be_read(path: Path) -> None:
    assert read(path).spec.points


@SLOW
@given(admitted(SPEC_SCHEMA["properties"]["fit"]))
def test_whatever_fit_the_schema_admits_is_read_without_loss(fit: dict[str, Any]) -> None:
    whole = yaml.safe_load((CARDS / "good" / "minimal.yaml").read_text())["spec"] | {"fit": fit}
    written = LLMSpeedCardSpec.model_validate(whole).as_manifest()
    assert without_empty(written) == without_empty(defaulted(whole, SPEC_SCHEMA))


def test_every_field_is_described_in_a_sentence() -> None:
    texts = {path: node.get("description", "") for path, node in NODES.items() if not path.endswith("[]")}
    assert {path for path, text in texts.items() if not (text[:1].isupper() and text.endswith("."))} == set()


def test_everything_is_bounded_because_the_cost_of_rules_is_estimated_from_bounds() -> None:
    assert [path for path, node in NODES.items() if not is_bounded(node)] == []


def test_every_column_exists() -> None:
    (version,) = custom_resource_definition(SPEED_CARDS)["spec"]["versions"]
    columns = {column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert columns <= NODES.keys() | {".metadata.creationTimestamp"}


def test_a_sweep_is_summed_up_by_its_fastest_point() -> None:
    (point,) = read(CARDS / "good" / "minimal.yaml").spec.points
    faster = point.model_copy(update={"generated_tokens_per_second": point.generated_tokens_per_second * 2})
    assert summary_of([point, faster, point]).generated_tokens_per_second == faster.generated_tokens_per_second


def test_a_card_is_summed_up_by_one_of_its_points() -> None:
    spec = read(CARDS / "good" / "whole.yaml").spec
    assert spec.summary == summary_of(spec.points)
