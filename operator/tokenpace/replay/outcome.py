"""What one replay of one policy has shown: facts only. Scores are made of them in `scoring`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class ClientView(NamedTuple):
    """One request as its client saw it. Times are seconds since the start of the replay."""

    at_seconds: float
    prompt_tokens: int
    demanded_tokens: int
    generated_tokens: int
    """Fewer than demanded where the pod died or nothing ever served it."""
    first_token_at_seconds: float | None
    ended_at_seconds: float | None
    """None where it failed."""
    variant: str | None
    """Which variant answered; None where none did."""


class Moment(NamedTuple):
    """The fleet at one scrape interval's end."""

    at_seconds: float
    asked: Mapping[str, int]
    """Replicas that the workloads ask for."""
    pods: Mapping[str, int]
    """Pods that cost money, by variant: starting, serving or draining; not those that wait for a node."""
    ready: Mapping[str, int]
    running: int
    waiting: int
    """In the pods' queues, and in front of an empty fleet."""


class Change(NamedTuple):
    """Replicas that a policy asked for anew."""

    at_seconds: float
    asked: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One replay of one policy."""

    scenario: str
    seed: int
    policy: str
    setting: float
    seconds: float
    requests: tuple[ClientView, ...]
    moments: tuple[Moment, ...]
    changes: tuple[Change, ...]
    pod_seconds: Mapping[str, float]
    """By variant, exact: from the creation of each pod on a node to its end, within the replay."""
