"""Scale to zero and back: when nothing runs, and what brings it back.

Asleep is a state that is remembered, because what runs does not tell it: of a new resource nothing runs either. It
follows from what is seen alone. What is not seen sends nobody to sleep, and wakes nothing that has gone.
"""

from dataclasses import replace

from tokenpace.api.reasons import MetricsReason, SLOMetReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.findings import metrics_available
from tokenpace.planning.memory import LONGEST_PAUSE_SECONDS, Idleness, Memory
from tokenpace.planning.observation import Idle, Live, Wake
from tokenpace.planning.sight import Sight

SEEN_SHARE = 0.5
"""Two looks further apart than this share of the queries' window leave a hole between them: a request may have come and
gone after the last scrape of one and before the first scrape of the other, as two scrapes or more are in a window."""


def remember_sleep(memory: Memory, spec: LLMDeploymentSpec, sight: Sight) -> Memory:
    """Return the memory with whether the model is asleep at this moment. Seen twice it is the same.

    It falls asleep when every look for as long as is declared has seen it idle, and stays so until somebody asks, the
    spec wants it awake, or of what still serves it is not seen that nobody asks.
    """
    after_seconds = spec.scaling.sleeps_after_seconds
    idle, since_seconds = _idleness(memory, spec, sight), memory.asleep_since_seconds
    tired = idle is not None and after_seconds is not None and idle.seconds >= after_seconds
    if after_seconds is None or is_asked(sight) or not (since_seconds is not None or tired):
        return replace(memory, idle=idle, asleep_since_seconds=None)
    if since_seconds is not None:
        # What still serves was let go by a plan that nobody carried out: it goes only as long as it is seen to be idle.
        seen = idle is not None or not sight.serving
        return replace(memory, idle=idle, asleep_since_seconds=since_seconds if seen else None)
    # What it has learned of speeds stays; where it was going, and what was wanted, is another day's.
    return replace(memory, idle=idle, asleep_since_seconds=sight.now, goal=None, descent=None, history=())


def awake_if_running(memory: Memory, sight: Sight) -> Memory:
    """Return what is remembered of a sleep by who has not looked for a while, or reads it back: what runs is awake.

    Another operator has woken it. Otherwise an old picture of the pods may be what still runs.
    """
    looked = memory.at_seconds is not None and 0 <= sight.now - memory.at_seconds < LONGEST_PAUSE_SECONDS
    runs = any(sight.observation.replicas.values())
    return replace(memory, asleep_since_seconds=None) if runs and not looked else memory


def is_asked(sight: Sight) -> bool:
    """Tell whether somebody is seen to ask: the series that wakes says so, or a pod works."""
    return sight.observation.wake is Wake.ASKED or any(isinstance(pod.sample, Live) for pod in sight.serving)


def _idleness(memory: Memory, spec: LLMDeploymentSpec, sight: Sight) -> Idleness | None:
    """Return since when nobody was seen to ask, without a hole; None where that cannot be said now.

    Every pod counts that was asked for and not sent away. One that has yet to serve was asked for by somebody.
    """
    pods = [pod for pod in sight.observation.pods if not pod.terminating]
    idle = (
        sight.observation.metrics_problem is None
        and bool(pods)
        and all(
            pod.serving and isinstance(pod.sample, Idle) and not pod.sample.reading.requests_per_second for pod in pods
        )
        and (spec.scaling.wake is None or sight.observation.wake is Wake.SILENT)
    )
    if not idle:
        return None
    before, now = memory.idle, sight.now
    hole_seconds = SEEN_SHARE * min(reading.window_seconds for reading in sight.readings)
    seamless = before is not None and 0 <= now - before.until_seconds <= hole_seconds
    return Idleness(since_seconds=before.since_seconds if before and seamless else now, until_seconds=now)


def metrics_available_asleep(spec: LLMDeploymentSpec, sight: Sight) -> Finding:
    """Return whether it can be seen that somebody asks. Without `wake` nothing has to be."""
    wake = spec.scaling.wake
    if sight.observation.metrics_problem is not None or wake is None:
        return metrics_available(sight)
    if sight.observation.wake is Wake.MISSING:
        message = f"Prometheus has nothing recent of {wake.metric_name} as `scaling.wake` declares it: nobody can ask."
        return Finding(Verdict.FALSE, MetricsReason.WAKE_SERIES_MISSING, message)
    return Finding(Verdict.TRUE, MetricsReason.WAKE_SERIES_SEEN, f"{wake.metric_name} is there to wake it.")


def slo_met_asleep(spec: LLMDeploymentSpec, sight: Sight) -> Finding:
    """Return whether what is promised holds: it does when it is seen that nobody asks."""
    if spec.scaling.wake is None or sight.observation.wake is Wake.SILENT:
        return Finding(Verdict.TRUE, SLOMetReason.NO_DEMAND, "Asleep: nothing is asked for.")
    return Finding(Verdict.UNKNOWN, SLOMetReason.NO_DATA, "Asleep, and it is not seen whether anybody asks.")
