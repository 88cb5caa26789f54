"""How many replicas of the variant that shall serve: what is needed, what may be kept, what is allowed."""

import math
from dataclasses import dataclass

from tokenpace.api.reasons import DecisionReason
from tokenpace.api.scaling import Mode
from tokenpace.planning.basis import Basis
from tokenpace.planning.estimate import Estimate, required_capacity
from tokenpace.planning.imbalance import IMBALANCE_SECONDS
from tokenpace.planning.memory import Memory
from tokenpace.planning.need import needs_safe_fleet, saw_window, window_begins
from tokenpace.planning.observation import Pod
from tokenpace.planning.stability import Descent, descended, settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Replicas of the variant that shall serve, and what led to them."""

    variant: str
    target: int
    """Replicas to have in the end."""
    replicas: int
    """Replicas to have now: the fleet goes down by a share a minute."""
    reason: DecisionReason
    current: int
    needed: int
    """Replicas to have at least, as far as the bounds allow: more than there are only if that is certain."""
    likely: int | None
    """Replicas that are enough for the demand as it looks now, likewise; None where that is not known."""
    required_tokens_per_second: float
    """What they have to be able to serve: demand as far as it is promised, ready and burst capacity."""
    enough: bool
    """Whether the bounds allow what is needed."""
    most_tokens_per_second: float
    """What the largest allowed fleet can serve; 0 while capacity is not known."""
    overdue: tuple[Pod, ...] = ()
    """Pods that should serve by now and do not."""
    descent: Descent | None = None

    @property
    def successors(self) -> int | None:
        """How many have to serve before the replicas of any other variant go; None where that is not known."""
        if self.reason is DecisionReason.MANUAL:
            return self.replicas
        return None if self.likely is None else max(self.likely, min(self.needed, self.replicas), 1)


def decide(basis: Basis, name: str) -> Decision:
    """Return how many replicas of a variant to have.

    With mode Manual that is what the spec says. Else it is what is needed, at once, or the present fleet if that is
    larger and may not shrink yet; always within the bounds, of which the upper ones win.
    """
    ladder, sight, memory, estimate = basis.ladder, basis.sight, basis.memory, basis.estimate
    current = basis.running.get(name, 0)
    least, most = ladder.replicas(0.0, name), ladder.most(name)
    likely = _likely(basis, name)
    needed, enough = _needed(basis, name, likely)
    overdue = tuple(pod for pod in sight.observation.pods if pod.variant == name and basis.is_overdue(pod))
    # A pod that hangs, or whose node is gone, is replaced. Where one more would meet the same, it would only join it.
    hanging = sum(not pod.hindrance.recurs for pod in overdue)
    unhelped = is_unbalanced(memory, sight.now) and needed > current and not basis.is_successor(name)
    up = current if unhelped else needed + hanging
    down = _kept(basis, name) + hanging
    target = min(max(settled(current, up, down), least), most.replicas[name])
    wanted, descent = descended(current, target, memory.descent, sight.now)
    replicas = min(wanted, most.replicas[name])
    manual = basis.spec.scaling.mode is Mode.MANUAL
    return Decision(
        variant=name,
        target=basis.spec.replicas if manual else target,
        replicas=basis.spec.replicas if manual else replicas,
        reason=_first(
            (manual, DecisionReason.MANUAL),
            (sight.blind and needs_safe_fleet(memory, sight.now), DecisionReason.METRICS_MISSING_SAFE_FLEET),
            (sight.blind, DecisionReason.METRICS_MISSING),
            (not sight.serving, DecisionReason.STARTING),
            (not least <= current <= most.replicas[name], DecisionReason.BOUNDS_CHANGED),
            (unhelped, DecisionReason.TRAFFIC_UNBALANCED),
            (replicas > current and estimate.saturated, DecisionReason.SATURATED),
            (replicas > current, DecisionReason.DEMAND_ABOVE_CAPACITY),
            (replicas < current, DecisionReason.DEMAND_BELOW_CAPACITY),
            (ladder.believed(name).feasible is False, DecisionReason.INFEASIBLE),
            (not enough, DecisionReason.LIMITED),
            (likely is not None and likely < current, DecisionReason.STABILIZING),
            (True, DecisionReason.AT_TARGET),
        ),
        current=current,
        needed=needed,
        likely=likely,
        required_tokens_per_second=basis.need.certain,
        enough=enough,
        most_tokens_per_second=most.tokens_per_second,
        overdue=overdue,
        descent=descent,
    )


def is_unbalanced(memory: Memory, now: float) -> bool:
    """Tell whether requests have been missing some pods for so long that more pods would not be found either."""
    since = memory.unbalanced_since_seconds
    return since is not None and now - since >= IMBALANCE_SECONDS


def _first(*reasons: tuple[bool, DecisionReason]) -> DecisionReason:
    return next(reason for holds, reason in reasons if holds)


def _needed(basis: Basis, name: str, likely: int | None) -> tuple[int, bool]:
    """Return the replicas to have at least, and whether the bounds allow what is required.

    If it is certain that more are needed than there are, they are as many as are likely to be. Of a variant of which
    nothing is known, one is added when those that serve are full, and then they are measured. One whose beliefs are not
    proven is believed its own performance first: a fleet that is in time as it is grows only as far as demand has grown
    beyond what it serves.
    """
    ladder, estimate, serving = basis.ladder, basis.estimate, basis.sight.serving_of(name)
    believed = ladder.believed(name)
    if believed.costs is None:
        return serving + estimate.saturated, True
    if basis.is_successor(name):
        choice = ladder.best(_required_of_a_successor(basis, name), (name,))
        return choice.replicas[name], choice.enough
    choice = ladder.best(basis.need.certain, (name,))
    needed = choice.replicas[name]
    if likely is not None and needed > basis.running.get(name, 0):
        needed = max(needed, likely)
    if not believed.proven and basis.is_in_time(name):
        needed = min(needed, math.ceil(serving * _growth_of_demand(estimate)))
    return needed, choice.enough


def _required_of_a_successor(basis: Basis, name: str) -> float:
    """Return what a variant must be able to serve that takes the place of another: what lasts, not the backlog of now.

    While pods come and go, what was asked of those that go is not seen in those that come, until a window is full of
    it. So demand counts as the largest since the switch began.
    """
    memory, slo, shape = basis.memory, basis.spec.slo, basis.estimate.shape
    begun_seconds = memory.switched_at_seconds if memory.goal == name else None
    since_seconds = basis.sight.now if begun_seconds is None else begun_seconds
    demands = (one.lasting_tokens_per_second for one in memory.history if one.at_seconds >= since_seconds)
    return max(basis.need.lasting, *(required_capacity(slo, shape, demand) for demand in demands), 0.0)


def _growth_of_demand(estimate: Estimate) -> float:
    """Return by which factor demand certainly exceeds what is served; 1 if it does not."""
    served = estimate.served_tokens_per_second
    return max(1.0, estimate.rate.low / served) if estimate.rate and served else 1.0


def _kept(basis: Basis, name: str) -> int:
    """Return the replicas that have to stay whatever is needed now: all, until a smaller fleet has proven enough.

    It has to have been enough for a whole stabilization window in which every tick was seen.
    """
    current = basis.running.get(name, 0)
    if not saw_window(basis.spec, basis.sight, basis.memory, basis.estimate):
        return current
    if basis.ladder.believed(name).costs is None:
        return 0 if _was_idle(basis) else current
    return basis.ladder.replicas(basis.need.window or 0.0, name)


def _likely(basis: Basis, name: str) -> int | None:
    """Return the replicas that are enough for the demand as it looks now; None where that is not known.

    Where nothing has been asked, any number is, also of a variant of which nothing is known.
    """
    if basis.ladder.believed(name).costs is None:
        return basis.ladder.replicas(0.0, name) if _was_idle(basis) else None
    return None if basis.need.likely is None else basis.ladder.replicas(basis.need.likely, name)


def _was_idle(basis: Basis) -> bool:
    """Tell whether nothing was asked for a whole stabilization window in which every tick was seen."""
    since_seconds = window_begins(basis.spec, basis.sight.now)
    return saw_window(basis.spec, basis.sight, basis.memory, basis.estimate) and not any(
        one.tokens_per_second > 0 for one in basis.memory.history if one.at_seconds >= since_seconds
    )
