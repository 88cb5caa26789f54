"""Variants that are not tried for a while, because a switch to them was rolled back."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """How often in a row a variant could not take over, and until when it is not tried again."""

    template_hash: str
    """Of the pods that failed: pods from other inputs may do better, so that another hash ends the setback."""
    failures: int
    until_seconds: float
    message: str
    """Why the last try failed, in the engine's or the cluster's own words."""
