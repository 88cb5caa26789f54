"""Every autoscaler of the comparison by its name."""

from collections.abc import Mapping
from types import MappingProxyType

from tokenpace.replay.policies import hpa, keda
from tokenpace.replay.policies.policy import PolicyKind

POLICIES: Mapping[str, PolicyKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *hpa.KINDS,
            *keda.KINDS,
        )
    }
)
