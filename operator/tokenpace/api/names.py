"""Every name that others read: the resource, labels, annotations, objects, and the metric that we read back."""

GROUP = "tokenpace.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "LLMDeployment"
SINGULAR = "llmdeployment"
PLURAL = "llmdeployments"
SHORT_NAME = "llmdep"
CATEGORY = "llm"

SPEED_CARD_KIND = "LLMSpeedCard"
SPEED_CARD_SINGULAR = "llmspeedcard"
SPEED_CARD_PLURAL = "llmspeedcards"
SPEED_CARD_SHORT_NAMES = ("speedcard", "speedcards")

FIELD_MANAGER = "tokenpace"
"""Owner of the fields that tokenpace applies; the same in every replica of the operator."""

DEPLOYMENT_LABEL = f"{GROUP}/{SINGULAR}"
"""Name of the LLMDeployment, on everything that belongs to it: what mirrors and Services select by."""
VARIANT_LABEL = f"{GROUP}/variant"
"""Name of the variant, on its workload and pods."""

INPUTS_HASH_ANNOTATION = f"{GROUP}/inputs-hash"
"""Hash of the user's inputs that a workload and its pods were rendered from; learned speeds belong to it."""
APPLIED_TEMPLATE_ANNOTATION = f"{GROUP}/applied-template"
"""The pod template that a workload was given, as JSON: what its pods keep until the user's inputs change."""
PAUSED_ANNOTATION = f"{GROUP}/paused"
"""On an LLMDeployment, with the value ``"true"``: the operator reports and changes nothing."""

SLO_MET_METRIC = "tokenpace_slo_met"
"""The operator's verdict on each LLMDeployment, exported at every tick, and read back to account for the objective."""

NAME_MAX_LENGTH = 40
VARIANT_NAME_MAX_LENGTH = 20
"""40 + 1 + 20 characters fit a DNS label (63), which is what Kubernetes allows a label's value."""


def workload_name(name: str, variant: str) -> str:
    """Return the name of a variant's Deployment.

    ``chat-a`` with variant ``b`` and ``chat`` with variant ``a-b`` share a name: the owner's UID tells them
    apart, and the second one reports a name conflict.
    """
    return f"{name}-{variant}"


def service_name(name: str) -> str:
    """Return the name of the Service in front of every variant: the resource's own, so that clients can guess it."""
    return name


def disruption_budget_name(name: str) -> str:
    """Return the name of the PodDisruptionBudget over every variant."""
    return name


def fleet_labels(name: str) -> dict[str, str]:
    """Return the labels of every object of an LLMDeployment."""
    return {
        "app.kubernetes.io/name": SINGULAR,
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        DEPLOYMENT_LABEL: name,
    }


def variant_labels(name: str, variant: str) -> dict[str, str]:
    """Return the labels of a variant's workload and pods."""
    return {**fleet_labels(name), "app.kubernetes.io/component": variant, VARIANT_LABEL: variant}


def fleet_selector(name: str) -> dict[str, str]:
    """Return what selects the pods of every variant: Service and PodDisruptionBudget use it."""
    return {DEPLOYMENT_LABEL: name}


def variant_selector(name: str, variant: str) -> dict[str, str]:
    """Return what selects the pods of one variant. A Deployment's selector can never change: neither can this."""
    return {DEPLOYMENT_LABEL: name, VARIANT_LABEL: variant}


def selector_text(name: str) -> str:
    """Return `fleet_selector` as the scale subresource wants it: ``status.selector`` is a string."""
    return ",".join(f"{key}={value}" for key, value in fleet_selector(name).items())
