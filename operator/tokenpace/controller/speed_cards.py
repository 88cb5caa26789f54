"""The speed cards that variants name: found, matched, and put into the spec where it says nothing itself. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from pydantic import ValidationError

from tokenpace.api.names import SPEED_CARD_KIND
from tokenpace.api.reasons import SpeedCardReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.api.variant import Variant
from tokenpace.cluster.comparison import same_amount
from tokenpace.cluster.kinds import Object
from tokenpace.cluster.mirror import Key
from tokenpace.engines.hardware import Hardware, device_count, hardware
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.hourly_costs import unknown_costs

_CARD = "card"
"""Where a mirrored object holds what was read of it: the card, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class CardProblem:
    """Why a variant is not planned from the card that it names."""

    reason: SpeedCardReason
    message: str
    """Names the variant and the cure."""


@dataclass(frozen=True, slots=True)
class SpeedCards:
    """What became of the cards that the variants of one resource name."""

    used: Mapping[str, LLMSpeedCardSpec] = field(default_factory=dict)
    """By variant."""
    problems: tuple[CardProblem, ...] = ()


def keep_card(stored: Object) -> Object:
    """Return what the mirror keeps of an LLMSpeedCard: it is read once, when it comes, and not at every tick."""
    metadata = stored["metadata"]
    kept = {key: metadata[key] for key in ("namespace", "name", "resourceVersion") if key in metadata}
    return {"metadata": kept, _CARD: _read(stored)}


class MirroredCards(Protocol):
    """The speed cards that are there, by namespace and name, as `keep_card` leaves them."""

    def get(self, key: Key, /) -> Object | None:
        """Return one of them; None where there is none."""


def cards_of(spec: LLMDeploymentSpec, namespace: str, mirrored: MirroredCards) -> SpeedCards:
    """Return the cards that the variants name, and what is wrong with those that cannot be used."""
    used: dict[str, LLMSpeedCardSpec] = {}
    problems: list[CardProblem] = []
    for variant in spec.variants:
        if variant.speed_card_ref is None:
            continue
        found = _card_of(variant, spec, namespace, mirrored)
        if isinstance(found, CardProblem):
            problems.append(found)
        else:
            used[variant.name] = found
    return SpeedCards(used, tuple(problems))


def with_cards(spec: LLMDeploymentSpec, cards: SpeedCards, status: LLMDeploymentStatus) -> LLMDeploymentSpec:
    """Return the spec with quality and cost of the cards, where a variant declares none of its own.

    Where a card is gone or says none, quality stays what it was: a floor must not open because somebody deleted an
    object, or measured again and left quality out.
    """
    if all(variant.speed_card_ref is None for variant in spec.variants):
        return spec
    reported = {variant.name: variant.quality for variant in status.variants}
    variants = tuple(
        _with_card(variant, cards.used.get(variant.name), reported.get(variant.name))
        if variant.speed_card_ref is not None
        else variant
        for variant in spec.variants
    )
    return spec.model_copy(update={"variants": variants})


def accuracy(spec: LLMDeploymentSpec, cards: SpeedCards, planned: Finding) -> Finding:
    """Return what to say of a resource's cards: what is wrong with them, else what the planner found.

    Either way, of which variants the cost stays unknown. ``spec`` is the one with the cards' own values.
    """
    told = [problem.message for problem in cards.problems]
    if not cards.problems or planned.verdict is Verdict.FALSE:
        told.append(planned.message)
    if (unknown := unknown_costs(spec)) is not None:
        told.append(unknown)
    verdict, reason = (Verdict.FALSE, cards.problems[0].reason) if cards.problems else (planned.verdict, planned.reason)
    return Finding(verdict, reason, " ".join(told))


def _read(stored: Object) -> LLMSpeedCardSpec | str:
    try:
        return LLMSpeedCardSpec.model_validate(stored.get("spec", {}))
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, ('spec', *first['loc'])))}: {first['msg']}"


def _card_of(
    variant: Variant, spec: LLMDeploymentSpec, namespace: str, mirrored: MirroredCards
) -> LLMSpeedCardSpec | CardProblem:
    name = "" if variant.speed_card_ref is None else variant.speed_card_ref.name
    where = f"spec.variants[{variant.name}].speedCardRef"
    instead = "Until then planning starts from `expected`."
    if (stored := mirrored.get((namespace, name))) is None:
        cure = f"apply one, or correct the name (`kubectl get speedcards -n {namespace}`)"
        message = f"{where}: there is no {SPEED_CARD_KIND} {name} in namespace {namespace}; {cure}. {instead}"
        return CardProblem(SpeedCardReason.NOT_FOUND, message)
    card: LLMSpeedCardSpec | str = stored[_CARD]
    if isinstance(card, str):
        message = f"{where}: {name} cannot be read: {card}; measure it again with this version. {instead}"
        return CardProblem(SpeedCardReason.INVALID, message)
    if differs := mismatch(card, variant, spec):
        message = f"{where}: {name} is a card of {differs}; name one that was measured of this variant. {instead}"
        return CardProblem(SpeedCardReason.OF_ANOTHER, message)
    return card


def mismatch(card: LLMSpeedCardSpec, variant: Variant, spec: LLMDeploymentSpec) -> str | None:
    """Return in what a card is of another variant; None where nothing that both of them say differs.

    Where weights come from a volume or an image, or no quantization is declared, there is nothing to compare with.
    """
    engine = variant.engine.type if variant.engine is not None else variant.metrics
    if engine is not None and card.engine.type is not engine:
        return f"engine {card.engine.type}, and the variant runs {engine}"
    declared = variant.quantization
    if declared is not None and declared.casefold() != card.quantization.casefold():
        return f"quantization {card.quantization}, and the variant is {declared}"
    sources = (variant.source, spec.model.source)
    repositories = [one.hugging_face.repo for one in sources if one is not None and one.hugging_face is not None]
    if repositories and card.model.name not in (*repositories, spec.model.served_name):
        return f"model {card.model.name}, and the variant serves {repositories[0]}"
    return _other_compute(card, variant)


def _other_compute(card: LLMSpeedCardSpec, variant: Variant) -> str | None:
    """Return in what a card's replica had more or less to compute with; of a GPU's pod the CPU does not matter."""
    devices, measured = device_count(variant), card.hardware.accelerators
    if devices and measured and devices != measured:
        return f"{measured} accelerators, and the variant has {devices}"
    limit, cpu = variant.resources.limits.get("cpu"), card.hardware.cpu
    if hardware(variant) is Hardware.CPU and None not in (limit, cpu) and not same_amount(limit, cpu):
        return f"a CPU limit of {cpu}, and the variant has {limit}"
    return None


def _with_card(variant: Variant, card: LLMSpeedCardSpec | None, reported_quality: Decimal | None) -> Variant:
    measured = card.quality.percent if card is not None and card.quality is not None else None
    cost = card.cost.hourly if card is not None and card.cost is not None else None
    known = reported_quality if measured is None else measured
    quality = known if variant.declared_quality is None else variant.declared_quality
    return variant.model_copy(
        update={
            "declared_quality": quality,
            "hourly_cost": cost if variant.hourly_cost is None else variant.hourly_cost,
        }
    )
