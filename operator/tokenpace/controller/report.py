"""The status of one LLMDeployment, from what was seen, planned and done. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from tokenpace.api.conditions import ConditionType, merge_conditions
from tokenpace.api.names import selector_text
from tokenpace.api.reasons import DecisionReason, ProgressingReason, ReadyReason, SupportReason
from tokenpace.api.scaling import Mode
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import (
    FleetSpeeds,
    LastDecision,
    LLMDeploymentStatus,
    ObjectiveStatus,
    VariantStatus,
    speed,
)
from tokenpace.api.support import unsupported_fields
from tokenpace.cluster.apply import Outcome, Result
from tokenpace.controller.advice import advised_action
from tokenpace.controller.recollection import Kept
from tokenpace.controller.speed_cards import SpeedCards, accuracy
from tokenpace.engines.engine import FieldProblem
from tokenpace.planning.decision import Finding, Plan, Verdict
from tokenpace.planning.observation import Observation


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that the cluster did not take, in its own words."""

    reason: ReadyReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that one status is made of."""

    name: str
    generation: int
    declared: LLMDeploymentSpec
    """The whole spec, with the parts that this version does not act on."""
    observation: Observation
    plan: Plan
    kept: Kept
    """What of the planner's memory outlives a restart."""
    problems: Sequence[FieldProblem]
    """Values that an engine cannot run: their variants are left out, or keep the pods that they have."""
    refusals: Sequence[Refusal]
    outdated: Sequence[str]
    """Variants whose pods this version of the operator would render otherwise than they are."""
    objective: ObjectiveStatus | None
    """How the objective stands, as far as that is known."""
    hands_off: ProgressingReason | None
    """Why nothing is changed, if nothing may be."""
    cards: SpeedCards = field(default_factory=SpeedCards)


_HANDS_OFF = {
    ProgressingReason.PAUSED: "The annotation tokenpace.dev/paused is set: nothing is changed until it is removed.",
    ProgressingReason.ADVISORY: "`scaling.mode` is Advisory: nothing is changed.",
}

_REFUSED = {
    Result.NAME_CONFLICT: ReadyReason.NAME_CONFLICT,
    Result.FORBIDDEN: ReadyReason.WRITE_REFUSED,
    Result.INVALID: ReadyReason.WRITE_REFUSED,
}


def refusals_of(outcomes: Iterable[Outcome]) -> tuple[Refusal, ...]:
    """Return what a person must put right; conflicts and silence are tried again at the next tick by themselves."""
    return tuple(
        Refusal(_REFUSED[outcome.result], f"{outcome.action}: {outcome.message}.")
        for outcome in outcomes
        if outcome.result in _REFUSED
    )


def ready_by_variant(observation: Observation) -> dict[str, int]:
    """Return the replicas that serve, by variant."""
    ready = dict.fromkeys(observation.replicas, 0)
    for pod in observation.pods:
        if pod.serving:
            ready[pod.variant] = ready.get(pod.variant, 0) + 1
    return ready


def build_status(facts: Facts, previous: LLMDeploymentStatus, now_seconds: float) -> LLMDeploymentStatus:
    """Return the status that says what ``facts`` hold.

    ``previous`` gives the moments that stay: when a condition last changed, when the last decision was made.
    """
    now = datetime.fromtimestamp(now_seconds, UTC)
    ready = ready_by_variant(facts.observation)
    indicators = facts.plan.indicators
    serving = [name for name, count in ready.items() if count > 0]
    quality = {variant.name: variant.quality for variant in facts.declared.ladder}
    known = [quality[name] for name in serving if name in quality]
    return LLMDeploymentStatus(
        observed_generation=facts.generation,
        replicas=sum(facts.observation.replicas.values()),
        ready_replicas=sum(ready.values()),
        selector=selector_text(facts.name),
        variant=max(serving, key=lambda name: (ready[name], quality.get(name, 0), name), default=None),
        tokens_per_second=FleetSpeeds(
            demand=speed(indicators.demand_tokens_per_second),
            served=speed(indicators.served_tokens_per_second),
            capacity=speed(indicators.capacity_tokens_per_second),
            stream=speed(indicators.stream_tokens_per_second),
        ),
        variants=tuple(
            _variant(name, facts, ready, quality.get(name)) for name in sorted({*quality, *facts.observation.replicas})
        ),
        quality=min(known, default=None),
        slo=facts.objective,
        degraded=facts.kept.degraded,
        switched_at=facts.kept.switched_at,
        # While nothing may be touched there are only intentions, and what runs is not asleep.
        asleep_since=facts.kept.asleep_since if facts.hands_off is None or not _runs(facts) else None,
        outlook=facts.plan.outlook,
        last_decision=_last_decision(facts, previous.last_decision, now),
        conditions=merge_conditions(
            previous.conditions, _findings(facts, ready), observed_generation=facts.generation, now=now
        ),
    )


def unserved_status(
    name: str, generation: int, why: Refusal, previous: LLMDeploymentStatus, now_seconds: float
) -> LLMDeploymentStatus:
    """Return the status of a resource that cannot be served: what runs goes on running as it is."""
    return previous.model_copy(
        update={
            "observed_generation": generation,
            "selector": selector_text(name),
            "conditions": merge_conditions(
                previous.conditions,
                {ConditionType.READY: Finding(Verdict.FALSE, why.reason, why.message)},
                observed_generation=generation,
                now=datetime.fromtimestamp(now_seconds, UTC),
            ),
        }
    )


def fleet_text(fleet: Mapping[str, int]) -> str:
    """Return a fleet for people, for example ``q8: 3``."""
    return ", ".join(f"{name}: {replicas}" for name, replicas in sorted(fleet.items()) if replicas) or "none"


def _variant(name: str, facts: Facts, ready: Mapping[str, int], quality: Decimal | None) -> VariantStatus:
    known = facts.plan.speeds.get(name)
    return VariantStatus(
        name=name,
        replicas=facts.observation.replicas.get(name, 0),
        ready=ready.get(name, 0),
        capacity=speed(known.capacity_tokens_per_second) if known else None,
        source=known.source if known and known.capacity_tokens_per_second is not None else None,
        quality=quality,
        lead_seconds=round(known.lead_seconds) if known else None,
        learned=facts.kept.learned.get(name),
        setback=facts.kept.setbacks.get(name),
    )


def _last_decision(facts: Facts, previous: LastDecision | None, now: datetime) -> LastDecision:
    """Return the decision, with the time at which it was first made."""
    seen = facts.observation.replicas
    action = fleet_text(facts.plan.fleet) if facts.hands_off is None else advised_action(facts.plan.goal, seen)
    same = previous is not None and (previous.action, previous.reason) == (action, facts.plan.reason)
    return LastDecision(
        time=previous.time if previous is not None and same else now,
        action=action,
        reason=facts.plan.reason,
        message=facts.plan.message,
    )


def _findings(facts: Facts, ready: Mapping[str, int]) -> dict[ConditionType, Finding]:
    plan = facts.plan
    return {
        ConditionType.READY: _ready(facts, ready),
        ConditionType.METRICS_AVAILABLE: plan.metrics_available,
        ConditionType.SLO_MET: plan.slo_met,
        ConditionType.SLO_FEASIBLE: plan.slo_feasible,
        ConditionType.SCALING_LIMITED: plan.scaling_limited,
        ConditionType.TRAFFIC_UNBALANCED: plan.traffic_unbalanced,
        ConditionType.PROGRESSING: _progressing(facts, ready),
        ConditionType.DEGRADED: plan.degraded,
        ConditionType.SPEED_CARDS_ACCURATE: accuracy(facts.declared, facts.cards, plan.speed_cards_accurate),
        ConditionType.NOT_YET_SUPPORTED: _not_yet_supported(facts),
    }


def _ready(facts: Facts, ready: Mapping[str, int]) -> Finding:
    if facts.refusals:
        first = facts.refusals[0]
        return Finding(Verdict.FALSE, first.reason, " ".join(refusal.message for refusal in facts.refusals))
    if facts.plan.reason is DecisionReason.ASLEEP and not _runs(facts):
        return Finding(Verdict.TRUE, ReadyReason.ASLEEP, facts.plan.message)
    floor = facts.declared.slo.min_quality
    allowed = sum(ready.get(variant.name, 0) for variant in facts.declared.variants if variant.quality >= floor)
    manual = facts.declared.scaling.mode is Mode.MANUAL
    scaling = facts.declared.scaling
    least = max(scaling.min_replicas, 1) if scaling.sleeps_after_seconds is not None else scaling.min_replicas
    needed = facts.declared.replicas if manual else least
    message = f"Serving replicas: {allowed}; at least {needed} must serve."
    if allowed >= needed:
        return Finding(Verdict.TRUE, ReadyReason.SERVING, message)
    return Finding(Verdict.FALSE, ReadyReason.TOO_FEW_REPLICAS, message)


def _runs(facts: Facts) -> bool:
    return any(facts.observation.replicas.values())


def _progressing(facts: Facts, ready: Mapping[str, int]) -> Finding:
    if facts.hands_off is not None:
        return Finding(Verdict.FALSE, facts.hands_off, _HANDS_OFF[facts.hands_off])
    hindered = {f"{pod.name}: {pod.hindrance_message}" for pod in facts.observation.pods if not pod.hindrance.is_usual}
    troubles = "; ".join(sorted(hindered))
    progress = facts.plan.progress
    if progress is not None:
        return replace(progress, message=f"{progress.message} {troubles}".strip()[:1000])
    if troubles:
        return Finding(Verdict.TRUE, ProgressingReason.PODS_IN_TROUBLE, troubles[:1000])
    return _outstanding(facts, ready) or _settled(facts, ready)


def _outstanding(facts: Facts, ready: Mapping[str, int]) -> Finding | None:
    """Return what the fleet still lacks, or has too much of; None where it is as decided."""
    fleet = facts.plan.fleet
    missing = {name: wanted - ready.get(name, 0) for name, wanted in fleet.items() if wanted > ready.get(name, 0)}
    if missing:
        return Finding(
            Verdict.TRUE, ProgressingReason.REPLICAS_STARTING, f"Waiting for replicas to serve ({fleet_text(missing)})."
        )
    surplus = any(count > fleet.get(name, 0) for name, count in ready.items())
    if surplus or any(pod.terminating for pod in facts.observation.pods):
        return Finding(Verdict.TRUE, ProgressingReason.REPLICAS_STOPPING, "Waiting for replicas to drain and go.")
    return None


def _settled(facts: Facts, ready: Mapping[str, int]) -> Finding:
    if facts.outdated:
        message = (
            f"Pods of {', '.join(facts.outdated)} are as an earlier version of the operator made them, so that its "
            "upgrade restarts nothing; any change of the variant's engine renews them."
        )
        return Finding(Verdict.FALSE, ProgressingReason.TEMPLATE_OUTDATED, message)
    return Finding(Verdict.FALSE, ProgressingReason.SETTLED, f"The fleet is as decided ({fleet_text(ready)}).")


def _not_yet_supported(facts: Facts) -> Finding:
    broken = [
        f"{one.field}: {one.message}; until that is right the variant is left out, or keeps the pods that it has."
        for one in facts.problems
    ]
    fields = [str(field) for field in unsupported_fields(facts.declared)]
    if broken:
        return Finding(Verdict.TRUE, SupportReason.VARIANT_CANNOT_RUN, " ".join((*broken, *fields)))
    if fields:
        return Finding(Verdict.TRUE, SupportReason.FIELDS_WITHOUT_EFFECT, " ".join(fields))
    return Finding(Verdict.FALSE, SupportReason.EVERYTHING_SUPPORTED, "Every declared field has its effect.")
