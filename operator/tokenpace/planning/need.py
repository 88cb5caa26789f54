"""How much has to be served: certainly, likely, and by any other fleet that would replace this one."""

from dataclasses import dataclass

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.estimate import Estimate, required_capacity
from tokenpace.planning.memory import Memory
from tokenpace.planning.sight import Sight
from tokenpace.planning.stability import SLACK, demand_to_keep

SAFE_FLEET_AFTER_SECONDS = 120.0
"""Without metrics the fleet is held this long, which a restart of Prometheus does not exceed. Then it becomes the safe
fleet: the largest that the last stabilization window seen had needed, bounded, and never a smaller one than now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Capacity that has to be ready, in tokens per second: for what is promised, plus what is kept for bursts."""

    certain: float
    """For what is certainly wanted now."""
    beyond_doubt: float
    """Likewise, as far as it takes to give up precision."""
    likely: float | None
    """For the demand as it looks now; None where that is not known."""
    lasting: float
    """For the demand that stays when the backlog is worked off, and some slack to do so: what a variant is chosen for.
    A backlog asks for many times as much, but only until it is gone, and a switch takes longer than that."""
    window: float | None
    """For every moment of the stabilization window and all that chance may hide now: what a fleet must be enough for to
    take the place of this one. None until a whole window was seen, or while something hides demand."""


def need(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, estimate: Estimate) -> Need:
    """Return how much has to be served."""

    def required(demand: float | None) -> float | None:
        return None if demand is None else required_capacity(spec.slo, estimate.shape, demand)

    certain = required(_certain_demand(spec, sight, memory, estimate)) or 0.0
    return Need(
        certain=certain,
        beyond_doubt=certain if sight.blind else required(estimate.needed_beyond_doubt_tokens_per_second) or 0.0,
        likely=required(estimate.demand_tokens_per_second),
        lasting=(required(estimate.lasting_tokens_per_second) or 0.0) / (1 - SLACK),
        window=required(_window_demand(spec, sight, memory, estimate)),
    )


def needs_safe_fleet(memory: Memory, now: float) -> bool:
    """Tell whether nothing has been measured for so long that holding the fleet is not enough."""
    since = memory.blind_since_seconds
    return since is not None and now - since >= SAFE_FLEET_AFTER_SECONDS


def window_begins(spec: LLMDeploymentSpec, now: float) -> float:
    """Return when the stabilization window began that ends now."""
    return now - spec.scaling.scale_down.stabilization_window_seconds


def saw_window(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, estimate: Estimate) -> bool:
    """Tell whether a whole stabilization window was seen, every tick of it, and nothing hides demand now."""
    since = memory.watching_since_seconds
    return (
        estimate.rate is not None
        and not sight.unknown
        and not estimate.saturated
        and since is not None
        and since <= window_begins(spec, sight.now)
    )


def _certain_demand(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, estimate: Estimate) -> float:
    """Return the demand to be enough for: what is certain now, or of the safe fleet while nothing is seen."""
    if not sight.blind:
        return estimate.needed_tokens_per_second
    if not memory.history or not needs_safe_fleet(memory, sight.now):
        return 0.0
    since_seconds = window_begins(spec, memory.history[-1].at_seconds)
    return max(moment.demand_tokens_per_second for moment in memory.history if moment.at_seconds >= since_seconds)


def _window_demand(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, estimate: Estimate) -> float | None:
    if estimate.rate is None or not saw_window(spec, sight, memory, estimate):
        return None
    return demand_to_keep(estimate.rate, memory.history, window_begins(spec, sight.now))
