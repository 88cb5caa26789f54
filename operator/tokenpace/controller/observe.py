"""What the cluster holds joined with what Prometheus says: one immutable picture for the planner. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.cluster.kinds import Object
from tokenpace.cluster.observed import observed_pod, refused_replicas, template_hash_of, variant_of
from tokenpace.cluster.scale_target import ScaleTargets
from tokenpace.controller.mirrors import Holdings
from tokenpace.planning.observation import Canary, Idle, Live, Observation, Pod, Sample, Wake
from tokenpace.probing.outcome import Failed, Outcome, Passed, Slow, Unknown
from tokenpace.prometheus.samples import Dialect, MetricsAnswer, sample_of


def observe(
    namespace: str,
    holdings: Holdings,
    answer: MetricsAnswer,
    *,
    replicas: Mapping[str, int],
    hashes: Mapping[str, str],
    slots: Mapping[str, int],
    dialects: Collection[Dialect],
    canaries: Mapping[str, Outcome],
    tick_seconds: float,
    speed_cards: Mapping[str, LLMSpeedCardSpec],
    wake: Wake = Wake.MISSING,
) -> Observation:
    """Return one LLMDeployment as it is.

    Args:
        namespace: of the LLMDeployment and everything it owns.
        holdings: its objects and pods.
        answer: what Prometheus said in this tick.
        replicas: that each variant's workload is asked for.
        hashes: by variant, the hash of the inputs that new pods get.
        slots: by variant, how many requests such a new pod works on at once.
        dialects: of the variants in the spec; what Prometheus could not say of others is no problem here.
        canaries: what pods have shown when they were asked for a generation, by their UID.
        tick_seconds: interval of the loop.
        speed_cards: by variant, the card that it is planned from until enough was learned.
        wake: what the series says that is declared to wake it.
    """
    # A partial answer that knows some of these pods is an answer: those that it lacks are Missing.
    answered = any((namespace, pod["metadata"]["name"]) in answer.samples for pod in holdings.pods)
    problems = [problem for dialect, problem in answer.problems.items() if dialect in dialects and not answered]
    pods = (
        _vouched_for(
            _with_canary(
                observed_pod(pod, _with_slots(_sample(pod, answer), _slots(pod, hashes, slots))),
                canaries.get(pod["metadata"]["uid"]),
            ),
            holdings.targets,
        )
        for pod in holdings.pods
    )
    refused = (one for deployment in holdings.deployments for one in refused_replicas(deployment, holdings.pods))
    return Observation(
        replicas=replicas,
        template_hashes=hashes,
        pods=(*pods, *refused),
        metrics_problem="; ".join(dict.fromkeys(problems)) or None,
        tick_seconds=tick_seconds,
        speed_cards=speed_cards,
        wake=wake,
    )


def _sample(pod: Object, answer: MetricsAnswer) -> Sample:
    metadata = pod["metadata"]
    return sample_of(answer.samples, metadata["namespace"], metadata["name"])


def _slots(pod: Object, hashes: Mapping[str, str], slots: Mapping[str, int]) -> int | None:
    """Return how many requests a pod was launched to work on at once; None where only its engine knows."""
    variant = variant_of(pod)
    return slots.get(variant) if template_hash_of(pod) == hashes.get(variant) else None


def _with_slots(sample: Sample, slots: int | None) -> Sample:
    """Return a sample that tells the pod's batch limit: the engine's own word, else what it was launched with."""
    if slots is None or not isinstance(sample, (Live, Idle)) or sample.reading.slots is not None:
        return sample
    return type(sample)(replace(sample.reading, slots=float(slots)))


def _with_canary(pod: Pod, outcome: Outcome | None) -> Pod:
    """Return a pod with what its canary has shown.

    One that is slow while it generates for clients waits behind them, which says nothing about it.
    """
    match outcome:
        case Passed():
            return replace(pod, canary=Canary.PASSED)
        case Slow(message) if pod.generates_for_clients:
            return replace(pod, canary_message=message)
        case Failed(message) | Slow(message):
            return replace(pod, canary=Canary.FAILED, canary_message=message)
        case Unknown(message):
            return replace(pod, canary_message=message)
        case None:
            return pod


def _vouched_for(pod: Pod, targets: ScaleTargets) -> Pod:
    """Return a pod of a workload that exists already as one that has passed, once it serves.

    Nobody here knows where and with which key to ask it. That it is ready is the word of whoever runs it.
    """
    return replace(pod, canary=Canary.PASSED) if pod.serving and pod.variant in targets.found else pod
