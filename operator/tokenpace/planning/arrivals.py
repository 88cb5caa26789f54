"""What a whole fleet was asked for in one window, while pods come and go.

A pod that serves for 20 s tells the rate of 20 s, one that has served for an hour that of its whole window. Where more
pods share the requests, the old ones still show what each was asked for before: added up as they are, the two would
count the same requests up to twice just after pods were added, and leave out those of pods that have just gone. So
each pod counts for the part of the window in which it got requests.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What one pod was asked for while it served."""

    tokens_per_second: float
    since_seconds: float
    until_seconds: float

    def share(self, window_begins_seconds: float, window_ends_seconds: float) -> float:
        """Return the share of a window in which the pod got requests."""
        served = min(self.until_seconds, window_ends_seconds) - max(self.since_seconds, window_begins_seconds)
        return max(0.0, served) / (window_ends_seconds - window_begins_seconds)


def after(
    before: Mapping[str, Offered], known: Mapping[str, Offered], serving: Collection[str], window_begins_seconds: float
) -> dict[str, Offered]:
    """Return what is remembered by pod: those that are known now, and those that have gone within the window.

    A pod that serves and is not known now is left out: it is taken to be like those that are.
    """
    gone = {
        name: one
        for name, one in before.items()
        if name not in serving and name not in known and one.until_seconds > window_begins_seconds
    }
    return {**gone, **known}


def offered_tokens_per_second(
    pods: Mapping[str, Offered], now: float, window_seconds: float, unseen_factor: float
) -> float:
    """Return the mean rate of the window that ends now: of pods that are gone, and of those that serve.

    Args:
        pods: by name.
        now: the end of the window.
        window_seconds: its length.
        unseen_factor: what those that serve are multiplied by, for pods of which nothing is known.
    """
    return sum(
        one.tokens_per_second
        * one.share(now - window_seconds, now)
        * (unseen_factor if one.until_seconds >= now else 1.0)
        for one in pods.values()
    )
