"""What can be seen at this moment: which pods serve, and of which of them anything is known."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenpace.planning.observation import Canary, Idle, Live, Observation, Pod, Reading
from tokenpace.planning.plausible import plausible

NEW_POD_SECONDS = 90.0
"""A pod that serves for less than this and has no series yet is new, not missing: two scrapes, at most a minute apart,
make the first rate. It is taken to do nothing yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One plausible observation at one moment, sorted by what is known."""

    observation: Observation
    now: float
    serving: tuple[Pod, ...]
    known: tuple[tuple[Pod, Reading], ...]
    """Pods that serve and are measured."""
    readings: tuple[Reading, ...]
    """What is measured, without whose it is."""
    unknown: tuple[Pod, ...]
    """Pods that serve and of which nothing is known."""
    pods_serving: Mapping[str, int]
    """By variant."""
    incumbent: str | None
    """The variant that most pods that serve are of, but for pods that a canary found wrong; between equals the one that
    has served longest. None while nothing serves."""

    @property
    def blind(self) -> bool:
        """Whether nothing can be decided from measurements, though there is something to measure."""
        return self.observation.metrics_problem is not None or (bool(self.unknown) and not self.known)

    @property
    def measuring(self) -> bool:
        """Whether anything is measured."""
        return not self.blind and bool(self.known)

    @property
    def unseen_factor(self) -> float:
        """What measured sums are multiplied by, taking pods that are not known to be like those that are."""
        return 1.0 + len(self.unknown) / len(self.known) if self.known else 1.0

    def serving_of(self, variant: str) -> int:
        """Return how many pods of a variant serve."""
        return self.pods_serving.get(variant, 0)


def look(observation: Observation, now: float) -> Sight:
    """Sort an observation by what is known."""
    observation = plausible(observation)
    serving = tuple(pod for pod in observation.pods if pod.serving)
    known = tuple((pod, pod.sample.reading) for pod in serving if isinstance(pod.sample, (Live, Idle)))
    blank = tuple(pod for pod in serving if not isinstance(pod.sample, (Live, Idle)))
    if observation.metrics_problem is not None:
        known, blank = (), serving
    return Sight(
        observation=observation,
        now=now,
        serving=serving,
        known=known,
        readings=tuple([reading for _, reading in known]),
        unknown=tuple(pod for pod in blank if not is_new(pod, now)),
        pods_serving=Counter(pod.variant for pod in serving),
        incumbent=_incumbent([pod for pod in serving if pod.canary is not Canary.FAILED] or serving),
    )


def _incumbent(serving: Sequence[Pod]) -> str | None:
    counts = Counter(pod.variant for pod in serving)
    since: dict[str, float] = {}
    for pod in serving:
        since[pod.variant] = min(pod.ready_since_seconds or 0.0, since.get(pod.variant, math.inf))
    return min(counts, key=lambda name: (-counts[name], since[name], name), default=None)


def is_new(pod: Pod, now: float) -> bool:
    """Tell whether a pod began to serve too short a time ago for anything to be known of it."""
    return pod.ready_since_seconds is not None and now - pod.ready_since_seconds < NEW_POD_SECONDS
