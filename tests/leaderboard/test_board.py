"""Cards beside each other: what compares, what dominates, and what must not be compared."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.speed_cards import speed_card

from tokenpace.leaderboard.board import Board, BoardError, Entry, NamedCard, Question, board, json_schema
from tokenpace.leaderboard.files import cards_in_files
from tokenpace.leaderboard.pareto import Merits, dominated_by, dominates
from tokenpace.leaderboard.table import verdict
from tokenpace.planning.balance import Costs

ROOT = Path(__file__).parents[2]
COSTS = Costs(0.010, 0.020, 0.002)


def named(name: str, *, slower: float = 1.0, quality: str | None = None, cost: str | None = "1", **spec: Any) -> Any:
    costs = Costs(slower * COSTS.step_seconds, slower * COSTS.token_seconds, slower * COSTS.prompt_token_seconds)
    if quality is not None:
        how = {"standardError": "0.3", "method": "perplexity", "dataset": "wikitext-2", "reference": "f16"}
        spec["quality"] = {"percent": quality, **how}
    if cost is not None:
        spec["cost"] = {"hourly": cost}
    return NamedCard(name, speed_card(costs, **spec))


def entries(*cards: NamedCard, **asked: Any) -> dict[str, Entry]:
    return {one.name: one for one in board(cards, Question(**asked)).entries}


def test_the_cards_in_the_docs_make_the_board_in_the_docs() -> None:
    shown = (ROOT / "docs" / "speed-cards.md").read_text(encoding="utf-8")
    for one in board(cards_in_files([ROOT / "docs" / "cards"]), Question()).entries:
        verdict_shown = "dominated by" if one.dominated_by else "on the front"
        (row,) = [line for line in shown.splitlines() if line.startswith(f"| {one.quantization} |")]
        assert verdict_shown in row
        assert f"{one.capacity_per_second:.1f}" in row


def test_the_ladder_is_the_front_and_what_is_slower_and_worse_is_named_with_what_dominates_it() -> None:
    found = entries(
        named("f16", slower=1.6, quality="100"),
        named("q8", quality="99"),
        named("q4-k-m", slower=0.8, quality="95"),
        named("q4-0", slower=0.9, quality="81"),
    )
    assert {name for name, one in found.items() if one.pareto} == {"f16", "q8", "q4-k-m"}
    assert found["q4-0"].dominated_by == ("q4-k-m",)


def test_the_front_comes_first_and_the_best_quality_first_in_it() -> None:
    cards = [named("a", slower=2, quality="50"), named("b", quality="90"), named("c", slower=1.5, quality="100")]
    assert [one.name for one in board(cards, Question()).entries] == ["c", "b", "a"]


def test_cards_measured_with_other_requests_are_asked_for_the_same() -> None:
    short, long = (
        {"promptTokens": prompt, "generatedTokens": "64", "drawn": "fixed lengths"} for prompt in ("10", "1000")
    )
    found = board([named("a", traffic=short), named("b", traffic=long)], Question())
    one, other = found.entries
    assert one.capacity_per_second == other.capacity_per_second
    assert found.terms.prompt_units == 505
    assert any("different lengths" in sentence for sentence in found.assumptions)


def test_longer_prompts_and_faster_streams_leave_less_of_a_replica() -> None:
    def capacity(**asked: Any) -> float:
        found = entries(named("a"), **asked)["a"].capacity_per_second
        assert found is not None
        return found

    assert capacity(prompt_tokens=400) < capacity(prompt_tokens=10)
    assert capacity(stream_tokens_per_second=20) < capacity(stream_tokens_per_second=10)
    assert capacity(stream_tokens_per_second=12, percentile=90) < capacity(stream_tokens_per_second=12)


def test_a_variant_that_cannot_give_a_stream_its_speed_is_never_on_the_front() -> None:
    found = entries(named("fast"), named("slow", slower=3, quality="100"), stream_tokens_per_second=20)
    assert (found["slow"].capacity_per_second, found["slow"].pareto, found["slow"].cost_per_million) == (
        None,
        False,
        None,
    )
    assert found["slow"].lone_stream_per_second < 20


def test_cost_is_that_of_an_hour_by_the_tokens_of_an_hour() -> None:
    one = entries(named("a", cost="3.6"))["a"]
    assert one.capacity_per_second is not None
    assert one.cost_per_million == pytest.approx(1000 / one.capacity_per_second)


def test_what_nobody_measured_stays_unknown() -> None:
    one = entries(named("a", cost=None))["a"]
    assert (one.quality_percent, one.cost_per_million, one.hourly_cost) == (None, None, None)


def test_more_streams_than_were_measured_are_marked() -> None:
    assert entries(named("a", streams=1.0))["a"].extrapolated
    assert not entries(named("a", streams=64.0))["a"].extrapolated


def test_a_batch_limit_bounds_what_a_replica_serves() -> None:
    limited = named("limited", fit=json.loads(speed_card(COSTS).fit.model_dump_json(by_alias=True)) | {"batchLimit": 1})
    found = entries(named("free"), limited)
    free, bound = found["free"].streams, found["limited"].streams
    assert free is not None
    assert bound is not None
    assert bound < 1 < free


OTHER = {"model": {"name": "another"}}


def test_two_models_are_not_compared_unasked() -> None:
    with pytest.raises(BoardError, match=r"another \(1\), m \(1\); choose one with --model"):
        board([named("a"), named("b", **OTHER)], Question())


def test_one_model_can_be_chosen() -> None:
    assert list(entries(named("a"), named("b", **OTHER), model="m")) == ["a"]


def test_a_model_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(BoardError, match=r"no cards of gpt; there are: m \(1\)"):
        board([named("a")], Question(model="gpt"))


def test_models_beside_each_other_are_counted_in_characters() -> None:
    """Of two that are as fast in tokens, the one with longer tokens says more a second."""
    cards = named("a", charactersPerToken="4"), named("b", charactersPerToken="2", **OTHER)
    found = board(cards, Question(all_models=True))
    one, other = sorted(found.entries, key=lambda entry: entry.name)
    assert (found.terms.unit, found.terms.stream_per_second) == ("character", 20.0)
    assert one.capacity_per_second is not None
    assert other.capacity_per_second is not None
    assert one.capacity_per_second > other.capacity_per_second
    assert one.lone_stream_per_second == pytest.approx(2 * other.lone_stream_per_second)


def test_models_of_which_one_has_no_characters_are_not_compared() -> None:
    cards = named("a", charactersPerToken="4"), named("b", **OTHER)
    with pytest.raises(BoardError, match="no `charactersPerToken` in b"):
        board(cards, Question(all_models=True))


def test_two_cards_of_one_name_are_told() -> None:
    with pytest.raises(BoardError, match="several cards are called a"):
        board([named("a"), named("a")], Question())


def test_no_cards_are_an_error_in_words() -> None:
    with pytest.raises(BoardError, match="there are no cards"):
        board([], Question())


def test_the_schema_in_the_documentation_is_the_one_that_is_written() -> None:
    committed = (ROOT / "docs" / "leaderboard.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == json.loads(json_schema())


def test_what_is_written_can_be_read() -> None:
    written = board([named("a", quality="99"), named("b", cost=None)], Question())
    assert Board.model_validate_json(written.model_dump_json()) == written


# --- Domination

known = st.none() | st.floats(0.0, 100.0)
merits = st.builds(Merits, known, known, known)


@given(merits)
def test_nothing_dominates_itself(one: Merits) -> None:
    assert not dominates(one, one)


@given(st.lists(merits, min_size=3, max_size=3))
def test_domination_has_no_circles(three: list[Merits]) -> None:
    for first, second, third in permutations(three):
        if dominates(first, second) and dominates(second, third):
            assert dominates(first, third)
            assert not dominates(third, first)


@given(st.dictionaries(st.sampled_from("abcdef"), merits, min_size=1))
def test_something_is_always_on_the_front(several: dict[str, Merits]) -> None:
    assert any(not dominated_by(name, several) for name in several)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Merits(2.0, 99.0, 1.0), Merits(1.0, None, 1.0)),
        (Merits(2.0, None, 1.0), Merits(1.0, 99.0, 1.0)),
        (Merits(2.0, None, 1.0), Merits(1.0, None, 1.0)),
        (Merits(2.0, 99.0, 1.0), Merits(1.0, 99.0, None)),
        (Merits(2.0, 99.0, None), Merits(1.0, 99.0, 1.0)),
        (Merits(2.0, 99.0, 1.0), Merits(None, 99.0, 1.0)),
    ],
)
def test_what_is_not_known_does_not_compare(one: Merits, other: Merits) -> None:
    assert not dominates(one, other)
    assert not dominates(other, one)


def test_cost_is_left_out_where_nobody_said_what_either_costs() -> None:
    assert dominates(Merits(2.0, 99.0, None), Merits(1.0, 99.0, None))


def test_a_card_without_quality_is_kept_off_by_none_and_the_board_says_so() -> None:
    found = board([named("reference", slower=1.6), named("q4", quality="95")], Question())
    reference = next(one for one in found.entries if one.name == "reference")
    assert (reference.pareto, verdict(reference)) == (True, "not compared: no quality")
    assert any(sentence.startswith("Quality is not known of reference:") for sentence in found.assumptions)


def test_qualities_a_tenth_of_a_point_apart_are_equal() -> None:
    assert dominates(Merits(2.0, 99.01, 1.0), Merits(1.0, 99.04, 1.0))
