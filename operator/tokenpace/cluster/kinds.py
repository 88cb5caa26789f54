"""The kinds of objects that tokenpace reads and writes, as the API server's paths spell them."""

from dataclasses import dataclass
from typing import Any

from tokenpace.api import names

Object = dict[str, Any]
"""An object of the API server as plain JSON. Objects are shared between tasks: they are read, never changed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Return the path of a collection (no ``name``), an object or its subresource; None is every namespace."""
        root = "apis" if "/" in self.api_version else "api"
        scope = f"namespaces/{namespace}" if namespace else ""
        return "/" + "/".join(part for part in (root, self.api_version, scope, self.plural, name, subresource) if part)


LLM_DEPLOYMENTS = Kind(names.API_VERSION, names.KIND, names.PLURAL)
SPEED_CARDS = Kind(names.API_VERSION, names.SPEED_CARD_KIND, names.SPEED_CARD_PLURAL)
DEPLOYMENTS = Kind("apps/v1", "Deployment", "deployments")
SERVICES = Kind("v1", "Service", "services")
DISRUPTION_BUDGETS = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
PODS = Kind("v1", "Pod", "pods")
LEASES = Kind("coordination.k8s.io/v1", "Lease", "leases")
EVENTS = Kind("v1", "Event", "events")

_BY_NAME = {
    kind.kind: kind
    for kind in (LLM_DEPLOYMENTS, SPEED_CARDS, DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS, PODS, LEASES, EVENTS)
}


def kind_of(body: Object) -> Kind:
    """Return the kind that an object says it is."""
    return _BY_NAME[body["kind"]]
