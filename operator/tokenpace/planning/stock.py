"""Schedulable stock: how many replicas of a variant there is room for, where some of them cannot start.

A variant of which some replicas serve is not at fault when another cannot start: the cluster has room for no more
(design, section 4). For a while it is planned with as many as serve; then one more is tried, each time later.

Where a variant finds no room at all, the places that the others hold are all that there are: a switch then goes from
place to place instead of asking for more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenpace.planning.leadtime import is_overdue, plight
from tokenpace.planning.setbacks import LONGEST_BACK_OFF_SECONDS, Setback
from tokenpace.planning.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Replicas of a variant that there is room for, until more are tried again."""

    replicas: int
    setback: Setback
    """Of those beyond."""


PLACES_SECONDS = 900.0
"""For this long a cluster that had no room for a variant is taken to have no more than it gives to the others: longer
than the first back-offs of that variant, so that its next try is made in a place that is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Pods of all variants together that the cluster has room for."""

    pods: int | None
    """None where a place was freed and did not help: the variant needs another kind of place."""
    until_seconds: float

    def last(self, now: float) -> bool:
        """Tell whether this is still believed. A time too far away is a clock that was set."""
        return now < self.until_seconds <= now + LONGEST_BACK_OFF_SECONDS


def places(before: Places | None, sight: Sight, lead_seconds: Mapping[str, float]) -> Places | None:
    """Return the places after what is seen now; None where nothing says that there are no more.

    They are known once no replica of a variant found room, while others serve.

    Args:
        before: those that were known.
        sight: what is seen.
        lead_seconds: by variant, how long a replica takes.
    """
    pods = [pod for pod in sight.observation.pods if not pod.terminating]
    held = sum(pod.hindrance.has_place for pod in pods)
    if before is not None and (not before.last(sight.now) or (before.pods is not None and held > before.pods)):
        before = None
    outside = (pod for pod in pods if pod.hindrance.lacks_room and not sight.serving_of(pod.variant))
    if not any(is_overdue(pod, lead_seconds.get(pod.variant, 0.0), sight.now) for pod in outside):
        return before
    if before is None:
        return Places(pods=held, until_seconds=sight.now + PLACES_SECONDS)
    if before.pods is not None and held < before.pods:
        return Places(pods=None, until_seconds=sight.now + LONGEST_BACK_OFF_SECONDS)
    return before


def shortages(before: Mapping[str, Shortage], sight: Sight, lead_seconds: Mapping[str, float]) -> dict[str, Shortage]:
    """Return the shortages after what is seen now. One ends with the variant's inputs, and when more replicas serve.

    Args:
        before: those that were known.
        sight: what is seen.
        lead_seconds: by variant, how long a replica takes.
    """
    found = {}
    for name, template_hash in sight.observation.template_hashes.items():
        pods = [pod for pod in sight.observation.pods if (pod.variant, pod.template_hash) == (name, template_hash)]
        serving = sum(pod.serving for pod in pods)
        known = before.get(name)
        if known is not None and (known.setback.template_hash != template_hash or serving > known.replicas):
            known = None
        lead = lead_seconds.get(name, 0.0)
        stuck = next((pod for pod in pods if pod.hindrance.recurs and is_overdue(pod, lead, sight.now)), None)
        if stuck is not None and serving and not (known is not None and known.setback.blocks(sight.now)):
            first = Setback(template_hash=template_hash, failures=0, until_seconds=sight.now, message="")
            last = first if known is None else known.setback
            known = Shortage(replicas=serving, setback=last.again(plight(stuck, sight.now), sight.now))
        if known is not None:
            found[name] = known
    return found
