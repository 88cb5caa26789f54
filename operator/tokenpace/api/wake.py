"""What says that somebody asks for a model of which nothing runs: a series of whatever stands in front of it."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from tokenpace.api.fields import ApiModel, Matches, Rule, rules

MetricName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Matches(
        r"[a-zA-Z_:][a-zA-Z0-9_:]*",
        "must be the name of a metric: letters, digits, `_` and `:`, and no digit first. It is no PromQL",
    ),
]

_LABEL: Final = r"[a-zA-Z]([a-zA-Z0-9_]{0,62})?|_([a-zA-Z0-9][a-zA-Z0-9_]{0,61})?"
"""Not those that begin with `__`: Prometheus keeps them for itself, and `__name__` is `metricName`."""

_LABELS_RULE: Final = Rule(
    f"self.all(label, label != 'namespace' && label.matches('^({_LABEL})$'))",
    "labels must be letters, digits and `_`, not `__` first; and not `namespace`, which is always that of the resource",
)


def _named_well(labels: dict[str, str]) -> dict[str, str]:
    for label in labels:
        if label == "namespace" or not re.fullmatch(_LABEL, label):
            raise ValueError(f"`{label}`: {_LABELS_RULE.message}")
    return labels


MatchLabels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=128)]],
    AfterValidator(_named_well),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 128},
            "maxProperties": 8,
            **rules(_LABELS_RULE),
        }
    ),
    Field(max_length=8),
]


class WakeType(StrEnum):
    """How a value of the metric says that somebody asks."""

    COUNTER = "Counter"
    GAUGE = "Gauge"


class WakeSignal(ApiModel):
    """A series that says that somebody asks, for example the requests that a gateway has counted.

    Only series of the resource's own namespace count. It is no query: names are checked, and values are compared as
    they stand.
    """

    metric_name: MetricName = Field(description="Name of the metric, for example `gateway_requests_total`.")
    match_labels: MatchLabels = Field(
        default_factory=dict,
        description="Labels that the series must have, each with exactly this value. The label of the namespace is "
        "added by the operator.",
    )
    type: WakeType = Field(
        default=WakeType.COUNTER,
        description="Counter: somebody asks when it grows. Gauge: somebody asks while it is above 0, as of a queue.",
    )
