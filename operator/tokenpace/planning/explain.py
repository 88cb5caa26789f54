"""A decision in one sentence for people, and in all the numbers that led to it."""

import math
from collections.abc import Mapping

from tokenpace.api.reasons import DecisionReason
from tokenpace.planning.basis import Basis
from tokenpace.planning.decide import Decision
from tokenpace.planning.estimate import Estimate
from tokenpace.planning.goal import Goal, left_tokens
from tokenpace.planning.need import SAFE_FLEET_AFTER_SECONDS
from tokenpace.planning.switch import Switch, blocking, how_far, is_set_back, what_failed
from tokenpace.planning.transition import Road
from tokenpace.planning.wording import shown


def sentence(basis: Basis, goal: Goal, decision: Decision, road: Road, under_way: Switch | None) -> str:
    """Return why the fleet is what it is, with numbers."""
    if under_way is not None and under_way.old in basis.ladder:
        return _switching(basis, road, under_way)
    text = f"{_settled(basis, decision)}{_step(decision)}."
    if under_way is not None:
        retiring = ", ".join(sorted(road.outgoing(basis.running)))
        return f"{text} {retiring} stays until {under_way.new} serves{what_failed(basis, under_way.new)}."
    if goal.refused is not None:
        left = max(left_tokens(basis), 0.0)
        text += f" {goal.refused} could serve more; the quality budget has only {left:.0f} tokens left for it."
    return text


def _switching(basis: Basis, road: Road, under_way: Switch) -> str:
    """Return why one variant takes the place of another, and how far it has come."""
    new, old = under_way.new, under_way.old
    setback, most = blocking(basis, old), basis.ladder.most(old)
    fleet = f"{_replicas(road.goal[new])} of {new}"
    match under_way.reason:
        case DecisionReason.ROLLED_BACK if setback is not None:
            return f"{old} {is_set_back(setback)}; {fleet} serve on."
        case DecisionReason.MANUAL:
            why = f"`spec.replicas` asks for {fleet}"
        case DecisionReason.METRICS_MISSING | DecisionReason.METRICS_MISSING_SAFE_FLEET:
            why = "Nothing is measured, so that nothing goes"
        case DecisionReason.BUDGET_SPENT:
            why = f"The quality budget is spent, so that {fleet} shall serve"
        case DecisionReason.SWITCHING_BACK:
            why = f"{fleet} are enough for what was wanted in the last {_window(basis)} s"
        case _ if basis.need.certain > most.tokens_per_second:
            why = (
                f"{_number(basis.need.certain)} tokens/s are needed, and the {_replicas(most.replicas[old])} of {old} "
                f"that the bounds allow serve {_number(most.tokens_per_second)}"
            )
        case _:
            why = f"{fleet} take the place of {old}"
    return f"{why}: {how_far(basis, under_way, road)}."


def _window(basis: Basis) -> int:
    return basis.spec.scaling.scale_down.stabilization_window_seconds


def _settled(basis: Basis, decision: Decision) -> str:
    """Return why there are so many replicas of the one variant that serves."""
    estimate, name = basis.estimate, decision.variant
    fleet = f"{_replicas(decision.replicas)} of {name}"
    ready = f"{basis.sight.serving_of(name)} are ready"
    need = _need(decision, estimate)
    match decision.reason:
        case DecisionReason.MANUAL:
            text = f"`spec.replicas` asks for {fleet}; {ready}"
        case DecisionReason.METRICS_MISSING:
            text = f"Nothing is measured; the fleet is held at {fleet}"
        case DecisionReason.METRICS_MISSING_SAFE_FLEET:
            text = (
                f"Nothing has been measured for {SAFE_FLEET_AFTER_SECONDS:.0f} s; the fleet is as large as was needed "
                f"at most before that: {fleet}"
            )
        case DecisionReason.STARTING:
            text = f"No pod serves yet; {fleet} are asked for"
        case DecisionReason.BOUNDS_CHANGED:
            text = f"The bounds allow {fleet}"
        case DecisionReason.TRAFFIC_UNBALANCED:
            text = f"{need}; {ready}, but more would get no requests"
        case DecisionReason.SATURATED:
            text = (
                f"All slots of {name} are taken and requests wait, so that demand is more than the "
                f"{_number(estimate.served_tokens_per_second)} tokens/s that are served; {ready}"
            )
        case DecisionReason.STABILIZING:
            text = f"{need}; {ready} and stay until fewer have been enough for {_window(basis)} s"
        case DecisionReason.AT_TARGET if estimate.rate and decision.likely and decision.likely > decision.replicas:
            text = f"{need}; {ready}, until more than {_number(estimate.rate.low)} tokens/s are certain"
        case _:
            text = f"{need}; {ready}"
    return text


def _need(decision: Decision, estimate: Estimate) -> str:
    """Return the demand and what it needs, as far as either is known."""
    name = decision.variant
    demand, each = estimate.demand_tokens_per_second, estimate.variants[name].tokens_per_second(decision.replicas)
    if demand is None or each <= 0 or decision.likely is None:
        return f"The speed of {name} is not known yet"
    replicas = max(decision.needed, decision.likely) if decision.replicas > decision.current else decision.likely
    bounded = "" if decision.enough else ", which is all that the bounds allow"
    return (
        f"Demand {_number(demand)} tokens/s needs {_replicas(replicas)} of {name} at {_number(each)} tokens/s each"
        f"{bounded}"
    )


def _step(decision: Decision) -> str:
    change = decision.replicas - decision.current
    return "" if change == 0 else f", adding {change}" if change > 0 else f", removing {-change}"


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else shown(value)


def numbers(basis: Basis, decision: Decision) -> Mapping[str, float]:
    """Return every number that the decision used and that is known, by name with its unit.

    A bound that is open, as that of a demand hidden behind full pods, is not known.
    """
    estimate, sight, budget = basis.estimate, basis.sight, basis.memory.budget
    believed = estimate.variants[decision.variant]
    learned, costs, rate = believed.learned, believed.costs, estimate.rate
    load = believed.planned_load(decision.replicas)
    found: dict[str, float | None] = {
        "demand_tokens_per_second": estimate.demand_tokens_per_second,
        "backlog_requests": estimate.backlog_requests,
        "backlog_tokens_per_second": estimate.backlog_tokens_per_second,
        "drain_seconds": estimate.drain_seconds,
        "needed_tokens_per_second": estimate.needed_tokens_per_second,
        "required_tokens_per_second": decision.required_tokens_per_second,
        "served_tokens_per_second": estimate.served_tokens_per_second,
        "stream_tokens_per_second": estimate.stream_tokens_per_second,
        "waiting_requests": estimate.waiting_requests,
        "most_streams": learned.most_streams,
        "slots": learned.slots,
        "kv_tokens": learned.kv_tokens,
        "observed_seconds": learned.observed_seconds,
        "lead_seconds": believed.lead_seconds,
        "prompt_tokens": estimate.shape.prompt_tokens,
        "generated_tokens": estimate.shape.generated_tokens,
        "current_replicas": decision.current,
        "needed_replicas": decision.needed,
        "planned_replicas": decision.replicas,
        "serving_pods": len(sight.serving),
        "measured_pods": len(sight.known),
        "unknown_pods": len(sight.unknown),
        "generated_below_best_tokens": budget.degraded_tokens,
        "generated_by_all_tokens": budget.generated_tokens,
    }
    if rate is not None:
        found |= {
            "arrival_low_tokens_per_second": rate.low,
            "arrival_mean_tokens_per_second": rate.mean,
            "arrival_high_tokens_per_second": rate.high,
            "arrival_counted_seconds": rate.counted_seconds,
        }
    if load is not None:
        found |= {
            "replica_capacity_tokens_per_second": load.tokens_per_second,
            "replica_capacity_streams": load.streams,
        }
    if costs is not None:
        found |= {
            "step_seconds": costs.step_seconds,
            "generated_token_seconds": costs.token_seconds,
            "prompt_token_seconds": costs.prompt_token_seconds,
        }
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
