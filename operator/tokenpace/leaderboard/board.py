"""The leaderboard as a value, which is also its JSON. Its JSON schema is committed beside the documentation. Pure.

Cards are measured with requests of different lengths, on machines with different queues. What compares is not what they
served then, but what each replica would serve of the same requests while every stream keeps the same speed: that is the
planner's own capacity (`tokenpace.planning.balance`), of the costs that were fitted to each card's sweep.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from statistics import fmean
from typing import Final, Literal

from tokenpace.api.slo import SLO, FirstTokenTarget, StreamTarget
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.variant import Expected
from tokenpace.documents import Part, json_schema_of
from tokenpace.leaderboard.pareto import Merits, dominated_by
from tokenpace.planning.balance import EXTRAPOLATION, Shape, Targets, capacity, lone_stream_seconds
from tokenpace.planning.estimate import targets_of
from tokenpace.planning.prior import fitted_belief, prior_streams

VERSION: Final = 1
"""Of the schema. A field that is added does not change it; one that goes, or means something else, does."""

CHARACTERS_PER_TOKEN: Final = 4.0
"""Of English text, in the mean of common tokenizers: what a stream target in tokens means where tokenizers differ."""

WAIT_SECONDS: Final = 5.0
"""Mean wait for a slot that is not yet a queue, where no first-token target says: the operator's tick."""


class BoardError(Exception):
    """Cards that cannot be compared; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class NamedCard:
    """A card, and what it is called."""

    name: str
    card: LLMSpeedCardSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What cards are asked: how much of which requests, at which speed."""

    stream_tokens_per_second: int = 5
    """About as fast as one reads."""
    percentile: int = 50
    first_token_milliseconds: int | None = None
    prompt_tokens: float | None = None
    """None is the mean of the cards."""
    generated_tokens: float | None = None
    """Likewise."""
    model: str | None = None
    """Only cards of this model; None where all are of one."""
    all_models: bool = False


class Terms(Part):
    """What every card was asked."""

    unit: Literal["token", "character"]
    """What speeds and costs are counted in: characters where models with different tokenizers are compared."""
    stream_per_second: float
    """Speed that each stream must have at least, in units."""
    percentile: int
    """Per cent of requests whose streams must be at least this fast."""
    first_token_milliseconds: int | None
    """Time in which 95 % of requests must have their first token; null where that is not asked."""
    prompt_units: float
    """Length of the mean request's prompt."""
    generated_units: float
    """Length of the mean answer."""


class Entry(Part):
    """One measured variant. Speeds and costs are of one replica."""

    name: str
    model: str
    engine: str
    engine_version: str
    quantization: str
    hardware: str
    capacity_per_second: float | None
    """Units that a replica generates at which every target holds; null where it keeps them at no load."""
    streams: float | None
    """Mean streams at that load."""
    extrapolated: bool
    """Whether these are more streams than were measured."""
    lone_stream_per_second: float
    """Speed of a stream that has a replica to itself: no target above it can be met."""
    quality_percent: float | None
    """Per cent of the reference's score; null where it was not measured."""
    quality_method: str | None
    """Method, data set and reference."""
    hourly_cost: float | None
    cost_per_million: float | None
    """Of a million generated units at `capacity_per_second`; null where the card has no cost."""
    pareto: bool
    """Whether no other entry is better in something and worse in nothing; true of those without quality, too, which do
    not compare."""
    dominated_by: tuple[str, ...]
    """The entries that are."""
    measured: str
    """When, in UTC."""
    command: str
    """What measures it again."""


class Board(Part):
    """Measured variants beside each other."""

    version: int = VERSION
    tokenpace: str
    """The version that compared them."""
    terms: Terms
    entries: tuple[Entry, ...]
    """The Pareto front first, best quality first within each half."""
    assumptions: tuple[str, ...]
    """What the comparison takes for granted, in sentences."""


def json_schema() -> str:
    """Return the JSON schema of the board."""
    return json_schema_of(Board)


def board(cards: Sequence[NamedCard], asked: Question) -> Board:
    """Return the cards beside each other.

    Raises:
        BoardError: there are none, or of several models though nobody asked for that.
    """
    chosen = _chosen(cards, asked)
    by_characters = len({one.card.model.name for one in chosen}) > 1
    terms = _terms([one.card for one in chosen], asked, by_characters=by_characters)
    entries = [_entry(one, terms, asked) for one in chosen]
    merits = {one.name: Merits(one.capacity_per_second, one.quality_percent, one.cost_per_million) for one in entries}
    worse = {name: dominated_by(name, merits) for name in merits}
    judged = [
        one.model_copy(
            update={
                "dominated_by": worse[one.name],
                "pareto": one.capacity_per_second is not None and not worse[one.name],
            }
        )
        for one in entries
    ]
    return Board(
        tokenpace=version("tokenpace"),
        terms=terms,
        entries=tuple(sorted(judged, key=_place)),
        assumptions=tuple(_assumptions(chosen, judged, terms)),
    )


def _chosen(cards: Sequence[NamedCard], asked: Question) -> list[NamedCard]:
    chosen = [one for one in cards if asked.model in (None, one.card.model.name)]
    models = Counter(one.card.model.name for one in cards)
    told = ", ".join(f"{name} ({count})" for name, count in sorted(models.items()))
    if not chosen:
        raise BoardError(f"there are no cards of {asked.model}; there are: {told}" if cards else "there are no cards")
    if len({one.card.model.name for one in chosen}) > 1:
        if not asked.all_models:
            raise BoardError(f"cards of {len(models)} models: {told}; choose one with --model, or --all-models")
        if silent := ", ".join(one.name for one in chosen if one.card.characters_per_token is None):
            raise BoardError(
                f"different models compare by characters, and there is no `charactersPerToken` in {silent}"
            )
    twice = [name for name, count in Counter(one.name for one in chosen).items() if count > 1]
    if twice:
        raise BoardError(f"several cards are called {', '.join(twice)}: rename them")
    return chosen


def _terms(cards: Sequence[LLMSpeedCardSpec], asked: Question, *, by_characters: bool) -> Terms:
    """Return what is asked of every card: lengths that nobody named are the cards' mean."""
    target = CHARACTERS_PER_TOKEN if by_characters else 1.0
    units = [_units(card, by_characters=by_characters) for card in cards]
    prompts = fmean(float(card.traffic.prompt_tokens) * unit for card, unit in zip(cards, units, strict=True))
    answers = fmean(float(card.traffic.generated_tokens) * unit for card, unit in zip(cards, units, strict=True))
    return Terms(
        unit="character" if by_characters else "token",
        stream_per_second=asked.stream_tokens_per_second * target,
        percentile=asked.percentile,
        first_token_milliseconds=asked.first_token_milliseconds,
        prompt_units=prompts if asked.prompt_tokens is None else asked.prompt_tokens * target,
        generated_units=answers if asked.generated_tokens is None else asked.generated_tokens * target,
    )


def _units(card: LLMSpeedCardSpec, *, by_characters: bool) -> float:
    """Return the units in a token."""
    return float(card.characters_per_token or 1) if by_characters else 1.0


def _entry(one: NamedCard, terms: Terms, asked: Question) -> Entry:
    card, costs = one.card, fitted_belief(one.card).costs
    unit = _units(card, by_characters=terms.unit == "character")
    most = prior_streams(Expected(), card)
    load = capacity(
        costs,
        Shape(terms.prompt_units / unit, terms.generated_units / unit),
        _targets(terms, asked, unit),
        slots=None if card.fit.batch_limit is None else float(card.fit.batch_limit),
        most_streams=most,
    )
    hourly = None if card.cost is None else float(card.cost.hourly)
    speed = None if load is None else load.tokens_per_second * unit
    return Entry(
        name=one.name,
        model=card.model.name,
        engine=card.engine.type,
        engine_version=card.engine.version,
        quantization=card.quantization,
        hardware=card.hardware.name,
        capacity_per_second=speed,
        streams=None if load is None else load.streams,
        extrapolated=load is not None and load.streams > most,
        lone_stream_per_second=unit / lone_stream_seconds(costs),
        quality_percent=None if card.quality is None else float(card.quality.percent),
        quality_method=_method(card),
        hourly_cost=hourly,
        cost_per_million=None if hourly is None or not speed else hourly / (speed * 3600) * 1e6,
        pareto=False,
        dominated_by=(),
        measured=f"{card.measurement.date:%Y-%m-%dT%H:%M:%SZ}",
        command=card.measurement.command,
    )


def _method(card: LLMSpeedCardSpec) -> str | None:
    quality = card.quality
    return None if quality is None else f"{quality.method} on {quality.dataset}, {quality.reference} is 100 %"


def _targets(terms: Terms, asked: Question, unit: float) -> Targets:
    first = asked.first_token_milliseconds
    slo = SLO(
        stream=StreamTarget(tokens_per_second=asked.stream_tokens_per_second, percentile=asked.percentile),
        time_to_first_token=None if first is None else FirstTokenTarget(milliseconds=first),
    )
    wait_seconds = WAIT_SECONDS if first is None else first / 1000
    return replace(targets_of(slo, wait_seconds), stream_seconds_per_token=unit / terms.stream_per_second)


def _place(one: Entry) -> tuple[bool, bool, float, float, str]:
    return (
        not one.pareto,
        one.capacity_per_second is None,
        -(one.quality_percent or 0.0),
        -(one.capacity_per_second or 0.0),
        one.name,
    )


def _assumptions(chosen: Sequence[NamedCard], entries: Sequence[Entry], terms: Terms) -> list[str]:
    told = ["A replica's capacity follows from the costs fitted to its card; requests are taken to arrive at random."]
    if any(one.cost_per_million is not None for one in entries):
        told.append(f"Cost is that of an hour by the {terms.unit}s of an hour at capacity, in one currency for all.")
    if any(one.extrapolated for one in entries):
        told.append(
            f"Where marked ~ it takes more streams than the sweep had, at most {EXTRAPOLATION} times as many; engines "
            "are slower there than a line says."
        )
    if silent := ", ".join(one.name for one in entries if one.quality_percent is None):
        told.append(
            f"Quality is not known of {silent}: neither better nor worse than any other. `tokenpace bench --quality` "
            "with `--reference` measures it; the best variant is its own reference, `--reference self`."
        )
    costs = [one.hourly_cost for one in entries]
    if None in costs and any(cost is not None for cost in costs):
        told.append("Cards with a cost and cards without one do not compare.")
    methods = {one.quality_method for one in entries if one.quality_method is not None}
    if len(methods) > 1:
        told.append(
            f"Quality was measured in different ways, which do not quite compare: {'; '.join(sorted(methods))}."
        )
    if terms.unit == "character":
        told.append(
            f"Models have different tokenizers, so that characters are counted; a token of a target is "
            f"{CHARACTERS_PER_TOKEN:g} of them, and a prompt's token as long as an answer's."
        )
    lengths = {(one.card.traffic.prompt_tokens, one.card.traffic.generated_tokens) for one in chosen}
    if len(lengths) > 1:
        told.append("Cards were measured with requests of different lengths; a prompt token is taken to cost the same.")
    return told
