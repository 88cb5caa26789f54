"""Learns what one pod's engine spends its seconds on, from what the engine says of itself.

Two measurements hold whatever the traffic: seconds per output token ``y = a + b·x + c·r·k`` and seconds per prompt
token ``c`` (`tokenpace.planning.balance`). An engine that does not time its tokens is read by Little's law, y = k/g;
both sides of that average the same windows. A full pod with a queue is measured directly: its streams are its slots.

Three dangers are met by construction:

- *A noisy gauge of streams* would flatten the line and drag capacity to the speed now served. Streams and times are
  averaged over pods and over `AVERAGING_SECONDS` before they are compared (the equilibrium holds for means over many
  requests, not within one window), and the shares are taken at streams rounded to steps of `EXCITATION`: noise around
  one load looks like one load, and can only raise or lower the line, never turn it.
- *Forgetting without excitation*: nothing fades in time. When decoding is measured, it is believed to be known to no
  better than `OPEN_DEVIATION` as a whole, so that an engine that gets slower is followed; how its time divides into
  steps and tokens stays as it was until the load changes.
- *b and c that cannot be told apart at constant r* only share a correction by their prior deviations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.api.variant import Expected
from tokenpace.planning.balance import Costs, full_share, streams_met
from tokenpace.planning.belief import Belief, Triple, bounded
from tokenpace.planning.observation import Reading
from tokenpace.planning.prior import DECLARED_DEVIATION, first_belief, prior_belief, prior_streams
from tokenpace.planning.work import AVERAGING_SECONDS, Work, decoding_streams

EXCITATION = 1.5
"""Streams that differ by less than this factor are one load."""

ANOTHER_LOAD_DEVIATIONS = 3.0
"""Standard deviations of chance beyond which streams are another load."""

UNEVEN = 3.0
"""Variance of the windows' mean streams, as a multiple of chance's, beyond which pods get uneven loads. Most tokens and
their times are then those of the busy pods, which meet more streams than the mean: nothing is learned of it."""

LINE_DEVIATION = 0.1
"""Standard deviation of log y around the line itself: decode is convex, prefill is not linear."""

SATURATED_DEVIATION = 0.05
"""Likewise of a window with a queue: slots are taken throughout, so that streams are exact and k/g is capacity."""

PROMPT_DEVIATION = 0.1
"""Likewise of an engine's own prefill time per token, in one window."""

LEAST_PROMPT_SHARE = 0.1
"""Of the time from a prompt's start to its first token, at least so much is the prompt's own: requests that ended are
not quite those that began, so that a window may have more steps than time."""

CHANCE_DEVIATION = 0.1
"""What chance alone says of b and c is used until it is believed to be known to within this. Where requests are
timed when they end, they are not quite those of the window, and the line comes out too flat: then a change of load
decides."""

SETTLED_MEAN_WINDOWS = 1.5
"""A window is compared with the mean once that has seen so many: before, it is as good as its own mean."""

RESTORED_DEVIATION = 0.15
"""What was learned before a restart is believed to within this."""

FULL = 0.95
"""Share of the slots that counts as all of them: a scrape may fall between two requests."""

LARGEST_SPREAD = 10.0
"""φ is not believed beyond this: costs may be wrong."""

_NOTHING: Triple = (0.0, 0.0, 0.0)
_DECODING: Triple = (1.0, 1.0, 0.0)
_PROMPTS: Triple = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is believed of the pods of one variant that were rendered from the same inputs."""

    template_hash: str
    belief: Belief | None = None
    """None while nothing was declared and nothing was measured."""
    observed_seconds: float = 0.0
    """How long pods were watched at work."""
    most_streams: float = 1.0
    slots: float | None = None
    """Streams that a pod can have: its batch limit, or as many as fit its memory."""
    kv_tokens: float | None = None
    """Tokens of running requests that fit a pod; None while no queue has shown it."""
    saturated: bool = False
    """Whether a full window was seen since the last restart: capacity is measured, not inferred."""
    work: Work = field(default_factory=Work)
    mixed_seconds: float = 0.0
    """For how long windows will still hold two loads: nothing is learned from them."""

    @property
    def costs(self) -> Costs | None:
        """What the engine spends its seconds on."""
        return None if self.belief is None else self.belief.costs

    @property
    def knows_prompts(self) -> bool:
        """Whether the cost of a prompt token was declared or measured, and not guessed."""
        return self.belief is not None and self.belief.covariance[2][2] <= DECLARED_DEVIATION**2

    @classmethod
    def expected(cls, template_hash: str, expected: Expected, card: LLMSpeedCardSpec | None = None) -> "Learned":
        """Return what is believed before anything was measured here."""
        return cls(
            template_hash=template_hash,
            belief=prior_belief(expected, card),
            most_streams=prior_streams(expected, card),
            slots=None if card is None or card.fit.batch_limit is None else float(card.fit.batch_limit),
        )

    def to_integers(self) -> tuple[int, int, int, int, int] | None:
        """Return what the status keeps; None while there is nothing worth keeping.

        Nanoseconds of a step, of a generated and of a prompt token, seconds of observation, and most streams seen.
        """
        if self.costs is None or self.observed_seconds < 1:
            return None
        return (
            round(self.costs.step_seconds * 1e9),
            round(self.costs.token_seconds * 1e9),
            round(self.costs.prompt_token_seconds * 1e9),
            min(round(self.observed_seconds), 1_000_000),
            min(max(1, round(self.most_streams)), 1_000_000),
        )

    @classmethod
    def from_integers(cls, template_hash: str, integers: tuple[int, int, int, int, int]) -> "Learned | None":
        """Return what the status kept; None if that cannot be (somebody edited it)."""
        step, token, prompt, observed_seconds, most_streams = integers
        if min(integers) < 0 or max(integers) > 10**12 or not (step or token) or not observed_seconds:
            return None
        costs = Costs(bounded(step / 1e9), bounded(token / 1e9), bounded(prompt / 1e9))
        return cls(
            template_hash=template_hash,
            belief=Belief.independent(costs, (RESTORED_DEVIATION,) * 3),
            observed_seconds=float(observed_seconds),
            most_streams=max(1.0, float(most_streams)),
        )


def learn(learned: Learned, readings: Sequence[Reading], request_tokens: float, elapsed_seconds: float) -> Learned:
    """Return what is believed after ``elapsed_seconds`` in which the pods did what their readings say.

    Readings cover their whole window, of which only the elapsed part is new: it is what they weigh. Pods that had
    nothing to do count as long as others had: an arrival may meet an idle pod.

    Args:
        learned: what was believed before.
        readings: of all pods that were rendered from the same inputs.
        request_tokens: generated tokens of the mean request.
        elapsed_seconds: since the last time.
    """
    slots = min((reading.slots for reading in readings if reading.slots is not None), default=learned.slots)
    learned = replace(learned, slots=slots)
    if not any(reading.generated_tokens_per_second > 0 for reading in readings):
        return learned
    learned = replace(learned, observed_seconds=learned.observed_seconds + elapsed_seconds)
    learned = _with_prompts(learned, readings, request_tokens, elapsed_seconds)
    full = [reading for reading in readings if is_full(reading)]
    for reading in full:
        learned = _with_full_window(learned, reading, elapsed_seconds / len(full))
    others = [reading for reading in readings if not is_full(reading)]
    if not others:
        return learned
    learned = _at_one_load(learned, others, request_tokens, elapsed_seconds)
    if learned.mixed_seconds > 0:
        return learned
    learned = _with_mean(learned, others, request_tokens, elapsed_seconds)
    for reading in others:
        learned = _with_chance(learned, reading, request_tokens, elapsed_seconds)
    return learned


def is_full(reading: Reading) -> bool:
    """Tell whether the pod had every slot taken over the whole window, and requests waiting at its end."""
    return (
        reading.slots is not None
        and reading.running_streams >= FULL * reading.slots
        and reading.waiting_requests > 0
        and reading.generated_tokens_per_second > 0
    )


def prompt_token_seconds(reading: Reading, request_tokens: float) -> float | None:
    """Return what a prompt token costs besides the step that its prompt may share with the streams that run.

    With λ prompts/s, ``λ·y`` is the share of the time that goes to such steps if they take as long as all others do;
    without the prompts in them they take ``y·(1 - c·p)`` (`tokenpace.planning.balance`). So the clock's share
    ``c₀·p = c·p + λ·y·(1 - c·p)`` gives c. Taken for c, c₀ would follow the load: of prompts of four tokens on a pod
    with four slots it is three times as much when the pod is full as when it is not.
    """
    measured, step_seconds = reading.seconds_per_prompt_token, reading.seconds_per_output_token
    if measured is None or not reading.prompts_share_steps or step_seconds is None:
        return measured
    tokens_per_second = reading.prompt_tokens_per_second
    steps_share = reading.generated_tokens_per_second / request_tokens * step_seconds
    least = LEAST_PROMPT_SHARE * measured
    if steps_share >= 1.0 or tokens_per_second <= 0:
        return least
    return max(least, (measured * tokens_per_second - steps_share) / (1.0 - steps_share) / tokens_per_second)


def _with_prompts(
    learned: Learned, readings: Sequence[Reading], request_tokens: float, elapsed_seconds: float
) -> Learned:
    """Return the belief after the engines' own prefill times."""
    timed = [
        (reading.prompt_tokens_per_second, seconds)
        for reading in readings
        if (seconds := prompt_token_seconds(reading, request_tokens)) is not None
    ]
    tokens = sum(rate for rate, _ in timed)
    if learned.belief is None or tokens <= 0:
        return learned
    measured = bounded(sum(rate * seconds for rate, seconds in timed) / tokens)
    window_seconds = max(reading.window_seconds for reading in readings)
    belief = learned.belief.corrected(
        shares=_PROMPTS,
        opened=_PROMPTS,
        innovation=math.log(measured / learned.belief.costs.prompt_token_seconds),
        noise=PROMPT_DEVIATION**2 * window_seconds / elapsed_seconds,
    )
    return replace(learned, belief=belief)


def _with_full_window(learned: Learned, reading: Reading, weight_seconds: float) -> Learned:
    """Return the belief after a window in which the pod was full."""
    streams = max(decoding_streams(reading, learned.costs), FULL)
    ratio = reading.prompt_tokens_per_second / reading.generated_tokens_per_second
    return _compared(
        replace(learned, saturated=True, most_streams=max(learned.most_streams, streams)),
        measured=bounded(streams / reading.generated_tokens_per_second),
        met=streams,
        prompt_streams=ratio * streams,
        noise=SATURATED_DEVIATION**2 * reading.window_seconds / weight_seconds,
    )


def _with_mean(learned: Learned, readings: Sequence[Reading], request_tokens: float, elapsed_seconds: float) -> Learned:
    """Return the belief after comparing the averages of time and streams.

    Requests that run together see the same company, so that windows are not independent before about two residence
    times O·y have passed: that is what chance makes the averages uncertain by.
    """
    work = learned.work.after(readings, learned.costs, elapsed_seconds)
    learned = replace(learned, work=work)
    seen = learned.belief is not None or work.seconds >= max(reading.window_seconds for reading in readings)
    if not seen or work.stream_seconds <= 0 or work.tokens <= 0:
        return learned
    if work.variance_of_streams > UNEVEN * _chance_of_windows(learned.costs, work, readings, request_tokens):
        return learned
    streams, seconds_per_token = work.mean_streams, work.seconds_per_token
    met = streams_met(streams, full_share(streams, learned.slots))
    chance = _slope_share(learned.costs, work) ** 2 * _spread(learned.costs, work) * streams / met**2
    residence_seconds = request_tokens * seconds_per_token
    return _compared(
        replace(learned, most_streams=max(learned.most_streams, streams)),
        measured=seconds_per_token,
        met=met,
        prompt_streams=work.prompt_ratio * streams,
        noise=(LINE_DEVIATION**2 * AVERAGING_SECONDS + chance * 2.0 * residence_seconds / len(readings))
        / elapsed_seconds,
    )


def _at_one_load(
    learned: Learned, readings: Sequence[Reading], request_tokens: float, elapsed_seconds: float
) -> Learned:
    """Return what is believed, with an average that begins anew one window after the load has changed.

    A window that holds both loads has the times of the busier one, which generated more tokens, and the mean of both in
    streams. While they last, only the newest is kept, to see whether the load still changes.
    """
    mixed_seconds = max(0.0, learned.mixed_seconds - elapsed_seconds)
    if _is_another_load(learned, readings, request_tokens):
        mixed_seconds = max(reading.window_seconds for reading in readings)
    if mixed_seconds <= 0:
        return learned if learned.mixed_seconds <= 0 else replace(learned, mixed_seconds=0.0, work=Work())
    return replace(learned, mixed_seconds=mixed_seconds, work=Work().after(readings, learned.costs, elapsed_seconds))


def _is_another_load(learned: Learned, readings: Sequence[Reading], request_tokens: float) -> bool:
    """Tell whether the streams of this window are beyond chance different from the average."""
    work = learned.work
    if work.tokens <= 0:
        return False
    mean, now = work.mean_streams, sum(decoding_streams(one, learned.costs) for one in readings) / len(readings)
    chance = math.sqrt(_chance_of_windows(learned.costs, work, readings, request_tokens) / len(readings))
    excited = now > EXCITATION * mean or mean > EXCITATION * now
    return excited and abs(now - mean) > ANOTHER_LOAD_DEVIATIONS * chance


def _chance_of_windows(costs: Costs | None, work: Work, readings: Sequence[Reading], request_tokens: float) -> float:
    """Return the variance by chance of the mean streams of one window: φ·k̄ but for what requests live less than it."""
    window_seconds = max(reading.window_seconds for reading in readings)
    dependence = min(1.0, 2.0 * request_tokens * work.seconds_per_token / window_seconds)
    return _spread(costs, work) * work.mean_streams * dependence


def _spread(costs: Costs | None, work: Work) -> float:
    """Return φ at the mean load."""
    if costs is None:
        return 1.0
    busy = (costs.token_seconds * work.tokens + costs.prompt_token_seconds * work.prompt_tokens) / work.seconds
    return 1.0 / max(1.0 - busy, 1.0 / LARGEST_SPREAD)


def _slope_share(costs: Costs | None, work: Work) -> float:
    """Return the share of a token's time that follows the number of streams."""
    if costs is None:
        return 1.0
    slope = costs.token_seconds + costs.prompt_token_seconds * work.prompt_ratio
    return min(1.0, slope * max(work.mean_streams, 1.0) / work.seconds_per_token)


def _with_chance(learned: Learned, reading: Reading, request_tokens: float, elapsed_seconds: float) -> Learned:
    """Return the belief after comparing one pod's window with the mean of all: ``δy = b·δk + c·δ(p·y)``.

    Chance makes some windows busier than others, at any load, and gives some more prompts for each token: what it says
    of b alone would bend to a c that is wrong. An engine that times its prompts knows c better than chance does.
    Streams are taken as g·y, which has no scrapes in it.
    """
    belief, work, seconds_per_token = learned.belief, learned.work, reading.seconds_per_output_token
    if belief is None:
        return learned
    tells_token, tells_prompt = (belief.covariance[cost][cost] > CHANCE_DEVIATION**2 for cost in (1, 2))
    tells_prompt = tells_prompt and reading.seconds_per_prompt_token is None
    if not (tells_token or tells_prompt):
        return learned
    if seconds_per_token is None or reading.generated_tokens_per_second <= 0:
        return learned
    if work.seconds < SETTLED_MEAN_WINDOWS * reading.window_seconds:
        return learned
    prompt, token, mean = belief.costs.prompt_token_seconds, belief.costs.token_seconds, work.seconds_per_token
    mean_streams = work.stream_seconds / work.seconds
    busier = reading.generated_tokens_per_second * seconds_per_token - mean_streams
    if busier**2 > ANOTHER_LOAD_DEVIATIONS**2 * _chance_of_windows(belief.costs, work, (reading,), request_tokens):
        return learned
    company = token * busier / mean
    mean_prompts = work.prompt_tokens / work.seconds
    prompts = prompt * (reading.prompt_tokens_per_second * seconds_per_token / mean - mean_prompts)
    requests = max(reading.generated_tokens_per_second * reading.window_seconds / request_tokens, 1.0)
    overlap = 1.0 / requests + request_tokens * mean / reading.window_seconds
    spread = _spread(belief.costs, work)
    # A prompt holds up the streams that run just then, and not their mean.
    held_up = (prompt * mean_prompts) ** 2 * spread / max(mean_streams, 1.0) / requests
    variance = (token / mean) ** 2 * spread * mean_streams * overlap + held_up
    corrected = belief.corrected(
        shares=(0.0, company * tells_token, prompts * tells_prompt),
        opened=_NOTHING,
        innovation=seconds_per_token / mean - 1.0 - company - prompts,
        noise=variance * reading.window_seconds / elapsed_seconds,
    )
    return replace(learned, belief=corrected)


def _compared(learned: Learned, *, measured: float, met: float, prompt_streams: float, noise: float) -> Learned:
    """Return the belief after seeing ``measured`` seconds per token where ``met`` streams share a step."""
    belief = learned.belief or first_belief(measured, met)
    costs = belief.costs
    step, token, prompt = costs.step_seconds, costs.token_seconds * met, costs.prompt_token_seconds * prompt_streams
    load = EXCITATION ** round(math.log(met, EXCITATION)) / met
    whole = step + (token + prompt) * load
    corrected = belief.corrected(
        shares=(step / whole, token * load / whole, prompt * load / whole),
        opened=_DECODING,
        innovation=math.log(measured / (step + token + prompt)),
        noise=noise,
    )
    return replace(learned, belief=corrected)
