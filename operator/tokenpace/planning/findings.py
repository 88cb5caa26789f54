"""What is true of the resource besides its fleet: verdicts that become conditions."""

from tokenpace.api.reasons import MetricsReason, ScalingLimitedReason, SLOFeasibleReason, TrafficReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant
from tokenpace.planning.balance import EXTRAPOLATION, lone_first_token_seconds, lone_stream_seconds
from tokenpace.planning.decide import Decision, is_unbalanced
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.estimate import Believed, Estimate, required_capacity
from tokenpace.planning.imbalance import IMBALANCE, imbalance
from tokenpace.planning.memory import Memory
from tokenpace.planning.sight import Sight


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


def slo_feasible(spec: LLMDeploymentSpec, variant: Variant, estimate: Estimate, decision: Decision) -> Finding:
    """Return whether a fleet within the bounds could keep what is promised, else with the best that is attainable."""
    believed = estimate.variants[variant.name]
    costs = believed.costs
    if costs is None:
        message = f"Nothing is known of the speed of {variant.name} yet: declare `expected`, or wait for traffic."
        return Finding(Verdict.UNKNOWN, SLOFeasibleReason.CAPACITY_UNKNOWN, message)
    kept = believed.targets.attainable(costs, estimate.shape)
    source = f"({believed.source.lower()})"
    if kept.stream_seconds_per_token != believed.targets.stream_seconds_per_token and spec.slo.stream:
        return Finding(
            Verdict.FALSE,
            SLOFeasibleReason.STREAM_SPEED_UNATTAINABLE,
            f"No number of replicas gives a stream {spec.slo.stream.tokens_per_second} tokens/s on {variant.name}: "
            f"one that has a replica to itself gets {1 / lone_stream_seconds(costs):.3g} {source}.",
        )
    if kept.first_token_seconds != believed.targets.first_token_seconds and spec.slo.time_to_first_token:
        best = 1000 * lone_first_token_seconds(costs, estimate.shape)
        return Finding(
            Verdict.FALSE,
            SLOFeasibleReason.FIRST_TOKEN_UNATTAINABLE,
            f"No number of replicas brings a first token within {spec.slo.time_to_first_token.milliseconds} ms on "
            f"{variant.name}: a request that has a replica to itself waits {best:.3g} ms {source}.",
        )
    return _bounded(spec, variant, estimate, decision)


def _bounded(spec: LLMDeploymentSpec, variant: Variant, estimate: Estimate, decision: Decision) -> Finding:
    """Return whether the bounds allow for the demand, and for all that is promised as far as that can be told."""
    believed, most = estimate.variants[variant.name], decision.most_tokens_per_second
    promised = spec.slo.generation_tokens_per_second
    required = decision.required_tokens_per_second
    if promised is not None and not _is_extrapolated(believed):
        required = max(required, required_capacity(spec.slo, estimate.shape, promised))
    if required > most:
        return Finding(
            Verdict.FALSE,
            SLOFeasibleReason.BOUNDS_TOO_LOW,
            f"{required:.4g} tokens/s have to be served in time; the bounds allow a fleet of {variant.name} that can "
            f"serve {most:.4g} ({believed.source.lower()}).",
        )
    message = f"A fleet of {variant.name} within the bounds serves up to {most:.4g} tokens/s in time."
    return Finding(Verdict.TRUE, SLOFeasibleReason.FEASIBLE, message)


def _is_extrapolated(believed: Believed) -> bool:
    """Tell whether capacity ends where experience ends: more may well be possible."""
    load, most = believed.planned_load(1), believed.learned.most_streams
    slots = believed.learned.slots
    return load is None or ((slots is None or slots > load.streams + 1e-9) and load.streams >= EXTRAPOLATION * most)


def scaling_limited(decision: Decision, variant: Variant, memory: Memory, sight: Sight) -> Finding:
    """Return what keeps the fleet from what is needed."""
    troubled = sorted(f"{pod.name}: {pod.trouble}" for pod in decision.overdue if pod.trouble)
    if troubled:
        return Finding(Verdict.TRUE, ScalingLimitedReason.PODS_DO_NOT_START, f"{'; '.join(troubled)}.")
    if not decision.enough:
        message = (
            f"{decision.required_tokens_per_second:.4g} tokens/s need more than the {decision.needed} replicas of "
            f"{variant.name} that the bounds allow (`scaling.maxReplicas`, `maxHourlyCost`, the variant's own)."
        )
        return Finding(Verdict.TRUE, ScalingLimitedReason.BOUNDS_REACHED, message)
    if is_unbalanced(memory, sight.now) and decision.needed > decision.current:
        message = "More replicas would get no requests: see TrafficUnbalanced."
        return Finding(Verdict.TRUE, ScalingLimitedReason.TRAFFIC_UNBALANCED, message)
    return Finding(Verdict.FALSE, ScalingLimitedReason.NOT_LIMITED, "Nothing limits the fleet.")


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
