"""What the cluster holds joined with what Prometheus says: one immutable picture for the planner. Pure."""

from collections.abc import Collection, Mapping

from tokenpace.api.variant import EngineType
from tokenpace.cluster.observed import observed_pod, observed_replicas
from tokenpace.controller.mirrors import Holdings
from tokenpace.planning.observation import Observation
from tokenpace.prometheus.samples import MetricsAnswer, sample_of


def observe(
    namespace: str,
    holdings: Holdings,
    hashes: Mapping[str, str],
    engines: Collection[EngineType],
    answer: MetricsAnswer,
    *,
    tick_seconds: float,
) -> Observation:
    """Return one LLMDeployment as it is.

    Args:
        namespace: of the LLMDeployment and everything it owns.
        holdings: its objects and pods.
        hashes: by variant, the hash of the inputs that new pods get.
        engines: of the variants in the spec; what Prometheus could not say of others is no problem here.
        answer: what Prometheus said in this tick.
        tick_seconds: interval of the loop.
    """
    # A partial answer that knows some of these pods is an answer: those that it lacks are Missing.
    answered = any((namespace, pod["metadata"]["name"]) in answer.samples for pod in holdings.pods)
    problems = [problem for engine, problem in answer.problems.items() if engine in engines and not answered]
    return Observation(
        replicas=observed_replicas(holdings.deployments),
        template_hashes=hashes,
        pods=tuple(
            observed_pod(pod, sample_of(answer.samples, namespace, pod["metadata"]["name"])) for pod in holdings.pods
        ),
        metrics_problem="; ".join(dict.fromkeys(problems)) or None,
        tick_seconds=tick_seconds,
    )
