"""A decision in one sentence for people, and in all the numbers that led to it."""

import math
from collections.abc import Mapping

from tokenpace.api.reasons import DecisionReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant
from tokenpace.planning.decide import SAFE_FLEET_AFTER_SECONDS, Decision
from tokenpace.planning.estimate import Estimate
from tokenpace.planning.sight import Sight


def sentence(decision: Decision, spec: LLMDeploymentSpec, variant: Variant, sight: Sight, estimate: Estimate) -> str:
    """Return why the fleet is what it is, with numbers."""
    fleet = f"{_replicas(decision.replicas)} of {variant.name}"
    ready = f"{sight.serving_of(variant.name)} are ready"
    need = _need(decision, variant.name, estimate)
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
                f"All slots of {variant.name} are taken and requests wait, so that demand is more than the "
                f"{_number(estimate.served_tokens_per_second)} tokens/s that are served; {ready}"
            )
        case DecisionReason.STABILIZING:
            seconds = spec.scaling.scale_down.stabilization_window_seconds
            text = f"{need}; {ready} and stay until fewer have been enough for {seconds} s"
        case DecisionReason.AT_TARGET if estimate.rate and decision.likely and decision.likely > decision.replicas:
            text = f"{need}; {ready}, until more than {_number(estimate.rate.low)} tokens/s are certain"
        case _:
            text = f"{need}; {ready}"
    return f"{text}{_step(decision)}."


def _need(decision: Decision, name: str, estimate: Estimate) -> str:
    """Return the demand and what it needs, as far as either is known."""
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
    return "unknown" if value is None else f"{value:.3g}"


def numbers(decision: Decision, variant: Variant, sight: Sight, estimate: Estimate) -> Mapping[str, float]:
    """Return every number that the decision used and that is known, by name with its unit.

    A bound that is open, as that of a demand hidden behind full pods, is not known.
    """
    believed = estimate.variants[variant.name]
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
