"""The planner: what is seen, what is believed, what is decided, and why.

``plan(spec, observation, memory, now) -> (Plan, Memory)`` is pure, deterministic and total: it raises on no float.
"""

from collections.abc import Mapping
from dataclasses import replace

from tokenpace.api.reasons import DecisionReason, ScalingLimitedReason, SLOFeasibleReason
from tokenpace.api.scaling import Mode
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.support import variant_in_use
from tokenpace.api.variant import Variant
from tokenpace.planning.compliance import slo_met
from tokenpace.planning.decide import Decision, decide
from tokenpace.planning.decision import Finding, Indicators, Plan, VariantSpeed, Verdict
from tokenpace.planning.estimate import Estimate, estimate
from tokenpace.planning.explain import numbers, sentence
from tokenpace.planning.findings import metrics_available, scaling_limited, slo_feasible, traffic_unbalanced
from tokenpace.planning.memory import Memory, remember
from tokenpace.planning.observation import Observation
from tokenpace.planning.plausible import plausible_time
from tokenpace.planning.sight import Sight, look


def plan(spec: LLMDeploymentSpec, observation: Observation, memory: Memory, now: float) -> tuple[Plan, Memory]:
    """Return the fleet to have, why, and what to remember.

    Args:
        spec: what is declared.
        observation: what is seen at this moment.
        memory: what the previous plan returned; `Memory()` at a fresh start, with `learned` if it was written down.
        now: Unix seconds, of the same clock as the pods' times.

    Returns:
        The plan, and the memory for the next one. The same arguments give the same answer, and asking again with the
        returned memory at the same moment gives the same fleet.
    """
    moment = plausible_time(now)
    sight = look(observation, (memory.at_seconds or 0.0) if moment is None else moment)
    memory = remember(memory, spec, sight)
    believed = estimate(spec, sight, memory)
    memory = _noting_demand(memory, sight, believed)
    variant = variant_in_use(spec)  # Only one variant runs: switching between them is not supported yet.
    if variant is None:
        return _nothing_to_run(spec, sight, memory, believed), memory
    decision = decide(spec, sight, memory, believed, variant)
    fleet = _fleet(spec, sight, variant, decision)
    retiring = sorted(name for name, count in fleet.items() if count > 0 and name != variant.name)
    settled = decision.reason in (DecisionReason.AT_TARGET, DecisionReason.STABILIZING)
    message = sentence(decision, spec, variant, sight, believed)
    decided = Plan(
        fleet=fleet,
        goal=fleet,
        reason=DecisionReason.RETIRING if retiring and settled else decision.reason,
        message=f"{message} {', '.join(retiring)} stays until {variant.name} serves." if retiring else message,
        numbers=numbers(decision, variant, sight, believed),
        indicators=_indicators(sight, believed),
        speeds=_speeds(believed),
        metrics_available=metrics_available(sight),
        slo_met=slo_met(spec.slo, sight, believed),
        slo_feasible=slo_feasible(spec, variant, believed, decision),
        scaling_limited=scaling_limited(decision, variant, memory, sight),
        traffic_unbalanced=traffic_unbalanced(memory, sight),
    )
    return decided, replace(memory, descent=decision.descent)


def _noting_demand(memory: Memory, sight: Sight, believed: Estimate) -> Memory:
    """Return the memory with the demand of this moment, if it was measured."""
    if not memory.history or memory.history[-1].at_seconds != sight.now:
        return memory
    last = memory.history[-1]
    demand = max(
        last.demand_tokens_per_second, believed.demand_tokens_per_second or 0.0, believed.growth_tokens_per_second
    )
    return replace(memory, history=(*memory.history[:-1], replace(last, demand_tokens_per_second=demand)))


def _fleet(spec: LLMDeploymentSpec, sight: Sight, variant: Variant, decision: Decision) -> dict[str, int]:
    """Return the replicas of every variant.

    Any other variant is retiring: its replicas stay until the one in use is known to serve with enough of its own.
    """
    running, serving = sight.observation.replicas, sight.serving_of(variant.name)
    manual = spec.scaling.mode is Mode.MANUAL
    enough = decision.replicas if manual else decision.likely
    succeeded = enough is not None and serving >= max(enough, 0 if manual else 1)
    others = {
        name: 0 if succeeded else running.get(name, 0) for name in (*running, *(one.name for one in spec.variants))
    }
    return {**others, variant.name: decision.replicas}


def _indicators(sight: Sight, believed: Estimate) -> Indicators:
    return Indicators(
        demand_tokens_per_second=believed.demand_tokens_per_second,
        served_tokens_per_second=believed.served_tokens_per_second,
        capacity_tokens_per_second=_capacity(sight, believed),
        stream_tokens_per_second=believed.stream_tokens_per_second,
        waiting_requests=believed.waiting_requests,
    )


def _capacity(sight: Sight, believed: Estimate) -> float | None:
    """Return what the pods that serve can do as promised; None if of one of their variants nothing is known."""
    total = 0.0
    for name, count in sight.pods_serving.items():
        one = believed.variants.get(name)
        if one is None or one.feasible is None:
            return None
        load = one.promised_load(count)
        total += count * load.tokens_per_second if load else 0.0
    return total


def _speeds(believed: Estimate) -> Mapping[str, VariantSpeed]:
    speeds = {}
    for name, one in believed.variants.items():
        load = one.promised_load(1)
        known = 0.0 if one.feasible is False else None
        speeds[name] = VariantSpeed(
            capacity_tokens_per_second=known if load is None else load.tokens_per_second,
            lead_seconds=one.lead_seconds,
            source=one.source,
        )
    return speeds


def _nothing_to_run(spec: LLMDeploymentSpec, sight: Sight, memory: Memory, believed: Estimate) -> Plan:
    """Return the plan where no variant can run: everything stays as it is."""
    message = "No variant at or above `slo.minQuality` can run in this version; nothing is changed."
    running = sight.observation.replicas
    return Plan(
        fleet={name: running.get(name, 0) for name in (*running, *(one.name for one in spec.variants))},
        reason=DecisionReason.INFEASIBLE,
        message=message,
        numbers={},
        indicators=_indicators(sight, believed),
        speeds=_speeds(believed),
        metrics_available=metrics_available(sight),
        slo_met=slo_met(spec.slo, sight, believed),
        slo_feasible=Finding(Verdict.FALSE, SLOFeasibleReason.NO_VARIANT, message),
        scaling_limited=Finding(Verdict.TRUE, ScalingLimitedReason.NO_VARIANT, message),
        traffic_unbalanced=traffic_unbalanced(memory, sight),
    )
