"""For the owner of a fleet, in sentences: what tokenpace would have done, for how much, and what was attainable."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from tokenpace.replay.comparison import Replayed
from tokenpace.replay.policies.tokenpace import Told
from tokenpace.replay.truth import Fleet

MOST_DECISIONS: Final = 30
"""Decisions that are told one by one."""


def advice(fleet: Fleet, ours: Replayed, oracle: Replayed | None) -> tuple[str, ...]:
    """Return the sentences.

    Args:
        fleet: what the owner declared, and what was taken for the truth.
        ours: tokenpace on the owner's trace.
        oracle: the oracle on the same, where it took part.
    """
    return (
        _attained(fleet, ours, oracle),
        _paid(ours, oracle),
        _grounds(fleet),
        *_left_out(fleet),
        *_decisions(fleet, ours.told),
    )


def _attained(fleet: Fleet, ours: Replayed, oracle: Replayed | None) -> str:
    score = ours.score
    if score.attainment is None:
        return "Nothing was asked for."
    objective = fleet.spec.slo.objective
    sentence = (
        f"{100 * score.attainment:.1f} % of {score.requests} requests would have been in time, "
        f"and {100 * (score.good_slots or 0.0):.1f} % of the minutes good; the objective is {objective} %."
    )
    if ours.told and not any(one.feasible for one in ours.told):
        sentence += " No fleet within the bounds was believed to keep it."
    if oracle is None or oracle.score.attainment is None:
        return sentence
    known = f"{100 * oracle.score.attainment:.1f} % and {100 * (oracle.score.good_slots or 0.0):.1f} %"
    # A mark and no limit: what errs towards more replicas may attain more.
    return f"{sentence} The oracle, told true speeds and the traffic to come, has {known}."


def _paid(ours: Replayed, oracle: Replayed | None) -> str:
    score = ours.score
    money = "" if score.cost is None else f" and cost {score.cost:.2f}"
    sentence = f"The fleet would have run for {score.replica_hours:.1f} replica-hours{money}"
    if oracle is not None and oracle.score.replica_hours > 0:
        sentence += f"; with everything known beforehand it is {oracle.score.replica_hours:.1f} replica-hours"
    return f"{sentence}."


def _grounds(fleet: Fleet) -> str:
    """Return what all of this rests on."""
    sources = dict.fromkeys(truth.speeds.source for truth in fleet.variants.values())
    return f"All of this is as true as the speeds that it was replayed with: {'; '.join(sources)}."


def _left_out(fleet: Fleet) -> tuple[str, ...]:
    """Return what is declared and cannot be in a replay, or not for all."""
    scaling = fleet.spec.scaling
    sleeps = (
        "`scaling.scaleToZeroAfterSeconds` was left out: no trace has a series for `wake`, and nothing slept."
        if scaling.sleeps_after_seconds is not None and scaling.wake is not None
        else ""
    )
    schedules = (
        "`scaling.schedules` held at the hours of the trace, for tokenpace alone: no other policy knows them."
        if scaling.schedules
        else ""
    )
    return tuple(filter(None, (sleeps, schedules)))


def _decisions(fleet: Fleet, told: Sequence[Told]) -> tuple[str, ...]:
    """Return each change of the fleet with its reason, the first ones where there are many."""
    fleets = [_present(fleet.replicas), *(_present(one.fleet) for one in told)]
    changes = [one for one, (before, after) in zip(told, pairwise(fleets), strict=True) if before != after]
    sentences = tuple(f"At {_clock(one.at_seconds)}: {one.message}" for one in changes[:MOST_DECISIONS])
    if len(changes) > MOST_DECISIONS:
        return (*sentences, f"{len(changes) - MOST_DECISIONS} more changes followed.")
    return sentences or ("The fleet would not have been changed.",)


def _present(replicas: Mapping[str, int]) -> Mapping[str, int]:
    return {name: count for name, count in replicas.items() if count}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
