"""A switch from one variant to another, in words: where it comes from, where it goes, and how far it has come."""

from dataclasses import dataclass

from tokenpace.api.reasons import DecisionReason, ProgressingReason
from tokenpace.planning.basis import Basis
from tokenpace.planning.decide import Decision
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.goal import is_limited
from tokenpace.planning.setbacks import Setback, until
from tokenpace.planning.transition import Road


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A switch that is under way."""

    new: str
    old: str
    """The variant that makes way; of several the one with most replicas."""
    reason: DecisionReason


def switch_of(basis: Basis, decision: Decision, road: Road) -> Switch | None:
    """Return the switch that is under way, if one is."""
    running, new = basis.running, decision.variant
    outgoing = road.outgoing(running)
    if not outgoing:
        return None
    old = max(outgoing, key=lambda name: (running[name], name))
    return Switch(new=new, old=old, reason=_reason(basis, decision, old))


def _reason(basis: Basis, decision: Decision, old: str) -> DecisionReason:
    """Return why a variant makes way for the one that was decided on."""
    new, settled = decision.variant, (DecisionReason.AT_TARGET, DecisionReason.STABILIZING)
    if decision.reason in (
        DecisionReason.MANUAL,
        DecisionReason.METRICS_MISSING,
        DecisionReason.METRICS_MISSING_SAFE_FLEET,
    ):
        return decision.reason
    if old not in basis.ladder:
        return DecisionReason.RETIRING if decision.reason in settled else decision.reason
    if blocking(basis, old):
        return DecisionReason.ROLLED_BACK
    if is_limited(basis) and old in basis.degraded and new not in basis.degraded and not decision.enough:
        return DecisionReason.BUDGET_SPENT
    worse = basis.ladder[new].quality < basis.ladder[old].quality
    return DecisionReason.SWITCHING if worse else DecisionReason.SWITCHING_BACK


def blocking(basis: Basis, name: str) -> Setback | None:
    """Return the setback because of which a variant is not tried now."""
    setback = basis.memory.setbacks.get(name)
    return setback if setback is not None and setback.blocks(basis.sight.now) else None


def progress(basis: Basis, road: Road, under_way: Switch | None) -> Finding | None:
    """Return the switch that is under way, or was rolled back and is not tried again yet."""
    if under_way is not None and blocking(basis, under_way.new):
        return Finding(Verdict.FALSE, ProgressingReason.PODS_IN_TROUBLE, f"{how_far(basis, under_way, road)}.")
    if under_way is not None and not blocking(basis, under_way.old):
        return Finding(Verdict.TRUE, ProgressingReason.SWITCHING, f"{how_far(basis, under_way, road)}.")
    setbacks = [f"{name} {is_set_back(setback)}." for name in road.goal if (setback := blocking(basis, name))]
    if setbacks:
        return Finding(Verdict.FALSE, ProgressingReason.ROLLED_BACK, " ".join(setbacks))
    return None


def is_set_back(setback: Setback) -> str:
    """Return that a variant could not take over, why, and when it is tried again."""
    times = "" if setback.failures == 1 else f" {setback.failures} times in a row"
    return f"could not take over{times} ({setback.message}) and is not tried again before {until(setback)}"


def how_far(basis: Basis, under_way: Switch, road: Road) -> str:
    """Return how far a switch has come, and what it waits for."""
    new, old, serving = under_way.new, under_way.old, basis.sight.serving_of(under_way.new)
    enough = "it is known how many are enough" if road.enough is None else f"{new} serves"
    text = f"{serving} of {road.goal[new]} replicas of {new} serve; {old} stays until {enough}"
    if blocking(basis, new):
        return f"{text}{what_failed(basis, new)}"
    if serving and not basis.is_proven(new):
        return f"{text}, and more of {new} come when its first replica has passed its canary"
    cure = missing_room(basis, road)
    return text if cure is None else f"{text}, for which the bounds leave no room: raise `scaling.{cure}`"


def what_failed(basis: Basis, name: str) -> str:
    """Return why a variant that has to take over cannot, as the end of a sentence; nothing where it may."""
    failed = blocking(basis, name)
    return "" if failed is None else f", but {name} cannot ({failed.message}): mend it, or choose another variant"


def missing_room(basis: Basis, road: Road) -> str | None:
    """Return the bound that leaves a switch no room, and none can be made, because the last that serves stays.

    None where it is the cluster that has no room: no bound is to be raised.
    """
    if basis.places is not None:
        return None
    new = road.variant
    has_room = road.room(basis.running, new) > 0 or basis.running[new] >= road.goal[new]
    if has_room or not road.outgoing(basis.running) or _can_make_room(basis, road):
        return None
    return "maxSurge" if sum(basis.running.values()) >= road.limit else "maxHourlyCost"


def _can_make_room(basis: Basis, road: Road) -> bool:
    """Tell whether something of the old can go before the new serve."""
    return basis.standing(road.variant).serving_besides((road.variant,)) > 1 or basis.sight.serving_of(road.variant) > 0
