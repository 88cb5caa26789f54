"""Schedulable stock: how many replicas of a variant there is room for, where some of them cannot start.

A variant of which some replicas serve is not at fault when another cannot start: the cluster has room for no more
(design, section 4). For a while it is planned with as many as serve; then one more is tried, each time later.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenpace.planning.leadtime import is_overdue
from tokenpace.planning.setbacks import Setback
from tokenpace.planning.sight import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Replicas of a variant that there is room for, until more are tried again."""

    replicas: int
    setback: Setback
    """Of those beyond."""


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
        stuck = next((pod for pod in pods if pod.trouble and is_overdue(pod, lead, sight.now)), None)
        if stuck is not None and serving and not (known is not None and known.setback.blocks(sight.now)):
            first = Setback(template_hash=template_hash, failures=0, until_seconds=sight.now, message="")
            last = first if known is None else known.setback
            known = Shortage(replicas=serving, setback=last.again(f"{stuck.name}: {stuck.trouble}", sight.now))
        if known is not None:
            found[name] = known
    return found
