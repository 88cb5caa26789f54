"""Every autoscaler of the comparison by its name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
from tokenpace.replay.policies.one_workload import of_one_workload
from tokenpace.replay.policies.policy import PolicyKind

ONE_WORKLOAD: Final = (
    *hpa.KINDS,
    *keda.KINDS,
    *knative.KINDS,
    *aibrix.KINDS,
    *ray_serve.KINDS,
    *dynamo.KINDS,
)
"""Those that are in charge of one workload. The others may hold several variants."""

POLICIES: Mapping[str, PolicyKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *tokenpace.KINDS,
            *oracle.KINDS,
            *map(of_one_workload, ONE_WORKLOAD),
            *wva.KINDS,
            *wva_throughput.KINDS,
        )
    }
)
