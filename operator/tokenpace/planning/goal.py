"""Which variant shall serve: chosen over the whole ladder, and kept unless there is a reason to leave it.

Away from a variant at once, when no fleet of it can be enough for what is certainly wanted. To a better or a cheaper
one only when a fleet of that would have been enough at every moment of the stabilization window. Between the two lies
all that chance may explain, so that noise around a constant demand does not send a fleet to and fro.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tokenpace.api.scaling import Mode, Preference, WhenSpent
from tokenpace.planning.basis import Basis
from tokenpace.planning.budget import ENTRY_DWELLS, WAY_BACK_MARGIN
from tokenpace.planning.estimate import is_extrapolated
from tokenpace.planning.fleet import Choice, quality_step
from tokenpace.planning.shortfall import Stage, dips, length_seconds, pays_off, way_to
from tokenpace.planning.stability import SLACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The variant that shall serve."""

    variant: str
    refused: str | None = None
    """One that would rescue the SLO, for which too little is left of the quality budget."""
    spent: bool = False
    """Whether the quality budget sends the fleet back to the best variant."""


def choose(basis: Basis) -> Goal | None:
    """Return the variant that shall serve; None where none may."""
    ladder = basis.ladder
    if not ladder.variants:
        return None
    if basis.spec.scaling.mode is Mode.MANUAL:
        return Goal(variant=ladder.variants[0].name)
    allowed = triable(basis)
    base = _base(basis, allowed)
    if base is None:
        return Goal(variant=ladder.best(basis.required, _without_budget(basis, allowed)).variant)
    if basis.sight.blind:
        return Goal(variant=base)
    return _sent_back(basis, base, allowed) or _rescued(basis, base, allowed) or _bettered(basis, base, allowed)


def triable(basis: Basis) -> list[str]:
    """Return the variants that may be tried now: that fit into the bounds, and are not set back, as far as any are."""
    ladder, setbacks, now = basis.ladder, basis.memory.setbacks, basis.sight.now
    names = [variant.name for variant in ladder.variants]
    fitting = [name for name in names if ladder.most(name).replicas[name] > 0] or names
    return [name for name in fitting if name not in setbacks or not setbacks[name].blocks(now)] or fitting


def _base(basis: Basis, allowed: Collection[str]) -> str | None:
    """Return the variant that stays unless there is a reason to leave it.

    That is the one to which the fleet was last sent. A restarted operator does not remember it: then it is the one of
    the newest pod where variants are mixed, for it is the new that are started on the way.
    """
    if basis.memory.goal in allowed:
        return basis.memory.goal
    running, sight = basis.running, basis.sight
    mixed = {name for name in allowed if running.get(name, 0) > basis.ladder.kept(name)}
    newest = max(
        (pod for pod in sight.observation.pods if pod.variant in mixed and not pod.terminating),
        key=lambda pod: (pod.created_at_seconds, pod.name),
        default=None,
    )
    by_replicas = sorted(running, key=lambda name: (-running[name], name))
    candidates = (
        newest.variant if newest is not None and len(mixed) > 1 else None,
        sight.incumbent,
        *(name for name in by_replicas if running[name] > 0),
    )
    return next((name for name in candidates if name in allowed), None)


def _without_budget(basis: Basis, allowed: Sequence[str]) -> Sequence[str]:
    """Return the variants that may serve before any of the quality budget was earned."""
    return [name for name in allowed if name not in basis.degraded or not is_limited(basis)] or allowed


def _rescued(basis: Basis, base: str, allowed: Collection[str]) -> Goal | None:
    """Return a variant that leaves less work waiting than ``base``, which is certainly not enough; None if it is."""
    ladder, need = basis.ladder.within(basis.stock), basis.need
    most = ladder.most(base)
    overrun = need.beyond_doubt > most.tokens_per_second and not _is_unexplored(basis, base)
    late = not most.keeps_targets and not basis.is_in_time(base)
    if basis.ladder.believed(base).costs is None or not (overrun or late):
        return None
    known = [name for name in allowed if ladder.believed(name).costs is not None]
    choice = ladder.best(need.lasting, known)
    if not _gains(most, choice, overrun=overrun):
        return Goal(variant=base)
    way = way_to(basis, choice)
    # On the way to a variant that there is too little room for, staying would end in less than what serves now.
    compared = choice.keeps_targets == most.keeps_targets and base not in basis.shortages
    if way is None or (compared and not pays_off(basis, way, choice, most)):
        return Goal(variant=base)
    if not _is_affordable(basis, base, choice, allowed):
        return Goal(variant=base, refused=choice.variant)
    return Goal(variant=choice.variant)


def _gains(most: Choice, choice: Choice, *, overrun: bool) -> bool:
    """Tell whether another fleet helps where the largest of the present variant is not enough."""
    if choice.variant == most.variant or choice.keeps_targets < most.keeps_targets:
        return False
    if choice.keeps_targets > most.keeps_targets:
        return True
    return overrun and (choice.enough or choice.tokens_per_second * (1 - SLACK) > most.tokens_per_second)


def _is_unexplored(basis: Basis, name: str) -> bool:
    """Tell whether a variant may be able to do more than it is planned for: nobody has asked more of it yet."""
    return is_extrapolated(basis.ladder.believed(name)) and not basis.estimate.saturated


def _bettered(basis: Basis, base: str, allowed: Collection[str]) -> Goal:
    """Return a better or cheaper variant that is certainly enough and can be reached without a dip, else ``base``."""
    window, ladder = basis.need.window, basis.ladder
    if window is None or not _has_dwelt(basis):
        return Goal(variant=base)
    # On the way there is no third variant to turn to, only back to the one that still serves.
    allowed = [name for name in allowed if name in (base, basis.sight.incumbent) or not basis.is_mixed_with(base)]
    barred = basis.degraded if basis.spec.scaling.degraded else frozenset()
    least = _quality(basis, base) if base in barred or basis.spec.scaling.preference is Preference.QUALITY else 0
    known = [name for name in allowed if _quality(basis, name) >= least and ladder.believed(name).costs is not None]
    # One that the quality budget counts takes over only from a worse one, and only where none of the best is enough.
    best = [name for name in known if name not in barred]
    counted = [name for name in known if name in barred and base in barred and _quality(basis, name) > least]
    found = (ladder.best(window, names) for names in (best, counted) if names)
    keeps_targets = ladder.most(base).keeps_targets
    choice = next((one for one in found if one.enough and one.keeps_targets >= keeps_targets), None)
    if choice is None or choice.variant == base or not (base in barred or _is_better(basis, base, choice)):
        return Goal(variant=base)
    way = way_to(basis, choice)
    if way is None or dips(basis, way, window):
        return Goal(variant=base)
    return Goal(variant=choice.variant)


def _is_better(basis: Basis, base: str, choice: Choice) -> bool:
    """Tell whether a fleet is better than any of ``base``, whatever chance may hide.

    Its cost for all that may be wanted is compared with that of ``base`` for what is certain, so that of two variants
    that cost about the same neither is better.
    """
    ladder = basis.ladder
    least = ladder.best(basis.need.certain, (base,))
    if choice.keeps_targets != least.keeps_targets:
        return choice.keeps_targets
    better = _quality(basis, choice.variant) - _quality(basis, base)
    cheaper = least.hourly_cost - choice.hourly_cost if ladder.believed(base).costs else 0.0
    first, second = (cheaper, better) if basis.spec.scaling.preference is Preference.COST else (better, cheaper)
    return first > 0 or (first == 0 and second > 0)


def _quality(basis: Basis, name: str) -> int:
    return quality_step(float(basis.ladder[name].quality))


def _has_dwelt(basis: Basis) -> bool:
    since = basis.memory.switched_at_seconds
    return since is None or not 0 <= basis.sight.now - since < basis.spec.scaling.variant_dwell_seconds


def _sent_back(basis: Basis, base: str, allowed: Collection[str]) -> Goal | None:
    """Return the best variant, if the quality budget is as good as spent, quality wins then and a way leads there."""
    best = [name for name in allowed if name not in basis.degraded]
    if base not in basis.degraded or not best or not is_limited(basis):
        return None
    choice = basis.ladder.best(basis.required, best)
    way = way_to(basis, choice)
    if way is None or left_tokens(basis) > tokens_per_second(basis) * _way_back_seconds(basis, way):
        return None
    return Goal(variant=choice.variant, spent=True)


def _is_affordable(basis: Basis, base: str, choice: Choice, allowed: Collection[str]) -> bool:
    """Tell whether the quality budget allows for a fleet: two dwells of it, and the way back.

    At the highest speed that demand may have, and no sooner than a dwell after the last switch: what was just earned
    by a quiet minute is spent in the next busy one.
    """
    if choice.variant not in basis.degraded or base in basis.degraded or not is_limited(basis):
        return True
    if not _has_dwelt(basis):
        return False
    best = [name for name in allowed if name not in basis.degraded]
    back = way_to(basis, basis.ladder.best(basis.required, best or [base]), start=choice.replicas)
    if back is None:
        return False
    seconds = ENTRY_DWELLS * basis.spec.scaling.variant_dwell_seconds + _way_back_seconds(basis, back)
    high = 0.0 if basis.estimate.rate is None else basis.estimate.rate.high
    fastest = max(tokens_per_second(basis), high if math.isfinite(high) else 0.0)
    return left_tokens(basis) > fastest * seconds


def _way_back_seconds(basis: Basis, way: Sequence[Stage]) -> float:
    window_seconds = max((reading.window_seconds for reading in basis.sight.readings), default=0.0)
    return WAY_BACK_MARGIN * length_seconds(way) + window_seconds


def is_limited(basis: Basis) -> bool:
    """Tell whether the quality budget is a limit, and not only told about."""
    declared = basis.spec.scaling.degraded
    return declared is not None and declared.when_spent is WhenSpent.KEEP_QUALITY


def left_tokens(basis: Basis) -> float:
    """Return how many tokens may yet be generated below the best variant."""
    declared = basis.spec.scaling.degraded
    return basis.memory.budget.left_tokens(1.0 if declared is None else declared.max_tokens_percent / 100)


def tokens_per_second(basis: Basis) -> float:
    """Return how fast the quality budget would be spent."""
    return max(basis.estimate.served_tokens_per_second or 0.0, basis.need.likely or 0.0)
