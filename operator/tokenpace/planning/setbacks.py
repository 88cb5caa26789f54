"""Variants that are not tried for a while, because they could not take over: roll-back with back-off.

A switch is rolled back when a canary fails, or when pods of the new variant cannot start. What serves is never set
back, and a variant's setback ends with the inputs that its pods were rendered from.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tokenpace.planning.leadtime import is_overdue, plight
from tokenpace.planning.observation import Canary, Hindrance, Pod
from tokenpace.planning.sight import Sight

FIRST_BACK_OFF_SECONDS = 60.0
"""After the first failure; twice as long after each further one."""

LONGEST_BACK_OFF_SECONDS = 3600.0

LONGEST_MESSAGE = 500
"""Characters of the engine's or the cluster's words that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """How often in a row a variant could not take over, and until when it is not tried again."""

    template_hash: str
    """Of the pods that failed: pods from other inputs may do better, so that another hash ends the setback."""
    failures: int
    until_seconds: float
    message: str
    """Why the last try failed, in the engine's or the cluster's own words."""

    def blocks(self, now: float) -> bool:
        """Tell whether the variant is not tried now. A time beyond the longest back-off is a clock that was set."""
        return now < self.until_seconds <= now + LONGEST_BACK_OFF_SECONDS

    def again(self, message: str, now: float) -> "Setback":
        """Return the setback after one more failure."""
        seconds = min(FIRST_BACK_OFF_SECONDS * 2.0 ** min(self.failures, 16), LONGEST_BACK_OFF_SECONDS)
        return Setback(
            template_hash=self.template_hash,
            failures=self.failures + 1,
            until_seconds=now + seconds,
            message=message[:LONGEST_MESSAGE],
        )


def until(setback: Setback) -> str:
    """Return when a setback ends, in words."""
    return f"{datetime.fromtimestamp(setback.until_seconds, UTC):%H:%M:%S} UTC"


def setbacks(
    before: Mapping[str, Setback], sight: Sight, lead_seconds: Mapping[str, float], established: str | None
) -> dict[str, Setback]:
    """Return the setbacks after what is seen now.

    Args:
        before: those that were known.
        sight: what is seen.
        lead_seconds: by variant, how long a replica takes.
        established: the variant that serves and has no other to go back to; it is not set back.
    """
    found = {}
    for name, template_hash in sight.observation.template_hashes.items():
        known = before.get(name)
        if known is None or known.template_hash != template_hash:
            known = Setback(template_hash=template_hash, failures=0, until_seconds=sight.now, message="")
        pods = [pod for pod in sight.observation.pods if pod.variant == name and pod.template_hash == template_hash]
        if name != established and not known.blocks(sight.now):
            known = _judged(known, pods, sight, lead_seconds.get(name, 0.0))
        if known.failures and (name != established or known.blocks(sight.now)):
            found[name] = known
    return found


def _judged(known: Setback, pods: Iterable[Pod], sight: Sight, lead_seconds: float) -> Setback:
    """Return the setback of a variant that may be tried, after a look at its pods; without failures once one passed."""
    there = [pod for pod in pods if not pod.terminating]
    starts = any(pod.serving and pod.canary is not Canary.FAILED for pod in there)
    failure = next((why for pod in there if (why := _failure(pod, sight, lead_seconds, starts=starts))), None)
    if failure is not None:
        return known.again(failure, sight.now)
    passed = any(pod.canary is Canary.PASSED for pod in there)
    return (
        Setback(template_hash=known.template_hash, failures=0, until_seconds=sight.now, message="") if passed else known
    )


def _failure(pod: Pod, sight: Sight, lead_seconds: float, *, starts: bool) -> str | None:
    """Return why a pod cannot take over; None while it still may.

    A pod that does not start says nothing of its variant where others of the same inputs serve, so that it
    ``starts``; nor does one whose node is gone. One that is only slow is waited for where nothing serves, for taking
    it away would begin its download anew.
    """
    if pod.canary is Canary.FAILED:
        return f"{pod.name}: {pod.canary_message or 'its canary failed'}"
    forgiven = pod.hindrance is Hindrance.LOST or (pod.hindrance is Hindrance.NONE and sight.incumbent is None)
    if starts or forgiven or not is_overdue(pod, lead_seconds, sight.now):
        return None
    return plight(pod, sight.now)
