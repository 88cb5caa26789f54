"""The engine-second balance: what one pod can serve while every latency target holds.

A busy engine spends each second on decode steps, on the tokens that these generate and on prompts (design, section 4):
``1 = a·g/k + b·g + c·p``, with g generated and p prompt tokens/s and k streams. For one stream that is
``y = (a + b·x)/(1 - c·p)`` seconds a token, x being the streams that share its steps, itself among them.

*What a stream meets.* Requests that arrive at random meet the k̄ others that run on average, and join them unless all K
slots are taken (Wolff, Poisson arrivals see time averages, Operations Research 30(2), 1982): ``x = k̄ + 1 - P(full)``.
With Little's law k̄ = g·y, everything about a pod follows from its mean streams k̄ and r = p/g:

    y = a + b·(k̄ + 1 - P(full)) + c·r·k̄,    g = k̄/y.

Summing the balance equations of a queue whose rate of service depends on the number served proves it for any K. With no
limit on slots it is the design's ``k̄ = (a + b)·g/(1 - b·g - c·p)``, the mean of a negative binomial number of streams.
Planning with x = k̄ instead, as if streams never came and went, promises all the throughput of a pod with a near 0
(small CPU pods), at which its queue has no end. With least-request balancing n pods share their streams evenly, and an
arrival adds only 1/n to each: the 1 becomes 1/n.

Every formula of the balance stands once, in this module.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

SECOND_MOMENT = 2.0
"""E[X²]/E[X]² of prompt and output lengths: that of an exponential. Engines export means only; fixed lengths have 1,
so that with them waits and noise are overestimated by at most a factor √2."""

RECIPROCAL_MOMENT = 2.0
"""E[1/X]·E[X] of output lengths: 2.04 in an hour of recorded chats (Azure LLM trace 2023), 1.9 of log-normal lengths
with a deviation of 0.8. Short answers are what prompts of others slow down most. With 1, which fixed lengths have, 83 %
of streams were as fast in FP8 as was promised to 90 %; with 2 it is 87 % (docs/planning.md, Percentiles)."""

EXTRAPOLATION = 1.5
"""A pod is planned for at most this many times the most streams that were seen on one: decode is convex in k (design:
15 % slower at 64 streams than a line fitted up to 32 says)."""

_BISECTIONS = 24


@dataclass(frozen=True, slots=True)
class Costs:
    """What an engine spends its seconds on: a, b and c of the balance."""

    step_seconds: float
    """a: of a decode step, whatever the streams in it."""
    token_seconds: float
    """b: of each generated token besides."""
    prompt_token_seconds: float
    """c: of each prompt token."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The mean request."""

    prompt_tokens: float
    generated_tokens: float

    @property
    def prompt_ratio(self) -> float:
        """r: prompt tokens per generated token."""
        return self.prompt_tokens / self.generated_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What each request is promised, as the balance needs it; None where nothing is."""

    stream_seconds_per_token: float | None
    stream_deviations: float
    """z_q: standard deviations between the mean and the promised percentile of stream speed; 0 at the median."""
    first_token_seconds: float | None
    late_share: float
    """Share of requests whose first token may be late."""
    mean_wait_seconds: float
    """Mean wait for a slot that is not yet a queue: the time in which a queue has to be worked off."""

    def attainable(self, costs: Costs, shape: Shape) -> "Targets":
        """Return the targets that a pod with a single request meets; dropped are those that no fleet can meet."""
        stream, first = self.stream_seconds_per_token, self.first_token_seconds
        too_fast = stream is not None and stream < lone_stream_seconds(costs)
        too_soon = first is not None and first <= lone_first_token_seconds(costs, shape)
        if not too_fast and not too_soon:
            return self
        return replace(
            self,
            stream_seconds_per_token=None if too_fast else stream,
            first_token_seconds=None if too_soon else first,
        )


class PodLoad(NamedTuple):
    """A pod in equilibrium with random arrivals. A tuple is made several times as fast, and one search makes 26."""

    streams: float
    seconds_per_token: float
    tokens_per_second: float
    requests_per_second: float
    spread: float
    """φ: variance of the number of streams by its mean."""
    full_share: float
    """Share of the time in which every slot is taken: what an arrival finds."""
    spare_requests_per_second: float
    """By how much a full pool would finish more requests than arrive; infinite without a limit on slots."""
    pool: int

    @property
    def mean_wait_seconds(self) -> float:
        """Mean wait for a slot, over all requests."""
        return self.full_share / self.spare_requests_per_second if self.spare_requests_per_second > 0 else math.inf

    @property
    def requests(self) -> float:
        """Mean number of requests in the pod, the waiting ones among them (Little)."""
        return self.streams + self.requests_per_second * self.mean_wait_seconds


def lone_stream_seconds(costs: Costs) -> float:
    """Return the seconds per token of a stream that has a pod to itself: the best that any fleet can do."""
    return costs.step_seconds + costs.token_seconds


def lone_first_token_seconds(costs: Costs, shape: Shape) -> float:
    """Return the time to the first token of a request that has a pod to itself."""
    return prefill_seconds(costs, shape) + lone_stream_seconds(costs)


def prefill_seconds(costs: Costs, shape: Shape) -> float:
    """Return S: what the prompt of the mean request costs, prefilled on its own."""
    return costs.prompt_token_seconds * shape.prompt_tokens


def full_share(streams: float, slots: float | None) -> float:
    """Return P(full), estimated from the mean streams as (k̄/K)².

    Exact are u^K where steps cost only by token, which is at most 0.07 more, and Erlang's C where they cost only by
    step, which is less: there waits are overestimated. Either way y is right within 3 % (tests solve both queues).
    """
    return 0.0 if slots is None else min(1.0, streams / slots) ** 2


def streams_met(streams: float, full: float, pool: int = 1) -> float:
    """Return x: the streams that a stream shares its steps with, itself among them."""
    return streams + (1.0 - full) / pool


def pod_load(costs: Costs, shape: Shape, streams: float, slots: float | None, pool: int = 1) -> PodLoad:
    """Return the equilibrium in which ``streams`` run on average on each pod; at most ``slots`` can.

    Args:
        costs: what the engine spends its seconds on.
        shape: the mean request.
        streams: mean streams of a pod.
        slots: batch limit of a pod, None where there is none that is known.
        pool: pods that share their streams evenly: the fleet with least-request balancing, 1 with random.
    """
    full = full_share(streams, slots)
    ratio_seconds = costs.prompt_token_seconds * shape.prompt_ratio
    seconds_per_token = _seconds_per_token(costs, ratio_seconds, streams_met(streams, full, pool), streams)
    tokens_per_second = streams / seconds_per_token
    requests_per_second = tokens_per_second / shape.generated_tokens
    full_rate = (
        math.inf
        if slots is None
        else slots / (_seconds_per_token(costs, ratio_seconds, slots, slots) * shape.generated_tokens)
    )
    return PodLoad(
        streams=streams,
        seconds_per_token=seconds_per_token,
        tokens_per_second=tokens_per_second,
        requests_per_second=requests_per_second,
        spread=1.0 / max(1.0 - tokens_per_second * (costs.token_seconds + ratio_seconds), 1e-3),
        full_share=full,
        spare_requests_per_second=(full_rate - requests_per_second) * pool,
        pool=pool,
    )


def _seconds_per_token(costs: Costs, ratio_seconds: float, met: float, streams: float) -> float:
    """Return y; ``ratio_seconds`` is c·r."""
    return costs.step_seconds + costs.token_seconds * met + ratio_seconds * streams


def stream_quantile_seconds(costs: Costs, shape: Shape, load: PodLoad, deviations: float, slots: float | None) -> float:
    """Return the seconds per token that a stream ``deviations`` above the mean sees (design, section 4).

    ``ȳ + z·sqrt((b + c·r)²·φ·k̄/n + λ·ȳ·E[S²]·E[1/O])``: streams come and go, and prompts of others interrupt. No stream
    shares its steps with more than K streams, whatever the spread.
    """
    ratio_seconds = costs.prompt_token_seconds * shape.prompt_ratio
    company = (costs.token_seconds + ratio_seconds) * math.sqrt(load.spread * load.streams / load.pool)
    prompt_square = SECOND_MOMENT * prefill_seconds(costs, shape) ** 2
    reciprocal = RECIPROCAL_MOMENT / shape.generated_tokens
    interruptions = math.sqrt(load.requests_per_second * load.seconds_per_token * prompt_square * reciprocal)
    seconds = load.seconds_per_token + deviations * math.hypot(company, interruptions)
    if slots is None:
        return seconds
    return min(seconds, _seconds_per_token(costs, ratio_seconds, slots, slots) + max(deviations, 0.0) * interruptions)


def late_share(costs: Costs, shape: Shape, load: PodLoad, first_token_seconds: float) -> float:
    """Return P(late): the share of requests whose first token comes after ``first_token_seconds``.

    The wait for the prompts ahead is the M/G/1 tail ``u·exp(-2(1-u)·t·E[S]/E[S²])`` (design, section 4; heavy-traffic
    form, Kingman 1962), the wait for a slot ``P(full)·exp(-(μ - λ)·t)`` (M/M/K; Erlang 1917), t being what the target
    leaves after the request's own prompt and first step. Adding the two is the union bound.
    """
    prompt_seconds = prefill_seconds(costs, shape)
    spare_seconds = first_token_seconds - prompt_seconds - load.seconds_per_token
    utilisation = load.requests_per_second * prompt_seconds
    if spare_seconds <= 0 or utilisation >= 1 or load.spare_requests_per_second <= 0:
        return 1.0
    late_for_prompts = (
        utilisation * math.exp(-2.0 * (1.0 - utilisation) * spare_seconds / (SECOND_MOMENT * prompt_seconds))
        if prompt_seconds > 0
        else 0.0
    )
    late_for_slots = load.full_share * math.exp(-load.spare_requests_per_second * spare_seconds)
    return min(1.0, late_for_prompts + late_for_slots)


def meets(costs: Costs, shape: Shape, targets: Targets, load: PodLoad, slots: float | None) -> bool:
    """Tell whether a pod in this equilibrium keeps every target."""
    stream, first = targets.stream_seconds_per_token, targets.first_token_seconds
    if load.mean_wait_seconds > targets.mean_wait_seconds:
        return False
    if first is not None and late_share(costs, shape, load, first) > targets.late_share:
        return False
    return stream is None or stream >= stream_quantile_seconds(costs, shape, load, targets.stream_deviations, slots)


@lru_cache(maxsize=4096)
def capacity(
    costs: Costs, shape: Shape, targets: Targets, *, slots: float | None, most_streams: float, pool: int = 1
) -> PodLoad | None:
    """Return the largest load of one pod at which every target holds; None where not even a lone request is in time.

    Args:
        costs: what the engine spends its seconds on.
        shape: the mean request.
        targets: what each request is promised.
        slots: batch limit of the engine, None where it has none that is known.
        most_streams: most streams that were seen on a pod, or declared; the answer stays within `EXTRAPOLATION` of it.
        pool: pods that share their streams evenly, 1 with random balancing.
    """
    if targets.attainable(costs, shape) is not targets:
        return None
    most = most_streams * EXTRAPOLATION if slots is None else min(slots, most_streams * EXTRAPOLATION)
    low, high = 0.0, most
    load = pod_load(costs, shape, high, slots, pool)
    if meets(costs, shape, targets, load, slots):
        return load
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        load = pod_load(costs, shape, middle, slots, pool)
        low, high = (middle, high) if meets(costs, shape, targets, load, slots) else (low, middle)
    return pod_load(costs, shape, low, slots, pool) if low > 0 else None
