"""The mirrors that the operator keeps, and what they hold of one LLMDeployment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenpace.api.names import DEPLOYMENT_LABEL
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, LLM_DEPLOYMENTS, PODS, SERVICES, Object
from tokenpace.cluster.mirror import Mirror
from tokenpace.cluster.observed import has_ended, keep_pod, owner_of_pods, pod_owner, without_managed_fields
from tokenpace.cluster.scale_target import ScaleTargets
from tokenpace.cluster.writers import Size, keep_writers, sizes_of


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the cluster holds of one LLMDeployment."""

    deployments: tuple[Object, ...]
    others: tuple[Object, ...]
    pods: tuple[Object, ...]
    targets: ScaleTargets = field(default_factory=ScaleTargets)
    """Workloads that it scales and did not make; their pods are among ``pods``."""

    @property
    def sizes(self) -> dict[str, Size]:
        """The size of each variant's workload. Who set that of one that was not made here is told to nobody."""
        brought = {name: Size(one.target, one.replicas, None) for name, one in self.targets.found.items()}
        return {**sizes_of(self.deployments), **brought}

    def with_targets(self, targets: ScaleTargets) -> "Holdings":
        """Return this together with the workloads that variants bring.

        Their pods may carry our label, so that our Service reaches them: they are not counted twice.
        """
        brought = {pod["metadata"]["name"] for pod in targets.pods}
        made = tuple(pod for pod in self.pods if pod["metadata"]["name"] not in brought)
        return replace(self, targets=targets, pods=made + targets.pods)


class Mirrors:
    """One mirror for each kind of object that a decision rests on."""

    def __init__(self, client: ApiClient, on_change: Callable[[], None]) -> None:
        self.resources = Mirror(client, LLM_DEPLOYMENTS, keep=without_managed_fields)
        self._deployments, self._services, self._budgets = (
            Mirror(client, kind, keep=keep_writers, label_selector=DEPLOYMENT_LABEL, on_change=on_change)
            for kind in (DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS)
        )
        self._pods = Mirror(
            client, PODS, keep=keep_pod, owner=pod_owner, label_selector=DEPLOYMENT_LABEL, on_change=on_change
        )
        self.by_name: Mapping[str, Mirror] = {
            "LLMDeployments": self.resources,
            "Deployments": self._deployments,
            "Services": self._services,
            "PodDisruptionBudgets": self._budgets,
            "Pods": self._pods,
        }

    @property
    def synced(self) -> bool:
        """Whether every mirror has been complete once: before that nothing may be decided."""
        return all(mirror.synced for mirror in self.by_name.values())

    def holdings(self, resource: Mapping[str, Any]) -> Holdings:
        """Return what the cluster holds of one LLMDeployment. Pods older than it are those of a deleted namesake."""
        metadata = resource["metadata"]
        uid, created_at = metadata["uid"], metadata["creationTimestamp"]
        pods = self._pods.by_owner(owner_of_pods(metadata["namespace"], metadata["name"]))
        return Holdings(
            deployments=self._deployments.by_owner(uid),
            others=self._services.by_owner(uid) + self._budgets.by_owner(uid),
            pods=tuple(
                pod for pod in pods if pod["metadata"]["creationTimestamp"] >= created_at and not has_ended(pod)
            ),
        )
