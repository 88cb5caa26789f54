"""What the owner does by hand whose autoscaler is in charge of one workload: what is left of others goes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tokenpace.replay.policies.bounds import chosen_variant
from tokenpace.replay.policies.policy import Policy, PolicyKind
from tokenpace.replay.policies.signals import is_ready, pods_of
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import View


@dataclass(slots=True)
class OneWorkload:
    """An autoscaler of one variant, in a fleet that may begin with others.

    Those go, down to their own `minReplicas`, once as many pods of the one serve as its autoscaler asks for. Else they
    would be paid for to the end, and behind one Service the slowest of them would hold all back.
    """

    policy: Policy
    variant: str
    others: Mapping[str, int]
    """Fewest replicas of each."""
    interval_seconds: float

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return what the autoscaler asks for, and what stays of the others."""
        asked = self.policy.decide(view)
        wanted = asked.get(self.variant, view.replicas.get(self.variant, 0))
        if sum(map(is_ready, pods_of(view, self.variant))) < wanted:
            return asked
        return {name: least for name, least in self.others.items() if view.replicas.get(name, 0) > least} | dict(asked)


def of_one_workload(kind: PolicyKind) -> PolicyKind:
    """Return the same autoscaler, with an owner who takes away what is left of other variants."""

    def make(fleet: Fleet, traffic: Traffic, setting: float) -> OneWorkload:
        policy, variant = kind.make(fleet, traffic, setting), chosen_variant(fleet.spec).name
        others = {one.name: one.min_replicas for one in fleet.spec.variants if one.name != variant}
        return OneWorkload(policy, variant, others, policy.interval_seconds)

    return replace(kind, make=make)
