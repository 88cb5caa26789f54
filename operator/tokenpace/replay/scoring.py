"""What a replay was worth: to the clients, to the one who pays, and to the nerves of whoever watches.

Everything is judged from what clients saw (`ClientView`), never from what an autoscaler believed. Where there is
nothing to judge, a score is None and not 0.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from tokenpace.api.slo import SLO
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.compliance import SERVED_SHARE
from tokenpace.replay.outcome import Change, ClientView, Moment, Outcome

SLOT_SECONDS: Final = 60.0
"""Time is judged in slots of this length (design, section 2)."""

REVERSAL_SECONDS: Final = 600.0
"""A fleet that grows and shrinks within this time, or the other way round, has reversed a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One replay, judged. Shares are between 0 and 1."""

    requests: int
    attainment: float | None
    """Share of requests that met every latency target. One that failed or did not end met none."""
    good_slots: float | None
    """Share of one-minute slots that were good. Without demand a slot is good."""
    worst_minute: float | None
    """Attainment of the requests of the worst slot."""
    recovery_seconds: float
    """The longest time without a good slot."""
    demanded_tokens: int
    served_tokens: int
    replica_hours: float
    cost: float | None
    """In the currency of `hourlyCost`; None where a variant that ran declares none."""
    quality_weighted_tokens: float
    """Tokens, each times the quality of the variant that generated it, in the share of the reference's."""
    degraded_share: float | None
    """Share of tokens that came from below the best variant."""
    switches_per_hour: float
    """How often another variant came to be that of most ready pods."""
    changes_per_hour: float
    """How often another number of replicas was asked for."""
    reversals_per_hour: float


def score(outcome: Outcome, spec: LLMDeploymentSpec) -> Score:
    """Return what a replay was worth, by what its owner promised.

    Targets are those of the clients: the time to the first token from sending, and the stream's tokens per second
    after it.
    """
    hours = max(outcome.seconds, 1.0) / 3600.0
    requests, slo = outcome.requests, spec.slo
    slots = _slots(outcome, slo)
    best = spec.ladder[0].name
    tokens = _tokens_by_variant(requests)
    served, weights = sum(tokens.values()), {one.name: float(one.quality) / 100 for one in spec.variants}
    judged = [slot for slot in slots if slot.attainment is not None]
    return Score(
        requests=len(requests),
        attainment=_share(meets(request, slo) for request in requests),
        good_slots=_share(slot.good for slot in slots),
        worst_minute=min((slot.attainment for slot in judged if slot.attainment is not None), default=None),
        recovery_seconds=_longest_run([not slot.good for slot in slots]) * SLOT_SECONDS,
        demanded_tokens=sum(request.demanded_tokens for request in requests),
        served_tokens=served,
        replica_hours=sum(outcome.pod_seconds.values()) / 3600.0,
        cost=_cost(outcome.pod_seconds, spec),
        quality_weighted_tokens=sum(weights.get(name, 0.0) * count for name, count in tokens.items()),
        degraded_share=1.0 - tokens.get(best, 0) / served if served else None,
        switches_per_hour=_switches(outcome.moments) / hours,
        changes_per_hour=len(outcome.changes) / hours,
        reversals_per_hour=_reversals(outcome) / hours,
    )


def meets(request: ClientView, slo: SLO) -> bool:
    """Tell whether a client got everything that it asked for, as fast as promised."""
    whole = request.generated_tokens >= request.demanded_tokens
    return whole and begins_in_time(request, slo) and keeps_pace(request, slo)


def begins_in_time(request: ClientView, slo: SLO) -> bool:
    """Tell whether a request's first token came, and in time."""
    target, first = slo.time_to_first_token, request.first_token_at_seconds
    return first is not None and (target is None or first - request.at_seconds <= target.milliseconds / 1000)


def keeps_pace(request: ClientView, slo: SLO) -> bool:
    """Tell whether a request ended, and streamed as fast as promised. A single token is no stream."""
    target, first, ended = slo.stream, request.first_token_at_seconds, request.ended_at_seconds
    if first is None or ended is None:
        return False
    return target is None or request.generated_tokens - 1 >= target.tokens_per_second * (ended - first) * (1 - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One minute."""

    good: bool
    attainment: float | None
    """Of the requests that came in it; None where none did."""


def _slots(outcome: Outcome, slo: SLO) -> list[Slot]:
    count = max(math.ceil(outcome.seconds / SLOT_SECONDS), 1)
    by_slot: list[list[ClientView]] = [[] for _ in range(count)]
    for request in outcome.requests:
        by_slot[_slot(request.at_seconds, count)].append(request)
    wanted, late, carried = _wanted_and_late(outcome.requests, slo, count)
    return [
        Slot(
            good=_is_served(wanted[slot], carried[slot - 1] if slot else 0.0, late[slot], slo)
            and _keeps_percentiles(requests, slo),
            attainment=_share(meets(request, slo) for request in requests),
        )
        for slot, requests in enumerate(by_slot)
    ]


def _is_served(wanted: float, late_before: float, late: float, slo: SLO) -> bool:
    """Tell whether a slot served as much as it had to: of what was wanted in it, and what was late before."""
    demand = wanted + late_before
    promised = demand
    if slo.generation_tokens_per_second is not None:
        promised = min(demand, slo.generation_tokens_per_second * SLOT_SECONDS)
    return demand - late >= SERVED_SHARE * promised - 1e-6


def _keeps_percentiles(requests: Sequence[ClientView], slo: SLO) -> bool:
    first, stream = slo.time_to_first_token, slo.stream
    return (first is None or _reaches((begins_in_time(one, slo) for one in requests), first.percentile)) and (
        stream is None or _reaches((keeps_pace(one, slo) for one in requests), stream.percentile)
    )


def _reaches(held: Iterable[bool], percentile: int) -> bool:
    share = _share(held)
    return share is None or 100 * share >= percentile - 1e-9


def _wanted_and_late(
    requests: Sequence[ClientView], slo: SLO, slots: int
) -> tuple[list[float], list[float], list[float]]:
    """Return, by slot, the tokens wanted in it, those late at its end, and those of them that are still waited for.

    A client wants its tokens evenly from the moment at which the first is promised, at the promised speed. What it
    gets sooner makes up for nothing that another one waits for. One whose request failed waits no longer than it would
    have taken: what never comes is not wanted for ever.
    """
    wanted, late, carried = [0.0] * slots, [0.0] * slots, [0.0] * slots
    pace = slo.stream.tokens_per_second if slo.stream else math.inf
    patience = slo.time_to_first_token.milliseconds / 1000 if slo.time_to_first_token else 0.0
    for request in requests:
        due = request.at_seconds + patience
        due_whole = due + request.demanded_tokens / pace
        last, before = _slot(max(due_whole, request.ended_at_seconds or 0.0), slots), 0.0
        for slot in range(_slot(due, slots), last + 1):
            now = (slot + 1) * SLOT_SECONDS
            by_then = _evenly(request.demanded_tokens, due, due_whole, now)
            got = _evenly(request.generated_tokens, request.first_token_at_seconds, request.ended_at_seconds, now)
            wanted[slot] += by_then - before
            late[slot] += max(by_then - got, 0.0)
            carried[slot] += max(by_then - got, 0.0) if slot < last else 0.0
            before = by_then
    return wanted, late, carried


def _slot(at_seconds: float, slots: int) -> int:
    return min(int(at_seconds / SLOT_SECONDS), slots - 1)


def _evenly(tokens: int, begin: float | None, end: float | None, now: float) -> float:
    """Return how many of so many tokens there are by now, when they come evenly; none, where that is not known."""
    if begin is None or end is None or now < begin:
        return 0.0
    return float(tokens) if now >= end else tokens * (now - begin) / (end - begin)


def _tokens_by_variant(requests: Iterable[ClientView]) -> Counter[str]:
    tokens: Counter[str] = Counter()
    for request in requests:
        if request.variant is not None:
            tokens[request.variant] += request.generated_tokens
    return tokens


def _cost(pod_seconds: Mapping[str, float], spec: LLMDeploymentSpec) -> float | None:
    prices = {one.name: one.hourly_cost for one in spec.variants}
    used = {name: seconds for name, seconds in pod_seconds.items() if seconds > 0}
    if any(prices.get(name) is None for name in used):
        return None
    return sum(float(prices[name] or 0) * seconds / 3600.0 for name, seconds in used.items())


def _switches(moments: Iterable[Moment]) -> int:
    mains = [max(sorted(one.ready), key=one.ready.__getitem__) for one in moments if any(one.ready.values())]
    return sum(before != after for before, after in pairwise(mains))


def _reversals(outcome: Outcome) -> int:
    """Return how often the fleet was sent the other way than shortly before."""
    begun = (Change(moment.at_seconds, moment.asked) for moment in outcome.moments[:1])
    totals = [(change.at_seconds, sum(change.asked.values())) for change in (*begun, *outcome.changes)]
    steps = [(at, count - before) for (_, before), (at, count) in pairwise(totals) if count != before]
    return sum(
        first * second < 0 and after - before <= REVERSAL_SECONDS
        for (before, first), (after, second) in pairwise(steps)
    )


def _share(held: Iterable[bool]) -> float | None:
    """Return the share of what holds; None of nothing."""
    answers = list(held)
    return sum(answers) / len(answers) if answers else None


def _longest_run(answers: Iterable[bool]) -> int:
    return max((sum(run) for holds, run in groupby(answers) if holds), default=0)
