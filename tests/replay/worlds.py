"""Small scenarios for the simulator's tests, policies that follow a script, and what they have seen."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.planning.declared import declared

from tokenpace.replay.outcome import Outcome
from tokenpace.replay.simulate import simulate
from tokenpace.replay.traffic import Reply, Request, Traffic
from tokenpace.replay.truth import Faults, Fleet, Prefill, Scenario, Speeds, VariantTruth
from tokenpace.replay.view import PodView, View


def speeds(
    *,
    step: float = 0.0,
    token: float = 0.0,
    prompt_token: float = 0.0,
    shortest_prompt: float = 0.0,
    batch: int = 64,
    prefill: Prefill = Prefill.SEPARATE,
    chunk: int = 512,
    kv: int | None = None,
) -> Speeds:
    """Return speeds whose step takes `step + token * streams` seconds."""
    return Speeds(
        step_seconds=tuple(step + token * streams for streams in range(1, batch + 1)),
        prompt_token_seconds=prompt_token,
        shortest_prompt_seconds=shortest_prompt,
        prefill=prefill,
        tokens_per_chunk=chunk,
        kv_tokens=kv,
    )


EASY = speeds(step=0.1)
"""Ten tokens a second for every stream, and prompts that take no time."""


def world(
    requests: Iterable[Request] = (),
    *,
    truth: Speeds = EASY,
    seconds: float = 100.0,
    startup: Callable[[random.Random], float] = lambda _: 20.0,
    live: bool = True,
    variants: Iterable[str] = ("q8",),
    faults: Faults | None = None,
    reply: Reply | None = None,
    **fleet: Any,
) -> Scenario:
    """Return a scenario of one variant, q8, with one replica, unless it says otherwise."""
    names = tuple(variants)
    traffic = Traffic("made", seconds, tuple(requests), reply)
    pod = VariantTruth(speeds=truth, startup_seconds=startup, counts_tokens_live=live)
    spec = declared(variants=[{"name": name, "quality": str(100 - place)} for place, name in enumerate(names)])
    return Scenario(
        name="made",
        about="Made for a test.",
        fleet=Fleet(name="made", spec=spec, variants=dict.fromkeys(names, pod), **fleet),
        traffic=lambda _: traffic,
        faults=faults or Faults(),
    )


class Script:
    """A policy that asks for what is written, from the time on at which it is written, and remembers every view."""

    def __init__(self, script: Mapping[float, Mapping[str, int]] | None = None, *, every: float = 5.0) -> None:
        self.interval_seconds = every
        self.script = script or {}
        self.views: list[View] = []

    def decide(self, view: View, /) -> Mapping[str, int]:
        self.views.append(view)
        written = [at for at in self.script if at <= view.at_seconds]
        return self.script[max(written)] if written else {}

    def at(self, seconds: float) -> View:
        """Return the first view not before this time."""
        return next(view for view in self.views if view.at_seconds >= seconds)

    def pods_at(self, seconds: float) -> dict[str, PodView]:
        return {pod.name: pod for pod in self.at(seconds).pods}


def replay(scenario: Scenario, policy: Script | None = None, *, seed: int = 0) -> Outcome:
    return simulate(scenario, policy or Script(), seed=seed, name="script", setting=0.0)


def arrivals(
    chance: random.Random, *, rate: float, count: int, tokens: Callable[[], int], prompt: int = 0
) -> list[Request]:
    """Return Poisson traffic."""
    at, requests = 0.0, []
    for number in range(count):
        at += chance.expovariate(rate)
        requests.append(Request(at, prompt, tokens(), client=number))
    return requests
