"""Every autoscaler of the comparison by its name."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenpace.replay.policies import (
    aibrix,
    dynamo,
    hpa,
    keda,
    knative,
    oracle,
    ray_serve,
    tokenpace,
    wva,
    wva_throughput,
)
from tokenpace.replay.policies.policy import PolicyKind

POLICIES: Mapping[str, PolicyKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *tokenpace.KINDS,
            *oracle.KINDS,
            *hpa.KINDS,
            *keda.KINDS,
            *knative.KINDS,
            *aibrix.KINDS,
            *ray_serve.KINDS,
            *dynamo.KINDS,
            *wva.KINDS,
            *wva_throughput.KINDS,
        )
    }
)
