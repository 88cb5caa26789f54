"""The operator's own metrics, in Prometheus' conventions.

What is known of each LLMDeployment is collected from the last plans, not from gauges that somebody must
remember to delete: a resource that is gone has no series at the next scrape.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tokenpace.planning.decision import Finding, Plan, Verdict

_RESOURCE = ("namespace", "name")
_VERDICT_VALUES = {Verdict.TRUE: 1.0, Verdict.FALSE: 0.0}


@dataclass(frozen=True, slots=True)
class Decided:
    """The last plan of one LLMDeployment and the replicas that were ready when it was made."""

    namespace: str
    name: str
    plan: Plan
    ready: Mapping[str, int]
    setbacks: Mapping[str, int] = field(default_factory=dict)
    """How often in a row a variant could not take over, by variant."""


class FleetCollector(Collector):
    """Turns the last plans into series at each scrape."""

    def __init__(self) -> None:
        self._decided: tuple[Decided, ...] = ()

    def replace(self, decided: Iterable[Decided]) -> None:
        """Forget the plans of the previous tick and show these."""
        self._decided = tuple(decided)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; a number that is not known has no sample, for it is not zero."""
        yield from self._speeds()
        yield from self._replicas()
        yield from self._setbacks()
        yield from self._verdicts()

    def _speeds(self) -> Iterator[GaugeMetricFamily]:
        for attribute, text in (
            ("demand", "Tokens per second that clients want now, the backlog included"),
            ("served", "Tokens per second that are generated now"),
            ("capacity", "Tokens per second that the ready replicas can serve while every stream keeps its speed"),
            ("stream", "Tokens per second that one request sees while it is being generated"),
        ):
            family = GaugeMetricFamily(f"tokenpace_{attribute}_tokens_per_second", text, labels=_RESOURCE)
            for one in self._decided:
                value = getattr(one.plan.indicators, f"{attribute}_tokens_per_second")
                if value is not None:
                    family.add_metric((one.namespace, one.name), value)
            yield family

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
            for variant in one.plan.fleet:
                ready.add_metric((one.namespace, one.name, variant), one.ready.get(variant, 0))
        yield desired
        yield ready

    def _setbacks(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "tokenpace_setbacks",
            "How often in a row a variant could not take over; absent where nothing went wrong",
            labels=(*_RESOURCE, "variant"),
        )
        for one in self._decided:
            for variant, failures in one.setbacks.items():
                family.add_metric((one.namespace, one.name, variant), failures)
        yield family

    def _verdicts(self) -> Iterator[GaugeMetricFamily]:
        for attribute, text in (
            ("slo_met", "1 while the SLO is met, 0 while it is not; absent while that is unknown"),
            ("slo_feasible", "1 if some allowed fleet meets the SLO, 0 if none does; absent while that is unknown"),
            ("metrics_available", "1 while the pods' metrics can be read, 0 while they cannot"),
        ):
            family = GaugeMetricFamily(f"tokenpace_{attribute}", text, labels=_RESOURCE)
            for one in self._decided:
                finding: Finding = getattr(one.plan, attribute)
                if finding.verdict in _VERDICT_VALUES:
                    family.add_metric((one.namespace, one.name), _VERDICT_VALUES[finding.verdict])
            yield family


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
        self.leader = Gauge("tokenpace_leader", "1 while this operator may write", registry=self.registry)
