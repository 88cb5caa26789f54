import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from tests.bench.results import a_point, a_quality, a_result

from tokenpace.api.speed_card import LLMSpeedCard
from tokenpace.bench.card import card, card_name
from tokenpace.bench.errors import BenchError
from tokenpace.bench.quality import compared
from tokenpace.bench.result import json_schema
from tokenpace.planning.prior import GUESSED_DEVIATION, fitted_belief

ROOT = Path(__file__).resolve().parents[2]


def test_a_result_becomes_a_card_that_the_model_admits() -> None:
    made = card(a_result(), "llama-awq")
    read = LLMSpeedCard.model_validate(yaml.safe_load(yaml.safe_dump(made)))
    assert made["metadata"] == {"name": "llama-awq"}
    assert read.spec.summary.generated_tokens_per_second == Decimal(256)
    assert [point.saturated for point in read.spec.points] == [False, False, True]
    assert read.spec.fit.step.nanoseconds == 20_000_000
    assert read.spec.measurement.command == "tokenpace bench --url=http://127.0.0.1:8000 --card=-"


def test_a_cost_that_the_others_explain_is_a_nanosecond_that_planning_does_not_take_for_precise() -> None:
    made = card(a_result(), "one")
    assert made["spec"]["fit"]["promptToken"]["nanoseconds"] == 1
    believed = fitted_belief(LLMSpeedCard.model_validate(made).spec)
    assert believed.covariance[2][2] == pytest.approx(GUESSED_DEVIATION**2)


def test_answers_are_as_long_as_they_came_and_not_as_they_were_asked_for() -> None:
    lone = a_result().lone.model_copy(update={"generated_tokens": 12.5})
    assert card(a_result(lone=lone), "one")["spec"]["traffic"]["generatedTokens"] == "12.5"


def test_points_that_were_refused_are_not_on_the_card() -> None:
    points = (a_point(1.0), a_point(2.0, refused="the generator lagged"))
    assert len(card(a_result(points=points), "one")["spec"]["points"]) == 1


def test_quality_better_than_the_references_is_100_per_cent_on_the_card() -> None:
    better = compared(a_quality(-1.0, -1.2), a_quality(-1.3, -1.2), "SmolLM2 f16")
    quality = card(a_result(quality=better), "one")["spec"]["quality"]
    assert (quality["percent"], quality["reference"]) == ("100", "SmolLM2 f16")


def test_quality_without_a_reference_is_not_on_the_card() -> None:
    assert "quality" not in card(a_result(quality=a_quality(-1.0, -1.2)), "one")["spec"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantization": None}, "--quantization"),
        ({"fit": None}, "--completions"),
        ({"points": (a_point(1.0, refused="lag"),)}, "no point"),
    ],
)
def test_a_result_without_what_a_card_has_says_which_option_gives_it(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        card(a_result(**changes), "one")


def test_a_card_is_called_after_model_quantization_and_engine() -> None:
    assert card_name(a_result()) == "llama-3-1-8b-instruct-awq-vllm"


def test_cards_of_a_long_name_differ_by_quantization_and_engine() -> None:
    name = card_name(a_result(model="m" * 80, quantization="Q4_K_M"))
    assert (len(name), name.endswith("m-q4-k-m-vllm")) == (63, True)


def test_the_committed_schema_is_that_of_the_result() -> None:
    committed = (ROOT / "docs" / "bench-result.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == json.loads(json_schema())
