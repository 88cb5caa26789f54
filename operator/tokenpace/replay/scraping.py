"""What Prometheus has of the pods, and what a policy is shown of it."""

import random
from collections import deque
from functools import partial

from tokenpace.replay.agenda import Agenda, Turn
from tokenpace.replay.cluster import Cluster
from tokenpace.replay.pod import Pod
from tokenpace.replay.truth import Faults
from tokenpace.replay.view import PodView, Scrape, View

KEPT_SECONDS = 600.0
"""How much of the past a policy is shown."""


class Prometheus:
    """Scrapes each pod at its own moments, all an interval apart, from the first one after the pod is ready.

    A pod that drains is scraped until it is gone, as by a PodMonitor. While metrics are lost nothing is scraped either:
    the series have a gap. A process that died is scraped again once it is ready, with counters at 0.
    """

    def __init__(
        self, faults: Faults, agenda: Agenda, *, interval_seconds: float, until_seconds: float, seed: int
    ) -> None:
        self._faults = faults
        self._agenda = agenda
        self._interval_seconds = interval_seconds
        self._until_seconds = until_seconds
        self._seed = seed
        self._scrapes: dict[Pod, deque[Scrape]] = {}

    def discover(self, pod: Pod, now: float) -> None:
        """Scrape this pod from now on."""
        if pod in self._scrapes:
            return
        self._scrapes[pod] = deque()
        chance = random.Random(f"{self._seed}/scrapes/{pod.name}")
        phase_seconds = chance.random() * self._interval_seconds
        self._await(pod, chance, phase_seconds, 1 + int((now - phase_seconds) // self._interval_seconds))

    def view(self, cluster: Cluster, now: float) -> View:
        """Return what can be seen now."""
        lost = self._lost(now)
        return View(
            at_seconds=now,
            replicas=dict(cluster.asked),
            pods=tuple(
                PodView(
                    name=pod.name,
                    variant=pod.variant,
                    created_at_seconds=pod.created_at_seconds,
                    ready_since_seconds=pod.ready_since_seconds,
                    terminating=pod.terminating,
                    unschedulable=pod.on_node_since_seconds is None,
                    scrapes=() if lost else self._kept(pod, now),
                )
                for pod in cluster.pods
            ),
            metrics_lost=lost,
        )

    def _await(self, pod: Pod, chance: random.Random, phase_seconds: float, number: int) -> None:
        at_seconds = phase_seconds + number * self._interval_seconds
        if at_seconds <= self._until_seconds:
            self._agenda.put(at_seconds, Turn.SCRAPE, partial(self._scrape, pod, chance, phase_seconds, number))

    def _scrape(self, pod: Pod, chance: random.Random, phase_seconds: float, number: int, now: float) -> None:
        if pod.gone:
            del self._scrapes[pod]
            return
        fails = chance.random() < self._faults.lost_scrape_share
        if pod.ready_since_seconds is not None and not fails and not self._lost(now):
            self._scrapes[pod].append(pod.engine.scrape(now))
        self._await(pod, chance, phase_seconds, number + 1)

    def _kept(self, pod: Pod, now: float) -> tuple[Scrape, ...]:
        scrapes = self._scrapes.get(pod, deque())
        while scrapes and scrapes[0].at_seconds < now - KEPT_SECONDS:
            scrapes.popleft()
        return tuple(scrapes)

    def _lost(self, now: float) -> bool:
        return any(begun <= now < ended for begun, ended in self._faults.metrics_lost)
