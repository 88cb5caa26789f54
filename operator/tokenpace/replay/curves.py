"""What a replay looked like minute by minute: for plots, never for scores."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokenpace.replay.known import Knowledge
from tokenpace.replay.outcome import ClientView, Moment, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Means of each slot of the replay; all of the same length."""

    slot_seconds: float
    demand: tuple[float, ...]
    """Tokens/s that were asked for by the requests that came."""
    served: tuple[float, ...]
    """Tokens/s that clients got."""
    capacity: tuple[float, ...]
    """Tokens/s that the ready pods could serve as promised, by their true speeds."""
    ready: Mapping[str, tuple[float, ...]]
    """Ready pods by variant."""
    starting: tuple[float, ...]
    """Pods that cost money and do not serve: starting, or ending their last streams."""
    waiting: tuple[float, ...]
    """Requests in queues."""


def curves(outcome: Outcome, known: Knowledge, slot_seconds: float) -> Curves:
    """Return a replay's curves; `known` is what is true of its fleet for the mean request of its traffic."""
    slots = max(math.ceil(outcome.seconds / slot_seconds), 1)
    by_slot: list[list[Moment]] = [[] for _ in range(slots)]
    for moment in outcome.moments:
        by_slot[min(int(moment.at_seconds / slot_seconds), slots - 1)].append(moment)
    names = [variant.name for variant in known.spec.ladder]

    return Curves(
        slot_seconds=slot_seconds,
        demand=_spread(
            ((one.at_seconds, one.at_seconds, one.demanded_tokens) for one in outcome.requests), slots, slot_seconds
        ),
        served=_spread(_served(outcome.requests), slots, slot_seconds),
        capacity=tuple(_mean(known.tokens_per_second(one.ready) for one in moments) for moments in by_slot),
        ready={name: tuple(_mean(one.ready.get(name, 0) for one in moments) for moments in by_slot) for name in names},
        starting=tuple(
            _mean(sum(one.pods.values()) - sum(one.ready.values()) for one in moments) for moments in by_slot
        ),
        waiting=tuple(_mean(one.waiting for one in moments) for moments in by_slot),
    )


def _served(requests: Iterable[ClientView]) -> Iterable[tuple[float, float, int]]:
    for one in requests:
        if one.first_token_at_seconds is not None:
            ended = one.first_token_at_seconds if one.ended_at_seconds is None else one.ended_at_seconds
            yield one.first_token_at_seconds, ended, one.generated_tokens


def _spread(parts: Iterable[tuple[float, float, int]], slots: int, slot_seconds: float) -> tuple[float, ...]:
    """Return the tokens/s of each slot, of tokens that came evenly from one moment to another."""
    totals = [0.0] * slots
    for begin, end, tokens in parts:
        first, last = int(begin / slot_seconds), int(end / slot_seconds)
        for slot in range(first, min(last, slots - 1) + 1):
            inside = min(end, (slot + 1) * slot_seconds) - max(begin, slot * slot_seconds)
            totals[slot] += tokens if first == last else tokens * inside / (end - begin)
    return tuple(total / slot_seconds for total in totals)


def _mean(values: Iterable[float]) -> float:
    listed: Sequence[float] = list(values)
    return sum(listed) / len(listed) if listed else 0.0
