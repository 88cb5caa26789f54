"""What an autoscaler is to the replay."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import View


class Policy(Protocol):
    """One autoscaler at work on one fleet. It may remember; it sees only what it is shown."""

    interval_seconds: float
    """Between two decisions."""

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas that each variant's workload shall ask for. A variant left out stays as it is."""


class Unchanging:
    """A policy that looks, and leaves everything as it is: what is measured then is the fleet alone."""

    interval_seconds = 10.0

    def decide(self, _: View, /) -> Mapping[str, int]:
        """Return no change."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKind:
    """One autoscaler of the comparison, and how it is set."""

    name: str
    source: str
    """Where its algorithm was read: project, version, file."""
    knob: str
    """Its main setting, with the unit."""
    default: float
    """What its project ships, or what its documentation starts from."""
    sweep: tuple[float, ...]
    """Settings of the Pareto curve; tuning chooses among them."""
    make: Callable[[Fleet, Traffic, float], Policy]
    """From the fleet, the traffic and the setting. Only an oracle may look at the traffic."""
