"""Kubernetes' own autoscaler on a metric of each pod, as prometheus-adapter brings it: queue, or tokens a second.

Pods that Prometheus knows nothing of count against a change; without any value nothing changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokenpace.replay.policies.bounds import alone, chosen_variant
from tokenpace.replay.policies.horizontal import SYNC_SECONDS, HorizontalScaler, per_pod_replicas
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.profile import Profile
from tokenpace.replay.policies.signals import instant, pods_of, rate_of
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import PodView, View

SOURCE = "kubernetes/kubernetes@1adaa75 pkg/controller/podautoscaler/{replica_calculator,horizontal}.go"

PodMetric = Callable[[PodView, View], float | None]


@dataclass(slots=True)
class PodMetricPolicy:
    """A HorizontalPodAutoscaler with one metric of type `Pods`."""

    variant: str
    metric: PodMetric
    target: float
    scaler: HorizontalScaler
    interval_seconds: float = SYNC_SECONDS

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas at which the metric's mean meets its target."""
        current = view.replicas.get(self.variant, 0)
        pods = pods_of(view, self.variant)
        running = [pod for pod in pods if not pod.unschedulable]
        values = [value for pod in running if (value := self.metric(pod, view)) is not None]
        wanted = per_pod_replicas(
            values,
            missing=len(running) - len(values),
            unready=len(pods) - len(running),
            target=self.target,
            current=current,
        )
        return {self.variant: self.scaler.replicas(view.at_seconds, current, wanted)}


def on_queue(fleet: Fleet, _: Traffic, waiting_per_pod: float) -> PodMetricPolicy:
    """Scale on requests in the engines' queues."""

    def waiting(pod: PodView, view: View) -> float | None:
        scrape = instant(pod, view, fleet.scrape_seconds)
        return None if scrape is None else float(scrape.waiting)

    return _policy(fleet, waiting, waiting_per_pod)


def on_tokens(fleet: Fleet, _: Traffic, share_of_peak: float) -> PodMetricPolicy:
    """Scale on generated tokens a second, against a share of what a pod reaches with a full batch.

    A person would take the target from a benchmark of the pod with typical requests. In their favour it is the truth,
    with the requests that the service's owner declares. One number for all fleets would say nothing: they differ in
    speed by orders of magnitude.
    """
    speeds, traffic = fleet.variants[chosen_variant(fleet.spec).name].speeds, fleet.spec.traffic
    profile = Profile(speeds, float(traffic.prompt_tokens), float(traffic.generated_tokens))

    def generated(pod: PodView, view: View) -> float | None:
        return rate_of(pod, view, "generated_tokens")

    return _policy(fleet, generated, share_of_peak * profile.tokens_per_second(profile.most_streams))


def _policy(fleet: Fleet, metric: PodMetric, target: float) -> PodMetricPolicy:
    variant = chosen_variant(fleet.spec)
    return PodMetricPolicy(variant.name, metric, target, HorizontalScaler(alone(fleet.spec, variant)))


KINDS = (
    PolicyKind(
        name="hpa-queue",
        source=SOURCE,
        knob="waiting requests per pod",
        default=10,
        sweep=(0.2, 0.5, 1, 2, 5, 10, 20),
        make=on_queue,
    ),
    PolicyKind(
        name="hpa-tokens",
        source=SOURCE,
        knob="generated tokens/s per pod, as a share of a full batch's",
        default=0.7,
        sweep=(0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7),
        make=on_tokens,
    ),
)
