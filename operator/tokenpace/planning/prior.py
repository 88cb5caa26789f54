"""What is believed of a pod's speed before it was measured here: log-normal, from a speed card or `expected`."""

import math

from tokenpace.api.speed_card import FittedCost, LLMSpeedCardSpec
from tokenpace.api.variant import Expected
from tokenpace.planning.balance import Costs
from tokenpace.planning.belief import Belief, bounded

DECLARED_DEVIATION = 0.5
"""Standard deviation of the logarithm of a declared cost: it may well be 50 % off."""

GUESSED_DEVIATION = 1.0
"""Likewise of a cost that nobody declared and that follows from another by a rule of thumb."""

FITTED_DEVIATION = 0.15
"""Likewise of a cost on a speed card, beside its standard error: that says how well a sweep fits a line, and nothing of
longer prompts or another day. As much as what was learned before a restart is believed to within."""

ELSEWHERE_DEVIATION = 0.4
"""Of all costs on a speed card together: another node, or its neighbours, make an engine slower as a whole. With 0.15 a
card that is wrong by two would still be wrong by 1.4 after ten minutes; this much makes a right one no less steady."""

STEP_SHARE = 0.5
"""Share of a token's time that is step and not token, where no second speed tells them apart. Half way between what was
measured: 0.99 of a lone stream on GPUs (Llama-2-70B on H100; Splitwise, ISCA 2024), near 0 on small CPU pods."""

SMALLEST_SHARE = 0.001
"""Neither a step nor a token is believed to take less than this share of a lone stream's time: what is nothing could
not be learned away from."""

FITTED_SHARE = 0.1
"""What a fit put to nothing is believed to take at the load at which it shows most: a step of a lone stream's time,
tokens of that at the heaviest load. At 1 ns it is never learned: after an hour at one load a pod that was 40 % slower
than its card had all of it put to the step, and a stream speed that it gives was called unattainable."""

PROMPT_TOKEN_SHARE = 0.4
"""Cost of a prompt token by that of a generated token: 0.11 ms by 0.26 ms in the same measurements."""

USUAL_STREAMS = 16
"""Streams at which `generationTokensPerSecond` is taken to have been seen when `atStreams` is not given."""


def prior_belief(expected: Expected, card: LLMSpeedCardSpec | None) -> Belief | None:
    """Return what is believed before anything was measured here: the card's word, without one that of `expected`."""
    return declared_belief(expected) if card is None else card_belief(card)


def prior_streams(expected: Expected, card: LLMSpeedCardSpec | None) -> float:
    """Return the most streams that a pod is known to have been seen with, here or elsewhere."""
    if card is None:
        return declared_streams(expected)
    return max(1.0, *(float(point.streams) for point in card.points))


def prior_startup_seconds(expected: Expected, card: LLMSpeedCardSpec | None) -> float | None:
    """Return the lead time that was measured, else declared; None where nobody said."""
    measured = None if card is None else card.startup_seconds
    seconds = expected.startup_seconds if measured is None else measured
    return None if seconds is None else float(seconds)


def card_belief(card: LLMSpeedCardSpec) -> Belief:
    """Return what a speed card makes believe of pods that run here."""
    return fitted_belief(card).sharing(ELSEWHERE_DEVIATION)


def fitted_belief(card: LLMSpeedCardSpec) -> Belief:
    """Return what a speed card says of the pods that it was measured on.

    A standard error of e around n is that of a log-normal with a variance of ``log(1 + (e/n)²)``. No cost is believed
    to be known worse than one that was guessed.

    A cost that the fit put to nothing is one that the sweep does not tell from the others, whatever error it states:
    it gets `FITTED_SHARE` of the time in which it shows most, with the deviation of a guess, so that it can be learned.
    The time of a token at the heaviest load that was measured stays what it was.
    """
    fitted = (card.fit.step, card.fit.generated_token, card.fit.prompt_token)
    step, token, prompt = (bounded(one.nanoseconds / 1e9) for one in fitted)
    first, second, third = map(_deviation, fitted)
    streams = prior_streams(Expected(), card)
    heaviest_seconds = step + token * streams
    if token * streams < SMALLEST_SHARE * heaviest_seconds:
        step, token = (1.0 - FITTED_SHARE) * heaviest_seconds, FITTED_SHARE * heaviest_seconds / streams
        second = GUESSED_DEVIATION
    elif step < SMALLEST_SHARE * (step + token):
        lone_seconds = heaviest_seconds / (FITTED_SHARE + (1.0 - FITTED_SHARE) * streams)
        step, token = FITTED_SHARE * lone_seconds, (1.0 - FITTED_SHARE) * lone_seconds
        first = GUESSED_DEVIATION
    if prompt < SMALLEST_SHARE * token:
        prompt, third = _prompt(token), GUESSED_DEVIATION
    return Belief.independent(Costs(step, token, prompt), (first, second, third))


def _deviation(cost: FittedCost) -> float:
    relative = cost.standard_error_nanoseconds / cost.nanoseconds
    return min(math.sqrt(math.log1p(relative**2) + FITTED_DEVIATION**2), GUESSED_DEVIATION)


def declared_belief(expected: Expected) -> Belief | None:
    """Return what `expected` says of the balance; None where it says nothing of generation.

    A single stream takes a + b a token, and k streams that keep running together take a + b·k each.
    """
    total = expected.generation_tokens_per_second
    lone = None if expected.stream_tokens_per_second is None else 1.0 / expected.stream_tokens_per_second
    streams = declared_streams(expected)
    deviation = GUESSED_DEVIATION
    if total is not None and lone is not None and streams > 1:
        token = (streams / total - lone) / (streams - 1.0)
        token = min(max(token, SMALLEST_SHARE * lone), (1.0 - SMALLEST_SHARE) * lone)
        step, deviation = lone - token, DECLARED_DEVIATION
    elif total is not None:
        step, token = _split(streams / total, streams)
    elif lone is not None:
        step, token = _split(lone, 1.0)
    else:
        return None
    prefill = expected.prefill_tokens_per_second
    if prefill is None:
        return Belief.independent(Costs(step, token, _prompt(token)), (deviation, deviation, GUESSED_DEVIATION))
    return Belief.independent(Costs(step, token, 1.0 / prefill), (deviation, deviation, DECLARED_DEVIATION))


def declared_streams(expected: Expected) -> float:
    """Return the most streams that a pod was declared to have been seen with."""
    return 1.0 if expected.generation_tokens_per_second is None else float(expected.at_streams or USUAL_STREAMS)


def first_belief(seconds_per_token: float, streams_met: float) -> Belief:
    """Return what a first measurement says where nothing was declared: its time, split by the rules of thumb."""
    step, token = _split(seconds_per_token, max(streams_met, 1.0))
    return Belief.independent(Costs(step, token, _prompt(token)), (GUESSED_DEVIATION,) * 3)


def _split(seconds_per_token: float, streams: float) -> tuple[float, float]:
    """Divide the time of a token into a and b."""
    step = STEP_SHARE * seconds_per_token
    return bounded(step), bounded((seconds_per_token - step) / streams)


def _prompt(token_seconds: float) -> float:
    return bounded(PROMPT_TOKEN_SHARE * token_seconds)
