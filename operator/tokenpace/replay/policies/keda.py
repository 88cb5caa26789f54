"""KEDA: a HorizontalPodAutoscaler on totals that Prometheus is asked for, and two projects' presets of it.

A query without any series is 0 by KEDA's default (`ignoreNullValues`), not missing: a fleet whose series are gone is
scaled in. Only a Prometheus that does not answer is an error, which holds. Between one replica and the most KEDA leaves
everything to the HorizontalPodAutoscaler, which asks again at every sync; its own polling decides between none and one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tokenpace.replay.policies.bounds import Bounds, alone, chosen_variant
from tokenpace.replay.policies.horizontal import (
    SYNC_SECONDS,
    Direction,
    HorizontalScaler,
    Limit,
    external_replicas,
    of_several,
)
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.signals import instant, rate_of, series_of
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import View

COOLDOWN_SECONDS = 300.0
"""`cooldownPeriod`: nothing may have been active for so long before the last replica goes."""


class Trigger(NamedTuple):
    """One query's answer, and what of it each replica shall have."""

    total: float | None
    """None: the query failed."""
    threshold: float


@dataclass(slots=True)
class ScaledObject:
    """KEDA's wiring of one workload: activation between none and one replica, and the HorizontalPodAutoscaler above.

    Activation is looked at once in a sync, which is more often than KEDA's `pollingInterval` of 30 s.
    """

    scaler: HorizontalScaler
    least: int
    """`minReplicaCount`, which may be 0; the HorizontalPodAutoscaler's own minimum is at least 1."""
    active_at_seconds: float = -math.inf

    def replicas(self, at_seconds: float, current: int, triggers: Sequence[Trigger]) -> int:
        """Return the replicas to ask for now."""
        if any(trigger.total for trigger in triggers):
            self.active_at_seconds = at_seconds
        is_idle = at_seconds - self.active_at_seconds >= COOLDOWN_SECONDS
        known = all(trigger.total is not None for trigger in triggers)
        if current == 0:
            return max(self.least, int(self.active_at_seconds == at_seconds))
        if self.least == 0 and is_idle and known:
            return 0
        wanted = [
            None if total is None else external_replicas(total, target=threshold, current=current)
            for total, threshold in triggers
        ]
        return self.scaler.replicas(at_seconds, current, of_several(wanted, current))


def scaled_object(bounds: Bounds, up: Direction, down: Direction) -> ScaledObject:
    """Return the wiring of a workload whose bounds may begin at 0."""
    return ScaledObject(HorizontalScaler(Bounds(max(1, bounds.least), bounds.most), up, down), bounds.least)


@dataclass(slots=True)
class KedaPolicy:
    """A ScaledObject on the chosen variant's workload."""

    variant: str
    triggers: Callable[[View], Sequence[Trigger]]
    scaled: ScaledObject
    interval_seconds: float = SYNC_SECONDS

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas that the trigger which wants most asks for."""
        current = view.replicas.get(self.variant, 0)
        return {self.variant: self.scaled.replicas(view.at_seconds, current, self.triggers(view))}


def production_stack(fleet: Fleet, _: Traffic, multiple: float) -> KedaPolicy:
    """Scale as the operator of vLLM's production-stack presets it: running requests, generated and prompt tokens/s.

    Up one pod a minute at once, down one pod a minute after five. It never goes to zero: see `bounds`.
    """
    variant = chosen_variant(fleet.spec)

    def triggers(view: View) -> tuple[Trigger, ...]:
        return (
            Trigger(_gauges(view, variant.name, "running", fleet.scrape_seconds), 5 * multiple),
            Trigger(_rates(view, variant.name, "generated_tokens"), 100 * multiple),
            Trigger(_rates(view, variant.name, "prompt_tokens"), 100 * multiple),
        )

    up, down = Direction((Limit(1, 60),), window_seconds=0), Direction((Limit(1, 60),), window_seconds=300)
    return KedaPolicy(variant.name, triggers, scaled_object(alone(fleet.spec, variant), up, down))


def kaito(fleet: Fleet, _: Traffic, waiting_per_pod: float) -> KedaPolicy:
    """Scale as keda-kaito-scaler presets it: waiting requests, up one pod in 5 minutes, down one pod in 10.

    Its scaler asks the pods itself; here it loses sight with Prometheus as all do, which holds.
    """
    variant = chosen_variant(fleet.spec)

    def triggers(view: View) -> tuple[Trigger, ...]:
        return (Trigger(_gauges(view, variant.name, "waiting", fleet.scrape_seconds), waiting_per_pod),)

    up, down = Direction((Limit(1, 300),), window_seconds=60), Direction((Limit(1, 600),), window_seconds=300)
    return KedaPolicy(variant.name, triggers, scaled_object(alone(fleet.spec, variant), up, down))


def _gauges(view: View, variant: str, gauge: str, scrape_seconds: float) -> float | None:
    scrapes = [instant(pod, view, scrape_seconds) for pod in series_of(view, variant)]
    return _total(view, [float(getattr(scrape, gauge)) for scrape in scrapes if scrape is not None])


def _rates(view: View, variant: str, counter: str) -> float | None:
    return _total(view, [rate_of(pod, view, counter) or 0.0 for pod in series_of(view, variant)])


def _total(view: View, values: Sequence[float]) -> float | None:
    """Return the sum over the series there are, which is 0 without any; None where Prometheus does not answer."""
    return None if view.metrics_lost else sum(values)


KINDS = (
    PolicyKind(
        name="keda-production-stack",
        source="vllm-project/production-stack@a6c01db operator/internal/controller/vllmruntime_controller.go; "
        "kedacore/keda@8b4f083 pkg/scalers/prometheus_scaler.go",
        knob="multiple of 5 running requests, 100 generated and 100 prompt tokens/s per pod",
        default=1,
        sweep=(1, 2, 4, 6, 8, 12, 16, 32),
        make=production_stack,
    ),
    PolicyKind(
        name="keda-kaito",
        source="kaito-project/kaito@056b828 website/docs/keda-autoscaler-inference.md; "
        "kedacore/keda@8b4f083 pkg/scaling/executor/scale_executor.go",
        knob="waiting requests per pod",
        default=10,
        sweep=(0.5, 1, 2, 5, 10, 20),
        make=kaito,
    ),
)
