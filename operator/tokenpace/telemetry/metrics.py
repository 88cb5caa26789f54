"""The operator's own metrics, in Prometheus' conventions.

What is known of each LLMDeployment is collected from the last plans, not from gauges that somebody must
remember to delete: a resource that is gone has no series at the next scrape.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tokenpace.api.names import SLO_MET_METRIC
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.planning.decision import Finding, Plan, Verdict
from tokenpace.planning.slo_accounting import Tally

_RESOURCE = ("namespace", "name")
_VERDICT_VALUES = {Verdict.TRUE: 1.0, Verdict.FALSE: 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The last plan of one LLMDeployment, and what was reported with it."""

    uid: str
    namespace: str
    name: str
    spec: LLMDeploymentSpec
    status: LLMDeploymentStatus
    plan: Plan
    setbacks: Mapping[str, int] = field(default_factory=dict)
    """How often in a row a variant could not take over, by variant."""
    slots: Tally | None = None
    """The objective's window; None while it is not known."""

    @property
    def asleep(self) -> float | None:
        """1 while nothing runs because nobody asks, else 0; None where that never is."""
        return None if self.spec.scaling.sleeps_after_seconds is None else float(self.status.asleep_since is not None)

    @property
    def cost_per_hour(self) -> float | None:
        """What the replicas that are asked for cost, in the currency of ``hourlyCost``; None where one has no cost."""
        costs = {variant.name: variant.hourly_cost for variant in self.spec.variants}
        total = 0.0
        for variant in self.status.variants:
            cost = costs.get(variant.name)
            if variant.replicas > 0 and cost is None:
                return None
            total += variant.replicas * float(cost or 0)
        return total

    @property
    def cost_per_million_tokens(self) -> float | None:
        """What a million generated tokens cost at the speed that is served now; None while nothing is."""
        cost, served = self.cost_per_hour, self.plan.indicators.served_tokens_per_second
        return None if cost is None or not served else cost / (served * 3600.0) * 1e6


_NUMBERS: tuple[tuple[str, str, Callable[[Decided], float | None]], ...] = (
    (
        "tokenpace_demand_tokens_per_second",
        "Tokens per second that clients want now, the backlog included",
        lambda one: one.plan.indicators.demand_tokens_per_second,
    ),
    (
        "tokenpace_served_tokens_per_second",
        "Tokens per second that are generated now",
        lambda one: one.plan.indicators.served_tokens_per_second,
    ),
    (
        "tokenpace_capacity_tokens_per_second",
        "Tokens per second that the ready replicas can serve while every stream keeps its speed",
        lambda one: one.plan.indicators.capacity_tokens_per_second,
    ),
    (
        "tokenpace_stream_tokens_per_second",
        "Tokens per second that one request sees while it is being generated",
        lambda one: one.plan.indicators.stream_tokens_per_second,
    ),
    (
        "tokenpace_slo_feasible",
        "1 if some allowed fleet meets the SLO, 0 if none does; absent while that is unknown",
        lambda one: _verdict(one.plan.slo_feasible),
    ),
    (
        "tokenpace_slo_objective_ratio",
        "Share of one-minute slots that must be good, as declared",
        lambda one: float(one.spec.slo.objective) / 100,
    ),
    (
        "tokenpace_slo_budget_remaining_ratio",
        "Share of the error budget that is left; absent while that is unknown",
        lambda one: _ratio(one.status.slo.budget_remaining_percent if one.status.slo else None),
    ),
    (
        "tokenpace_metrics_available",
        "1 while the pods' metrics can be read, 0 while they cannot",
        lambda one: _verdict(one.plan.metrics_available),
    ),
    (
        "tokenpace_asleep",
        "1 while nothing runs because nobody asks; absent where `scaleToZeroAfterSeconds` is not in force",
        lambda one: one.asleep,
    ),
    (
        "tokenpace_quality_ratio",
        "Quality of the worst variant that serves, as a share of the reference; absent while none serves",
        lambda one: _ratio(one.status.quality),
    ),
    (
        "tokenpace_degraded_tokens_ratio",
        "Share of the tokens of the objective's window that a variant below the best one generated",
        lambda one: _ratio(one.status.degraded.tokens_percent if one.status.degraded else None),
    ),
    (
        "tokenpace_cost_per_hour",
        "Cost of the replicas that are asked for, in the currency of hourlyCost; absent where one has none",
        lambda one: one.cost_per_hour,
    ),
    (
        "tokenpace_cost_per_million_tokens",
        "Cost of a million generated tokens at the speed that is served now; absent while nothing is",
        lambda one: one.cost_per_million_tokens,
    ),
)
"""Gauges of one number for each LLMDeployment: name, help, and where the number comes from."""


def _verdict(finding: Finding) -> float | None:
    return _VERDICT_VALUES.get(finding.verdict)


def _ratio(percent: Decimal | None) -> float | None:
    return None if percent is None else float(percent) / 100


class FleetCollector(Collector):
    """Turns the last plans into series at each scrape."""

    def __init__(self) -> None:
        self._decided: tuple[Decided, ...] = ()

    def replace(self, decided: Iterable[Decided]) -> None:
        """Forget the plans that were shown and show these."""
        self._decided = tuple(decided)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; a number that is not known has no sample, for it is not zero."""
        for name, text, number in _NUMBERS:
            family = GaugeMetricFamily(name, text, labels=_RESOURCE)
            for one in self._decided:
                if (value := number(one)) is not None:
                    family.add_metric((one.namespace, one.name), value)
            yield family
        yield self._slo_met()
        yield self._slots()
        yield from self._replicas()
        yield self._setbacks()

    def _slo_met(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            SLO_MET_METRIC,
            "1 while the SLO is met, 0 while it is not; absent while unknown. The last of a minute is its slot's",
            labels=(*_RESOURCE, "uid"),
        )
        for one in self._decided:
            if (value := _verdict(one.plan.slo_met)) is not None:
                family.add_metric((one.namespace, one.name, one.uid), value)
        return family

    def _slots(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "tokenpace_slo_slots",
            "One-minute slots of the objective's window that were good, bad or left out; absent while that is unknown",
            labels=(*_RESOURCE, "verdict"),
        )
        for one in self._decided:
            if (slots := one.slots) is not None:
                for verdict, count in (("good", slots.good), ("bad", slots.bad), ("left_out", slots.left_out)):
                    family.add_metric((one.namespace, one.name, verdict), count)
        return family

    def _replicas(self) -> Iterator[GaugeMetricFamily]:
        desired = GaugeMetricFamily(
            "tokenpace_desired_replicas",
            "Replicas that the plan leads to, in every mode: for those who let another autoscaler act",
            labels=(*_RESOURCE, "variant"),
        )
        ready = GaugeMetricFamily("tokenpace_ready_replicas", "Replicas that serve", labels=(*_RESOURCE, "variant"))
        for one in self._decided:
            for variant, replicas in one.plan.goal.items():
                desired.add_metric((one.namespace, one.name, variant), replicas)
            for standing in one.status.variants:
                ready.add_metric((one.namespace, one.name, standing.name), standing.ready)
        yield desired
        yield ready

    def _setbacks(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "tokenpace_setbacks",
            "How often in a row a variant could not take over; absent where nothing went wrong",
            labels=(*_RESOURCE, "variant"),
        )
        for one in self._decided:
            for variant, failures in one.setbacks.items():
                family.add_metric((one.namespace, one.name, variant), failures)
        return family


class OperatorMetrics:
    """Every metric that the operator exports, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.fleet = FleetCollector()
        self.registry.register(self.fleet)
        self.decisions = Counter(
            "tokenpace_decisions",
            "Changes of a workload's replicas that were carried out, by the reason of the decision",
            ("reason",),
            registry=self.registry,
        )
        self.switches = Counter(
            "tokenpace_switches",
            "Switches between variants that began, were done or were rolled back, by that",
            ("result",),
            registry=self.registry,
        )
        self.canaries = Counter(
            "tokenpace_canaries",
            "Generations that single pods were asked for, by what they showed",
            ("result",),
            registry=self.registry,
        )
        self.tick_seconds = Histogram(
            "tokenpace_tick_duration_seconds",
            "Time that one pass of the loop takes",
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=self.registry,
        )
        self.query_seconds = Histogram(
            "tokenpace_query_duration_seconds",
            "Time until Prometheus has answered every query of a tick",
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10),
            registry=self.registry,
        )
        self.last_tick = Gauge(
            "tokenpace_last_tick_timestamp_seconds", "When the last tick ended, Unix time", registry=self.registry
        )
        self.metrics_problems = Counter(
            "tokenpace_metrics_problems", "Ticks in which Prometheus gave no whole answer", registry=self.registry
        )
        self.failed_actions = Counter(
            "tokenpace_failed_actions",
            "Writes to the cluster that failed, by outcome",
            ("outcome",),
            registry=self.registry,
        )
        self.kubernetes_requests = Counter(
            "tokenpace_kubernetes_requests",
            "Answers of the API server, by what was asked in the words of its roles, and by HTTP status",
            ("verb", "group", "resource", "code"),
            registry=self.registry,
        )
        self.leader = Gauge("tokenpace_leader", "1 while this operator may write", registry=self.registry)
