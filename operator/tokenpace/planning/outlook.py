"""What would change the fleet, and by which numbers: for those who wonder what happens next."""

from collections.abc import Iterator
from itertools import islice

from tokenpace.api.scaling import Mode
from tokenpace.planning.basis import Basis
from tokenpace.planning.decide import Decision
from tokenpace.planning.goal import Goal, triable
from tokenpace.planning.observation import Wake
from tokenpace.planning.stability import SLACK
from tokenpace.planning.switch import blocking, is_set_back
from tokenpace.planning.wording import shown

MOST_SENTENCES = 6


def outlook(basis: Basis, goal: Goal, decision: Decision) -> tuple[str, ...]:
    """Return what would change the fleet: at most six sentences with numbers, the nearest first."""
    if basis.spec.scaling.mode is Mode.MANUAL:
        return ()
    return tuple(islice(_sentences(basis, goal, decision), MOST_SENTENCES))


def _sentences(basis: Basis, goal: Goal, decision: Decision) -> Iterator[str]:
    name, ladder = goal.variant, basis.ladder
    yield from _sleep(basis)
    if ladder.believed(name).costs is None:
        yield f"Another replica of {name} when every slot is taken and requests wait: its speed is not known yet."
    else:
        yield from _replicas(basis, decision)
        yield from _faster(basis, goal)
        yield from _better(basis, goal)
    for variant in ladder.variants:
        setback = blocking(basis, variant.name)
        if setback is not None:
            yield f"{variant.name} {is_set_back(setback)}."
        elif variant.name != name and ladder.believed(variant.name).costs is None:
            yield f"{variant.name} when its `expected` is declared: nothing is known of its speed."


def _replicas(basis: Basis, decision: Decision) -> Iterator[str]:
    """Yield when a replica comes, and when one goes."""
    name, ladder, count = decision.variant, basis.ladder, decision.replicas
    most, least = ladder.most(name).replicas[name], ladder.replicas(0.0, name)
    if count < most:
        yield f"A {_ordinal(count + 1)} replica of {name} when more than {_demand(basis, name, count)} are certain."
    if count > least:
        fewer = _demand(basis, name, count - 1, share=1 - SLACK)
        yield f"A replica of {name} less when at most {fewer} were wanted for {_window(basis)} s."


def _sleep(basis: Basis) -> Iterator[str]:
    """Yield when nothing will run, and what stands in the way."""
    scaling = basis.spec.scaling
    if scaling.sleeps_after_seconds is None:
        return
    unseen = ""
    if scaling.wake is not None and basis.sight.observation.wake is Wake.MISSING:
        unseen = f": as long as Prometheus has nothing recent of {scaling.wake.metric_name}, never"
    yield f"No replica when nobody has asked for {shown(scaling.sleeps_after_seconds)} s{unseen}."


def _faster(basis: Basis, goal: Goal) -> Iterator[str]:
    """Yield which variant comes when the largest fleet of this one is not enough."""
    name, ladder = goal.variant, basis.ladder
    largest = ladder.most(name)
    known = [one for one in triable(basis) if ladder.believed(one).costs is not None]
    next_one = ladder.best(largest.tokens_per_second * (1 + 1e-6), known)
    if next_one.variant == name or next_one.tokens_per_second <= largest.tokens_per_second:
        return
    count = largest.replicas[name]
    served = _demand(basis, name, count)
    refused = f", if enough of the quality budget is left for {next_one.variant}" if goal.refused else ""
    yield (
        f"{next_one.variant} when more than {served} are certain, which {_counted(count)} of {name} cannot serve"
        f"{refused}."
    )


def _better(basis: Basis, goal: Goal) -> Iterator[str]:
    """Yield which better variant takes over again when less is wanted."""
    name, ladder = goal.variant, basis.ladder
    if name not in basis.degraded:
        return
    for one in triable(basis):
        if one == name:
            return
        if ladder.believed(one).costs is not None and ladder.most(one).keeps_targets:
            served = _demand(basis, one, ladder.most(one).replicas[one], share=1 - SLACK)
            yield f"{one} again when at most {served} were wanted for {_window(basis)} s."
            return


def _demand(basis: Basis, name: str, replicas: int, share: float = 1.0) -> str:
    """Return the demand that so many replicas can serve beside the capacity kept for bursts."""
    served = replicas * basis.ladder.believed(name).tokens_per_second(replicas) - basis.spec.slo.burst_tokens_per_second
    return f"{shown(max(served * share, 0.0))} tokens/s"


def _window(basis: Basis) -> int:
    return basis.spec.scaling.scale_down.stabilization_window_seconds


def _counted(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"


def _ordinal(count: int) -> str:
    teen = 10 <= count % 100 <= 20  # noqa: PLR2004 (11th, 12th, 13th)
    return f"{count}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(count % 10, 'th')}"
