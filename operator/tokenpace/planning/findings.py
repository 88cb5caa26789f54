"""What is true of the resource besides its fleet: verdicts that become conditions."""

from collections.abc import Sequence

from tokenpace.api.reasons import MetricsReason, ScalingLimitedReason, SLOFeasibleReason, TrafficReason
from tokenpace.api.scaling import Mode
from tokenpace.planning.balance import lone_first_token_seconds, lone_stream_seconds
from tokenpace.planning.basis import Basis
from tokenpace.planning.decide import Decision, is_unbalanced
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.estimate import is_extrapolated, required_capacity
from tokenpace.planning.goal import Goal, triable
from tokenpace.planning.imbalance import IMBALANCE, imbalance
from tokenpace.planning.leadtime import plight
from tokenpace.planning.memory import Memory
from tokenpace.planning.setbacks import until
from tokenpace.planning.sight import Sight
from tokenpace.planning.switch import missing_room
from tokenpace.planning.transition import Road
from tokenpace.planning.wording import shown


def metrics_available(sight: Sight) -> Finding:
    """Return whether every pod that serves can be seen."""
    names = ", ".join(sorted(pod.name for pod in sight.unknown))
    if sight.observation.metrics_problem is not None:
        return Finding(Verdict.FALSE, MetricsReason.PROMETHEUS_UNAVAILABLE, sight.observation.metrics_problem)
    if sight.unknown and not sight.known:
        return Finding(Verdict.FALSE, MetricsReason.ALL_PODS_MISSING, f"Prometheus has nothing recent of {names}.")
    if sight.unknown:
        message = f"Prometheus has nothing recent of {names}; they are taken to be like the others."
        return Finding(Verdict.FALSE, MetricsReason.SOME_PODS_MISSING, message)
    if not sight.known:
        return Finding(Verdict.UNKNOWN, MetricsReason.NOTHING_SERVES, "No pod has served long enough to be measured.")
    return Finding(Verdict.TRUE, MetricsReason.EVERY_POD_MEASURED, f"{len(sight.known)} pods are measured.")


def slo_feasible(basis: Basis) -> Finding:
    """Return whether a fleet within the bounds could keep what is promised, else with the best that is attainable.

    Any variant will do that may serve and is not set back.
    """
    ladder, names = basis.ladder, triable(basis)
    known = [name for name in names if ladder.believed(name).costs is not None]
    keeping = [name for name in known if ladder.believed(name).feasible]
    if keeping:
        most = max(keeping, key=lambda name: ladder.most(name).tokens_per_second)
        found = _bounded(basis, most)
        if found.verdict is Verdict.TRUE or len(known) == len(names):
            return found
    if len(known) < len(names):
        unknown = " and ".join(name for name in names if name not in known)
        message = f"Nothing is known of the speed of {unknown} yet: declare `expected`, or wait for traffic."
        return Finding(Verdict.UNKNOWN, SLOFeasibleReason.CAPACITY_UNKNOWN, message)
    return _unattainable(basis, known)


def _unattainable(basis: Basis, names: Sequence[str]) -> Finding:
    """Return which latency target none of these variants keeps, with the best that any of them attains."""
    slo, shape, believed = basis.spec.slo, basis.estimate.shape, basis.estimate.variants
    costs = {name: found for name in names if (found := believed[name].costs) is not None}
    fastest = min(costs, key=lambda name: lone_stream_seconds(costs[name]))
    target = believed[fastest].targets.attainable(costs[fastest], shape)
    if slo.stream and target.stream_seconds_per_token is None:
        return Finding(
            Verdict.FALSE,
            SLOFeasibleReason.STREAM_SPEED_UNATTAINABLE,
            f"No number of replicas gives a stream {slo.stream.tokens_per_second} tokens/s on {fastest}: "
            f"one that has a replica to itself gets {shown(1 / lone_stream_seconds(costs[fastest]))} "
            f"({believed[fastest].source.lower()}).",
        )
    soonest = min(costs, key=lambda name: lone_first_token_seconds(costs[name], shape))
    best = 1000 * lone_first_token_seconds(costs[soonest], shape)
    limit = slo.time_to_first_token.milliseconds if slo.time_to_first_token else 0
    return Finding(
        Verdict.FALSE,
        SLOFeasibleReason.FIRST_TOKEN_UNATTAINABLE,
        f"No number of replicas brings a first token within {limit} ms on {soonest}: a request that has a replica to "
        f"itself waits {shown(best)} ms ({believed[soonest].source.lower()}).",
    )


def _bounded(basis: Basis, name: str) -> Finding:
    """Return whether the bounds allow for the demand, and for all that is promised as far as that can be told."""
    slo, estimate = basis.spec.slo, basis.estimate
    believed, most = estimate.variants[name], basis.ladder.most(name).tokens_per_second
    promised, required = slo.generation_tokens_per_second, basis.need.certain
    if promised is not None and not is_extrapolated(believed):
        required = max(required, required_capacity(slo, estimate.shape, promised))
    if required > most:
        return Finding(
            Verdict.FALSE,
            SLOFeasibleReason.BOUNDS_TOO_LOW,
            f"{shown(required)} tokens/s have to be served in time; the bounds allow a fleet of {name} that can "
            f"serve {shown(most)} ({believed.source.lower()}).",
        )
    message = f"A fleet of {name} within the bounds serves up to {shown(most)} tokens/s in time."
    return Finding(Verdict.TRUE, SLOFeasibleReason.FEASIBLE, message)


def scaling_limited(basis: Basis, goal: Goal, decision: Decision, road: Road) -> Finding:
    """Return what keeps the fleet from what is needed."""
    troubled = sorted({plight(pod, basis.sight.now) for pod in decision.overdue})
    if troubled:
        return Finding(Verdict.TRUE, ScalingLimitedReason.PODS_DO_NOT_START, f"{'; '.join(troubled)}.")
    shortage = basis.shortages.get(goal.variant)
    if shortage is not None:
        message = (
            f"No more than {shortage.replicas} of {goal.variant} can start now ({shortage.setback.message}); one more "
            f"is tried after {until(shortage.setback)}."
        )
        return Finding(Verdict.TRUE, ScalingLimitedReason.PODS_DO_NOT_START, message)
    if basis.places is not None and not decision.enough:
        message = f"The cluster has room for {basis.places} pods: for one more there was none lately."
        return Finding(Verdict.TRUE, ScalingLimitedReason.PODS_DO_NOT_START, message)
    contradiction = _contradiction(basis, decision, road)
    if contradiction is not None or not decision.enough:
        message = contradiction or (
            f"{shown(decision.required_tokens_per_second)} tokens/s need more than the {decision.needed} replicas of "
            f"{goal.variant} that the bounds allow (`scaling.maxReplicas`, `maxHourlyCost`, the variant's own)."
        )
        if goal.refused is not None:
            message += f" Too little is left of `scaling.degraded.maxTokensPercent` for {goal.refused}."
        return Finding(Verdict.TRUE, ScalingLimitedReason.BOUNDS_REACHED, message)
    if is_unbalanced(basis.memory, basis.sight.now) and decision.needed > decision.current:
        message = "More replicas would get no requests: see TrafficUnbalanced."
        return Finding(Verdict.TRUE, ScalingLimitedReason.TRAFFIC_UNBALANCED, message)
    return Finding(Verdict.FALSE, ScalingLimitedReason.NOT_LIMITED, "Nothing limits the fleet.")


def _contradiction(basis: Basis, decision: Decision, road: Road) -> str | None:
    """Return which bound leaves nothing that could take the place of the last that serves."""
    name = decision.variant
    if decision.replicas == 0 and basis.spec.scaling.mode is not Mode.MANUAL:
        return f"The bounds allow no replica of {name}: raise `scaling.maxReplicas`, `maxHourlyCost` or its own."
    cure = missing_room(basis, road)
    return None if cure is None else f"The bounds leave no room for {name} beside what serves: raise `scaling.{cure}`."


def traffic_unbalanced(memory: Memory, sight: Sight) -> Finding:
    """Return whether some pods get much more than others."""
    ratio = imbalance(memory.requests, sight.now)
    if ratio is None:
        message = "There is too little traffic, or there are too few pods, to tell."
        return Finding(Verdict.UNKNOWN, TrafficReason.TOO_LITTLE_TRAFFIC, message)
    message = f"The most loaded pod has {ratio:.2g} times the mean of requests; {IMBALANCE} is unbalanced."
    if is_unbalanced(memory, sight.now):
        return Finding(Verdict.TRUE, TrafficReason.SOME_PODS_PREFERRED, message)
    return Finding(Verdict.FALSE, TrafficReason.BALANCED, message)
