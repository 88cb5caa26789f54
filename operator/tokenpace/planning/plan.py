"""The planner: what is seen, what is believed, what is decided, and why.

``plan(spec, observation, memory, now) -> (Plan, Memory)`` is pure, deterministic and total: it raises on no float.
"""

from collections.abc import Mapping
from dataclasses import replace

from tokenpace.api.reasons import DecisionReason, DegradedReason, ScalingLimitedReason, SLOFeasibleReason
from tokenpace.api.scaling import Mode
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.basis import Basis
from tokenpace.planning.budget import degraded_variants
from tokenpace.planning.compliance import slo_met
from tokenpace.planning.decide import Decision, decide
from tokenpace.planning.decision import Finding, Indicators, Plan, VariantSpeed, Verdict
from tokenpace.planning.degradation import degraded
from tokenpace.planning.estimate import Estimate, estimate
from tokenpace.planning.explain import numbers, sentence
from tokenpace.planning.findings import metrics_available, scaling_limited, slo_feasible, traffic_unbalanced
from tokenpace.planning.goal import Goal, choose
from tokenpace.planning.ladder import ladder_of
from tokenpace.planning.memory import Memory, remember
from tokenpace.planning.need import need
from tokenpace.planning.observation import Canary, Observation, Wake
from tokenpace.planning.outlook import outlook
from tokenpace.planning.plausible import plausible_time
from tokenpace.planning.setbacks import setbacks
from tokenpace.planning.shortfall import paced
from tokenpace.planning.sight import Sight, look
from tokenpace.planning.sleep import (
    awake_if_running,
    is_asked,
    metrics_available_asleep,
    remember_sleep,
    slo_met_asleep,
)
from tokenpace.planning.speed_cards import disagreeing, speed_cards_accurate
from tokenpace.planning.stock import places, shortages
from tokenpace.planning.switch import Switch, progress, switch_of
from tokenpace.planning.transition import Road, next_fleet, road_of
from tokenpace.planning.unmeasured import filled_in
from tokenpace.planning.wording import shown


def plan(spec: LLMDeploymentSpec, observation: Observation, memory: Memory, now: float) -> tuple[Plan, Memory]:
    """Return the fleet to have, why, and what to remember.

    Args:
        spec: what is declared.
        observation: what is seen at this moment.
        memory: what the previous plan returned; at a fresh start `Memory()`, with what was written down.
        now: Unix seconds, of the same clock as the pods' times.

    Returns:
        The plan, and the memory for the next one. The same arguments give the same answer, and asking again with the
        returned memory at the same moment gives the same fleet.
    """
    moment = plausible_time(now)
    observation = filled_in(observation, spec.traffic)
    sight = look(observation, (memory.at_seconds or 0.0) if moment is None else moment)
    is_new_moment = memory.at_seconds != sight.now
    before = awake_if_running(memory, sight)
    memory = remember_sleep(remember(before, spec, sight), spec, sight)
    believed = estimate(spec, sight, memory)
    memory = _noting_demand(memory, sight, believed)
    running = sight.observation.replicas
    basis = Basis(
        spec=spec,
        sight=sight,
        memory=memory,
        estimate=believed,
        need=need(spec, sight, memory, believed),
        ladder=ladder_of(spec, believed),
        degraded=degraded_variants(spec),
        running={name: running.get(name, 0) for name in (*running, *(one.name for one in spec.variants))},
    )
    if is_new_moment:
        basis = replace(basis, memory=_noting_trouble(basis))
    basis = replace(basis, ladder=basis.ladder.within(basis.most_that_start))
    goal = choose(basis)
    if goal is None:
        return _nothing_to_run(basis), basis.memory
    if memory.asleep_since_seconds is not None:
        return _asleep(basis), basis.memory
    decided, memory = _planned(basis, goal)
    return (decided if before.asleep_since_seconds is None else _woken(spec, sight, decided)), memory


def _noting_trouble(basis: Basis) -> Memory:
    """Return the memory with what has failed by now, and which cards are wrong.

    What takes over may fail while there is another to go back to.
    """
    memory, sight = basis.memory, basis.sight
    blocked = {name for name, setback in memory.setbacks.items() if setback.blocks(sight.now)}
    takes_over = memory.goal in (None, sight.incumbent) and basis.is_mixed_with(sight.incumbent, but=blocked)
    found = setbacks(memory.setbacks, sight, basis.lead_seconds, None if takes_over else sight.incumbent)
    return replace(
        memory,
        setbacks=found,
        shortages=shortages(memory.shortages, sight, basis.lead_seconds),
        places=places(memory.places, sight, basis.lead_seconds),
        disagreeing_cards=disagreeing(basis, memory.disagreeing_cards),
    )


def _planned(basis: Basis, goal: Goal) -> tuple[Plan, Memory]:
    decision = decide(basis, goal.variant)
    road = _road(basis, decision)
    fleet = next_fleet(road, basis.standing(goal.variant))
    if basis.sight.blind and basis.spec.scaling.mode is not Mode.MANUAL:
        fleet = {name: count if name == goal.variant else basis.running[name] for name, count in fleet.items()}
    if basis.spec.scaling.mode is not Mode.MANUAL:
        fleet = _with_the_last(basis, fleet)
    under_way = switch_of(basis, decision, road)
    decided = Plan(
        fleet=fleet,
        goal={**road.goal, decision.variant: decision.target},
        reason=_reason(goal, decision, under_way),
        message=sentence(basis, goal, decision, road, under_way),
        numbers=numbers(basis, decision),
        indicators=_indicators(basis),
        speeds=_speeds(basis.estimate),
        metrics_available=metrics_available(basis.sight),
        slo_met=slo_met(basis.spec.slo, basis.sight, basis.estimate),
        slo_feasible=slo_feasible(basis),
        scaling_limited=scaling_limited(basis, goal, decision, road),
        traffic_unbalanced=traffic_unbalanced(basis.memory, basis.sight),
        canaries=_canaries(basis, goal.variant),
        degraded=degraded(basis, goal),
        speed_cards_accurate=speed_cards_accurate(basis),
        progress=progress(basis, road, under_way),
        outlook=outlook(basis, goal, decision),
    )
    return decided, _remembered(basis, goal, decision)


def _with_the_last(basis: Basis, fleet: dict[str, int]) -> dict[str, int]:
    """Return the fleet with one replica of what serves, where bounds that contradict each other would leave none."""
    name, serving = basis.sight.incumbent, basis.sight.pods_serving
    serves = any(fleet.get(one, 0) and count for one, count in serving.items())
    if serves or name is None or not basis.running.get(name, 0):
        return fleet
    return {**fleet, name: max(fleet[name], 1)}


def _road(basis: Basis, decision: Decision) -> Road:
    """Return the road to what was decided: replicas of one variant, and of others what `minReplicas` keeps."""
    name, manual = decision.variant, basis.spec.scaling.mode is Mode.MANUAL
    others = {one: 0 if manual else basis.ladder.kept(one) for one in basis.running}
    goal = {**others, name: decision.replicas}
    blocked = {one for one, setback in basis.memory.setbacks.items() if setback.blocks(basis.sight.now)}
    barred = frozenset((blocked | basis.stock.keys()) - {name})
    road = road_of(
        basis.ladder,
        goal,
        name,
        decision.successors,
        running=basis.running,
        arriving=basis.need.lasting,
        places=basis.places,
    )
    return paced(basis, replace(road, barred=barred), replace(basis.standing(name), leaving=0))


def _reason(goal: Goal, decision: Decision, under_way: Switch | None) -> DecisionReason:
    if under_way is not None:
        return under_way.reason
    limited = decision.reason is DecisionReason.LIMITED and goal.refused is not None
    return DecisionReason.BUDGET_SPENT if limited else decision.reason


def _canaries(basis: Basis, name: str) -> frozenset[str]:
    """Return the pod whose canary decides whether the switch goes on: the first that serves of the variant's own."""
    if basis.is_proven(name):
        return frozenset()
    template_hash = basis.sight.observation.template_hashes.get(name)
    untried = sorted(
        pod.name
        for pod in basis.sight.serving
        if pod.variant == name and pod.template_hash == template_hash and pod.canary is Canary.UNTRIED
    )
    return frozenset(untried[:1])


def _remembered(basis: Basis, goal: Goal, decision: Decision) -> Memory:
    """Return the memory with what was decided. A fleet that is sent elsewhere than it was going has been switched."""
    memory, before = basis.memory, basis.memory.goal or basis.sight.incumbent
    switched = before is not None and before != goal.variant
    return replace(
        memory,
        descent=decision.descent,
        goal=goal.variant,
        switched_at_seconds=basis.sight.now if switched else memory.switched_at_seconds,
    )


def _noting_demand(memory: Memory, sight: Sight, believed: Estimate) -> Memory:
    """Return the memory with the demand of this moment, if it was measured."""
    if not memory.history or memory.history[-1].at_seconds != sight.now:
        return memory
    last = memory.history[-1]
    demand = max(
        last.demand_tokens_per_second, believed.demand_tokens_per_second or 0.0, believed.growth_tokens_per_second
    )
    lasting = max(last.lasting_tokens_per_second, believed.lasting_tokens_per_second)
    noted = replace(last, demand_tokens_per_second=demand, lasting_tokens_per_second=lasting)
    return replace(memory, history=(*memory.history[:-1], noted))


def _indicators(basis: Basis) -> Indicators:
    believed = basis.estimate
    return Indicators(
        demand_tokens_per_second=believed.demand_tokens_per_second,
        served_tokens_per_second=believed.served_tokens_per_second,
        capacity_tokens_per_second=_capacity(basis),
        stream_tokens_per_second=believed.stream_tokens_per_second,
        waiting_requests=believed.waiting_requests,
    )


def _capacity(basis: Basis) -> float | None:
    """Return what the pods that serve can do as promised, the weakest binding all; None if of one nothing is known."""
    each, total = [], len(basis.sight.serving)
    for name in basis.sight.pods_serving:
        one = basis.estimate.variants.get(name)
        if one is None or one.feasible is None:
            return None
        load = one.promised_load(total)
        each.append(load.tokens_per_second if load else 0.0)
    return total * min(each, default=0.0)


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


def _asleep(basis: Basis) -> Plan:
    """Return the plan of a model that nobody asks for: nothing runs, also of what `minReplicas` keeps while awake."""
    scaling, nothing = basis.spec.scaling, dict.fromkeys(basis.running, 0)
    wakes = [f"`{scaling.wake.metric_name}`"] if scaling.wake else []
    wakes += [f"schedule {one.name}" for one in scaling.schedules if one.asks_for_replicas]
    message = (
        f"Asleep: nobody had asked for {shown(scaling.sleeps_after_seconds or 0.0)} s, every tick of which was seen. "
        f"What wakes it: {', '.join(wakes)}."
    )
    return Plan(
        fleet=nothing,
        goal=nothing,
        reason=DecisionReason.ASLEEP,
        message=message,
        numbers={"idle_seconds": basis.memory.idle.seconds} if basis.memory.idle else {},
        indicators=_indicators(basis),
        speeds=_speeds(basis.estimate),
        metrics_available=metrics_available_asleep(basis.spec, basis.sight),
        slo_met=slo_met_asleep(basis.spec, basis.sight),
        slo_feasible=slo_feasible(basis),
        scaling_limited=Finding(Verdict.FALSE, ScalingLimitedReason.NOT_LIMITED, "Nothing limits the fleet."),
        traffic_unbalanced=traffic_unbalanced(basis.memory, basis.sight),
        degraded=Finding(Verdict.UNKNOWN, DegradedReason.NOTHING_SERVES, "No replica serves."),
        speed_cards_accurate=speed_cards_accurate(basis),
    )


def _woken(spec: LLMDeploymentSpec, sight: Sight, decided: Plan) -> Plan:
    """Return the first plan after a sleep, which says why it has ended."""
    wake = spec.scaling.wake
    if wake is not None and sight.observation.wake is Wake.ASKED:
        why = f"`{wake.metric_name}` says that somebody asks"
    elif is_asked(sight):
        why = "a replica is at work"
    elif spec.scaling.sleeps_after_seconds is None:
        why = "the spec wants it awake"
    else:
        why = "what still serves is not seen to be idle any more"
    message = f"Woken, because {why}. {decided.message}"
    return replace(decided, reason=DecisionReason.WOKEN, message=message)


def _nothing_to_run(basis: Basis) -> Plan:
    """Return the plan where no variant can run: everything stays as it is."""
    message = "No variant at or above `slo.minQuality` can run in this version; nothing is changed."
    return Plan(
        fleet=basis.running,
        goal=basis.running,
        reason=DecisionReason.INFEASIBLE,
        message=message,
        numbers={},
        indicators=_indicators(basis),
        speeds=_speeds(basis.estimate),
        metrics_available=metrics_available(basis.sight),
        slo_met=slo_met(basis.spec.slo, basis.sight, basis.estimate),
        slo_feasible=Finding(Verdict.FALSE, SLOFeasibleReason.NO_VARIANT, message),
        scaling_limited=Finding(Verdict.TRUE, ScalingLimitedReason.NO_VARIANT, message),
        traffic_unbalanced=traffic_unbalanced(basis.memory, basis.sight),
        canaries=frozenset(),
        degraded=Finding(Verdict.UNKNOWN, DegradedReason.NOTHING_SERVES, message),
        speed_cards_accurate=speed_cards_accurate(basis),
        progress=None,
        outlook=(),
    )
