"""The mirrors that the operator keeps, and what they hold of one LLMDeployment."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from tokenpace.api.names import DEPLOYMENT_LABEL
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.kinds import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    LEASES,
    LLM_DEPLOYMENTS,
    PODS,
    SERVICES,
    SPEED_CARDS,
    Kind,
    Object,
)
from tokenpace.cluster.lease import LEASE_NAME, SERVES_LABEL, Serves
from tokenpace.cluster.mirror import Key, Mirror
from tokenpace.cluster.observed import has_ended, keep_pod, owner_of_pods, pod_owner, without_managed_fields
from tokenpace.cluster.scale_target import ScaleTargets
from tokenpace.cluster.writers import Size, keep_writers, sizes_of
from tokenpace.controller.speed_cards import keep_card

_NOT_GIVEN = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""How the API server refuses a kind that it does not know, or that our role leaves out."""

_UNRENEWED_SECONDS = 60.0
"""After this long without a renewal nobody serves a namespace any more. Its operator has stopped writing long before; a
shorter time would take namespaces over because our own watch was interrupted."""


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


@dataclass(frozen=True, slots=True)
class Scope:
    """Mirrors of one kind, one for each watched namespace, or one for all of them; read as if they were one."""

    parts: tuple[Mirror, ...]

    @property
    def objects(self) -> Mapping[Key, Object]:
        """The objects by namespace and name."""
        return {key: stored for part in self.parts for key, stored in part.objects.items()}

    def get(self, key: Key, /) -> Object | None:
        """Return one object, without a copy of them all."""
        return next((found for part in self.parts if (found := part.objects.get(key)) is not None), None)

    @property
    def refused(self) -> bool:
        """Whether the API server gives none of them to us."""
        return any(part.problem is not None and part.problem.status in _NOT_GIVEN for part in self.parts)

    def by_owner(self, owner: str) -> tuple[Object, ...]:
        """Return the objects of one owner, by namespace and name; what it owns is in its own namespace."""
        return tuple(stored for part in self.parts for stored in part.by_owner(owner))


class Mirrors:
    """One mirror for each kind of object that a decision rests on, in each watched namespace."""

    def __init__(
        self,
        client: ApiClient,
        on_change: Callable[[], None],
        namespaces: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe what to copy; without namespaces, all of them."""
        self._by_name: dict[str, Mirror] = {}
        self._clock = clock

        def scope(kind: Kind, **options: Any) -> Scope:
            found = {
                f"{kind.plural} of {namespace or 'every namespace'}": Mirror(
                    client, kind, namespace=namespace, **options
                )
                for namespace in namespaces or (None,)
            }
            self._by_name.update(found)
            return Scope(tuple(found.values()))

        self.resources = scope(LLM_DEPLOYMENTS, keep=without_managed_fields)
        self.speed_cards = scope(SPEED_CARDS, keep=keep_card)
        ours: dict[str, Any] = {"label_selector": DEPLOYMENT_LABEL, "on_change": on_change}
        self._deployments, self._services, self._budgets = (
            scope(kind, keep=keep_writers, **ours) for kind in (DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS)
        )
        self._pods = scope(PODS, keep=keep_pod, owner=pod_owner, **ours)
        self._others: Mirror | None = None
        if not namespaces:
            own = f"{SERVES_LABEL}={Serves.NAMESPACE}"
            (self._others,) = scope(LEASES, keep=self._keep_renewal, label_selector=own).parts

    def _keep_renewal(self, lease: Object) -> Object:
        """Keep who holds a Lease, and when that was heard by our own clock."""
        holder = lease["spec"].get("holderIdentity")
        return {"metadata": lease["metadata"], "holder": holder, "heard_at_seconds": self._clock()}

    def served_by_another(self, namespace: str) -> bool:
        """Tell whether a namespace has an operator of its own: one of the whole cluster leaves it to that."""
        if self._others is None or (lease := self._others.objects.get((namespace, LEASE_NAME))) is None:
            return False
        return bool(lease["holder"]) and self._clock() - lease["heard_at_seconds"] < _UNRENEWED_SECONDS

    @property
    def by_name(self) -> Mapping[str, Mirror]:
        """Every mirror, by what it copies."""
        return self._by_name

    @property
    def synced(self) -> bool:
        """Whether every mirror has been complete once: before that nothing may be decided.

        A cluster whose CRDs or roles are of an earlier version has no speed cards; it must be served all the same.
        """
        needless = self.speed_cards.parts if self.speed_cards.refused else ()
        return all(mirror.synced for mirror in self.by_name.values() if mirror not in needless)

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
