"""Whether something below the best variant serves, and why."""

from tokenpace.api.reasons import DegradedReason
from tokenpace.api.scaling import Mode, Preference
from tokenpace.api.support import runnable_variants
from tokenpace.planning.basis import Basis
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.goal import Goal, is_limited
from tokenpace.planning.stability import SLACK
from tokenpace.planning.switch import blocking, is_set_back


def degraded(basis: Basis, goal: Goal) -> Finding:
    """Return whether something below the best variant serves, and why."""
    if not basis.sight.serving:
        return Finding(Verdict.UNKNOWN, DegradedReason.NOTHING_SERVES, "No replica serves.")
    best = runnable_variants(basis.spec)[0].name
    below = sorted(name for name in basis.sight.pods_serving if name in basis.degraded)
    if not below:
        message = f"Nothing below the best variant {best} serves.{_spent(basis, best)}"
        return Finding(Verdict.FALSE, DegradedReason.BEST_VARIANT, message)
    reason, why = _why(basis, goal, best)
    message = f"{', '.join(below)} serves below the best variant {best}: {why}.{_spent(basis, best)}"
    return Finding(Verdict.TRUE, reason, message)


def _why(basis: Basis, goal: Goal, best: str) -> tuple[DegradedReason, str]:
    if basis.spec.scaling.mode is Mode.MANUAL:
        return DegradedReason.MANUAL, f"`spec.scaling` asks for {goal.variant}"
    if all(basis.sight.serving_of(name) <= basis.ladder.kept(name) for name in basis.degraded):
        return DegradedReason.BELOW_BEST_VARIANT, "its `minReplicas` stay"
    setback, most, scaling = blocking(basis, best), basis.ladder.most(best), basis.spec.scaling
    window_seconds = scaling.scale_down.stabilization_window_seconds
    short = basis.need.certain > most.tokens_per_second or not most.keeps_targets
    if setback is not None:
        return DegradedReason.BEST_VARIANT_BLOCKED, f"{best} {is_set_back(setback)}"
    if goal.variant not in basis.degraded:
        spent = short and is_limited(basis)
        reason = DegradedReason.BUDGET_SPENT if spent else DegradedReason.BELOW_BEST_VARIANT
        return reason, f"{goal.variant} is taking over{', because the quality budget is spent' if spent else ''}"
    if scaling.preference is Preference.COST and scaling.degraded is None and not short:
        return DegradedReason.CHEAPER, f"{goal.variant} is the cheapest that is enough"
    if not most.keeps_targets:
        why = f"no number of replicas of {best} keeps every latency target"
    elif basis.required <= most.tokens_per_second:
        limit = (1 - SLACK) * most.tokens_per_second
        why = f"{best} takes over again when at most {limit:.3g} tokens/s had to be served for {window_seconds} s"
    else:
        why = (
            f"{basis.required:.3g} tokens/s have to be served, and the largest allowed fleet of {best} serves "
            f"{most.tokens_per_second:.3g} in time ({basis.ladder.believed(best).source.lower()})"
        )
    return DegradedReason.SLO_NEEDS_SPEED, why


def _spent(basis: Basis, best: str) -> str:
    """Return how much of the quality budget is spent, where there is one."""
    declared = basis.spec.scaling.degraded
    if declared is None:
        return ""
    percent = 100 * basis.memory.budget.degraded_share
    return (
        f" Below {best} were {percent:.2g} % of the tokens of {basis.spec.slo.window_hours} hours; at most "
        f"{declared.max_tokens_percent} % may be."
    )
