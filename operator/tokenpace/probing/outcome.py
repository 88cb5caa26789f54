"""What a canary can show: a closed set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """The pod generates."""

    seconds_to_first_token: float
    tokens: int
    tokens_per_second: float | None
    """Of the stream, first token to last; None where all tokens came at once."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The pod was reached and cannot generate, in its own words where it has any."""

    message: str


@dataclass(frozen=True, slots=True)
class Slow:
    """The pod was reached and took far too long: a fault, unless it is busy with the requests of clients."""

    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing was learned: the pod could not be reached, wants a key, or says to come back later."""

    message: str


Outcome = Passed | Failed | Slow | Unknown
