"""Whether speed cards are what live traffic shows: both are asked for the stream speed at the load that pods have."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tokenpace.api.reasons import SpeedCardReason
from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.planning.balance import Costs, Shape, full_share, pod_load, streams_met
from tokenpace.planning.basis import Basis
from tokenpace.planning.belief import Triple
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.learning import Learned
from tokenpace.planning.prior import fitted_belief
from tokenpace.planning.wording import shown

DISAGREES_DEVIATIONS = 2.0
"""Standard deviations of both, taken together, beyond which a card is not what is seen."""

AGREES_DEVIATIONS = 1.0
"""Within so many it is again. What lies between stays as it was, so that noise does not send a condition to and fro."""

SMALLEST_STREAMS = 0.01
"""A load below this is compared as this: a lone stream's speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A card and live traffic at one load of a replica."""

    variant: str
    streams: float
    card_tokens_per_second: float
    """Of a stream."""
    live_tokens_per_second: float
    deviations: float
    """By how many standard deviations they differ."""

    def __str__(self) -> str:
        """Return both numbers in a sentence."""
        return (
            f"{self.variant}: with {shown(self.streams)} streams on a replica its speed card gives each "
            f"{shown(self.card_tokens_per_second)} tokens/s, live traffic {shown(self.live_tokens_per_second)}."
        )


def compare(variant: str, card: LLMSpeedCardSpec, learned: Learned, shape: Shape) -> Comparison | None:
    """Return what a card and live traffic say of the load that was seen; None where nothing was learned yet.

    The variances are those of the two beliefs, along the shares that steps, tokens and prompts have of a token's time
    at that load: a cost that plays no part there is not compared.
    """
    live, said, work = learned.belief, fitted_belief(card), learned.work
    if live is None:
        return None
    measured = work.tokens > 0 and work.seconds > 0
    streams = max(work.mean_streams if measured else learned.most_streams, SMALLEST_STREAMS)
    if learned.slots is not None:
        streams = min(streams, learned.slots)
    seen = Shape(work.prompt_ratio * shape.generated_tokens, shape.generated_tokens) if measured else shape
    shares = _shares(live.costs, seen, streams, learned.slots)
    said_seconds, live_seconds = (
        pod_load(one.costs, seen, streams, learned.slots).seconds_per_token for one in (said, live)
    )
    deviation = math.hypot(said.deviation(shares), live.deviation(shares))
    return Comparison(
        variant=variant,
        streams=streams,
        card_tokens_per_second=1.0 / said_seconds,
        live_tokens_per_second=1.0 / live_seconds,
        deviations=abs(math.log(live_seconds / said_seconds)) / deviation,
    )


def disagreeing(basis: Basis, before: Collection[str]) -> frozenset[str]:
    """Return the variants whose cards are not what is seen, given those of which that was known ``before``."""
    return frozenset(
        one.variant
        for one in _comparisons(basis)
        if one.deviations > (AGREES_DEVIATIONS if one.variant in before else DISAGREES_DEVIATIONS)
    )


def speed_cards_accurate(basis: Basis) -> Finding:
    """Return whether the cards that are planned from are what live traffic shows."""
    cards, doubted = basis.sight.observation.speed_cards, basis.memory.disagreeing_cards
    if not cards:
        return Finding(Verdict.TRUE, SpeedCardReason.NO_SPEED_CARDS, "No variant is planned from a speed card.")
    compared = {one.variant: one for one in _comparisons(basis)}
    wrong = [str(compared[name]) for name in sorted(doubted & compared.keys())]
    if wrong:
        cure = (
            "Planning goes by live traffic. Measure the card again on such a node and with such requests, "
            "or take `speedCardRef` away."
        )
        return Finding(Verdict.FALSE, SpeedCardReason.DISAGREES, " ".join((*wrong, cure)))
    if unseen := ", ".join(sorted(cards.keys() - compared.keys())):
        message = f"Too little work was seen to compare the speed cards of {unseen}; planning goes by the cards."
        return Finding(Verdict.UNKNOWN, SpeedCardReason.NOT_COMPARED, message)
    names = ", ".join(sorted(compared))
    return Finding(Verdict.TRUE, SpeedCardReason.AGREE, f"Live traffic is what the speed cards say of {names}.")


def _comparisons(basis: Basis) -> Iterator[Comparison]:
    for name, card in basis.sight.observation.speed_cards.items():
        believed = basis.estimate.variants.get(name)
        if believed is not None and believed.proven:
            one = compare(name, card, believed.learned, basis.estimate.shape)
            if one is not None:
                yield one


def _shares(costs: Costs, shape: Shape, streams: float, slots: float | None) -> Triple:
    """Return the shares of steps, generated tokens and prompt tokens in a token's time."""
    step = costs.step_seconds
    token = costs.token_seconds * streams_met(streams, full_share(streams, slots))
    prompt = costs.prompt_token_seconds * shape.prompt_ratio * streams
    whole = step + token + prompt
    return step / whole, token / whole, prompt / whole
