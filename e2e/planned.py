"""One replica that is planned from a speed card: what is predicted of it, and what it then does."""

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.table import Table

from e2e.clients_view import ClientsView
from e2e.crowd import SATURATION, offered, served_by_full_replicas
from e2e.kubectl import Kubectl, Manifest
from e2e.llmdeployment import SLOTS, START_SECONDS, LLMDeployment, planned_from
from e2e.measured_range import in_words, is_within
from e2e.waiting import until
from tokenpace.api.speed_card import LLMSpeedCard
from tokenpace.api.status import SpeedSource
from tokenpace.planning.balance import PodLoad, Shape, pod_load
from tokenpace.planning.prior import fitted_belief

STEADY_SECONDS = 30
CROWDS = 3
TOLERANCE = 0.1
"""Of a capacity that is predicted, beyond the range of what the crowds were served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a card predicted before any load, and what clients got. Speeds in tokens/s."""

    capacity: float
    """At which targets hold, as the status told it."""
    full: float
    """With every slot taken."""
    served_full: tuple[float, ...]
    """Of each crowd, while every slot was taken."""
    at_capacity: ClientsView
    """When exactly the capacity was offered."""

    @property
    def is_as_predicted(self) -> bool:
        """Whether a full replica did what was told of it."""
        return is_within(self.capacity, self.served_full, TOLERANCE)


def shape_of(card: LLMSpeedCard) -> Shape:
    """Return the requests that the card was measured with."""
    traffic = card.spec.traffic
    return Shape(round(float(traffic.prompt_tokens)), round(float(traffic.generated_tokens)))


def full_replica(card: LLMSpeedCard) -> PodLoad:
    """Return what the card says of a replica with every slot taken."""
    return pod_load(fitted_belief(card.spec).costs, shape_of(card), SLOTS, SLOTS)


def name_of(card: Manifest) -> str:
    """Return what the replica that is planned from it is called: several are tried in one namespace."""
    return f"planned-{card['spec']['quantization'].replace('_', '-')}"


@contextmanager
def planned(kubectl: Kubectl, card: Manifest) -> Iterator[tuple[LLMDeployment, float]]:
    """Run one replica that is planned from the card; give it, and the capacity that is told of it before any load."""
    resource = LLMDeployment(kubectl, name_of(card))
    kubectl.apply(card, planned_from(card, resource.name))
    resource.until_condition("Ready", "True", seconds=START_SECONDS)
    seen = until(
        lambda: resource.status()["variants"][0],
        lambda variant: variant.get("source") == SpeedSource.MEASURED and "learned" not in variant,
        what="capacity is predicted from the card",
        seconds=30,
    )
    try:
        yield resource, float(seen["capacity"])
    finally:
        kubectl("delete", "llmdeployment", resource.name)
        kubectl("wait", "pods", "--selector", resource.selector, "--for=delete", "--timeout=120s")


def check(kubectl: Kubectl, card: Manifest) -> Checked:
    """Predict from the card, and then see."""
    parsed = LLMSpeedCard.model_validate(card)
    full = full_replica(parsed).tokens_per_second
    with planned(kubectl, card) as (resource, capacity):
        served = served_by_full_replicas(resource, SATURATION * full, shape_of(parsed), CROWDS)
        steady = offered(resource, "steady", capacity, STEADY_SECONDS, shape_of(parsed))
        slo = planned_from(card, resource.name)["spec"]["slo"]
        view = ClientsView.of([steady], slo, steady.begun_at, datetime.now(UTC))
    return Checked(capacity=capacity, full=full, served_full=served, at_capacity=view)


def table(checks: Mapping[str, Checked]) -> Table:
    """Return a line for each card."""
    shown = Table("card", "predicted full", "served full", "served / predicted", "capacity", "served", "in time")
    for name, one in checks.items():
        served, view = statistics.median(one.served_full), one.at_capacity
        shown.add_row(
            name,
            f"{one.full:.1f}",
            in_words(one.served_full),
            f"{served / one.full:.2f}",
            f"{one.capacity:.1f}{'' if one.is_as_predicted else ' (wrong)'}",
            f"{view.served_tokens_per_second:.1f} of {view.offered_tokens_per_second:.1f}",
            f"{view.first_token_percent_in_time:.0f} %, {view.stream_percent_in_time:.0f} %",
        )
    return shown
