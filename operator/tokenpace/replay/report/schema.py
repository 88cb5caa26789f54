"""`report.json`. Its JSON schema is committed beside the documentation (`tokenpace.replay.report.schema.json_schema`).

Shares are between 0 and 1. What was not measured, or cannot be, is null.
"""

from typing import Final

from pydantic import Field

from tokenpace.documents import Part, json_schema_of

VERSION: Final = 1
"""Of the schema. A field that is added does not change it; one that goes, or means something else, does."""


class PolicyResult(Part):
    """One policy in one scenario."""

    name: str
    tuned: bool
    """Whether `setting` was chosen in the policy's favour by a sweep; else it is the one that the project ships."""
    setting: float
    """Of the policy's knob, in its unit."""
    requests: int
    attainment: float | None
    """Share of requests that met every latency target. One that failed or did not end met none."""
    good_slots: float | None
    """Share of one-minute slots that were good."""
    worst_minute: float | None
    """Attainment of the requests of the worst minute."""
    recovery_seconds: float
    """The longest time without a good slot."""
    demanded_tokens: int
    served_tokens: int
    replica_hours: float
    cost: float | None
    """In the currency of `hourlyCost`; null where a variant that ran declares none."""
    cost_over_oracle: float | None
    """Cost (replica-hours where no prices are declared) by the oracle's in the same scenario with the same seed."""
    quality_weighted_tokens: float
    """Tokens, each times the quality of the variant that generated it, as a share of the reference's."""
    degraded_share: float | None
    """Share of tokens that came from below the best variant."""
    switches_per_hour: float
    """How often another variant came to be that of most ready pods."""
    changes_per_hour: float
    """How often another number of replicas was asked for."""
    reversals_per_hour: float
    """How often the fleet was sent the other way within ten minutes."""


class ScenarioResult(Part):
    """One scenario with one seed."""

    name: str
    about: str
    seed: int
    fleet: str
    held_out: bool
    """Whether nothing was tuned on it."""
    fluid_cost: float | None
    """The least that the same tokens can cost, were load even and replicas divisible: a bound, not a target."""
    policies: tuple[PolicyResult, ...]


class Point(Part):
    """One setting of a policy in the training: means over its seeds."""

    scenario: str | None
    """Null: the mean over all training scenarios."""
    setting: float
    attainment: float
    cost_over_oracle: float


class Beside(Part):
    """The best that a policy can do beside tokenpace as it is shipped, in the training, whatever its setting."""

    scenario: str | None
    """Null: over all training scenarios, with one setting for all."""
    cost_over_tokenpace: float | None
    """Cost, as a multiple of tokenpace's, of its cheapest setting that attains as much; null where none does."""
    attainment_over_tokenpace: float
    """Attainment of the setting that attains most, less tokenpace's."""


class PolicyAbout(Part):
    """Where a policy comes from, and how it is set."""

    name: str
    source: str
    knob: str
    default: float
    tuned: float | None
    """What was chosen by the sweep: the cheapest setting that attains at least what tokenpace does by default, or the
    one that attains most where none does. Null where nothing was swept."""
    sweep: tuple[Point, ...]
    beside: tuple[Beside, ...]


class Summary(Part):
    """One policy over all reported scenarios and seeds: means of the scenarios' means."""

    name: str
    tuned: bool
    setting: float
    attainment: float | None
    good_slots: float | None
    cost_over_oracle: float | None
    degraded_share: float | None
    changes_per_hour: float
    reversals_per_hour: float
    switches_per_hour: float


class SpeedSource(Part):
    """Where the true speeds of a variant come from."""

    fleet: str
    variant: str
    hourly_cost: float | None
    source: str


class Report(Part):
    """A comparison."""

    version: int = VERSION
    tokenpace: str
    """The version that ran."""
    trace: str | None
    """File name of the recording."""
    oracle: str | None
    """The policy that costs are compared with; null where it did not take part."""
    summary: tuple[Summary, ...]
    scenarios: tuple[ScenarioResult, ...]
    policies: tuple[PolicyAbout, ...]
    speeds: tuple[SpeedSource, ...]
    advice: tuple[str, ...] = Field(default=())
    """Of a user's own fleet: in sentences, what tokenpace would have done, and how far the SLO was attainable."""


def json_schema() -> str:
    """Return the JSON schema of `report.json`."""
    return json_schema_of(Report)
