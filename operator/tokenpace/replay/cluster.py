"""The lives of the pods, and the way of each request to one of them.

A workload keeps as many pods as it is asked for, and lets go of pods as a ReplicaSet does. A pod that is told to go
gets no new request, and is gone as soon as it has ended its work, or after the drain seconds with what is left failed.
A pod whose process dies fails everything that it was working on, and starts again under its name.

A request that finds no pod serving waits in front, in a line without end, as a gateway or clients that try again would
have it; the whole line goes to the first pod that becomes ready.
"""

import math
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial

from tokenpace.replay.agenda import Agenda, Turn
from tokenpace.replay.balancing import Balancer
from tokenpace.replay.engine import Answer, Engine
from tokenpace.replay.pod import Pod
from tokenpace.replay.truth import Faults, Fleet

SERVED_BEFORE_SECONDS = 3600.0
"""How long the pods of the beginning have served before the replay begins."""


class Cluster:
    """Workloads, their pods, and the Service in front of them."""

    def __init__(
        self,
        fleet: Fleet,
        faults: Faults,
        agenda: Agenda,
        *,
        seed: int,
        on_end: Callable[[Answer, float], None],
        on_ready: Callable[[Pod, float], None],
    ) -> None:
        """Begin with the fleet's replicas serving.

        Args:
            fleet: The variants as they really are, and the replicas of the beginning.
            faults: What goes wrong with stock and pods.
            agenda: Where everything that is still to happen is put.
            seed: Of start-ups, balancing and failures: each has a stream of its own.
            on_end: Told of every request that ends, or fails.
            on_ready: Told of every pod that becomes ready.
        """
        self.asked: dict[str, int] = dict.fromkeys(fleet.variants, 0) | (dict(fleet.replicas) or {_best(fleet): 1})
        self.pods: list[Pod] = []
        """Those that exist, oldest first."""
        self.in_front: deque[Answer] = deque()
        """Requests that wait for the first pod."""
        self._serving: list[Pod] = []
        self._fleet = fleet
        self._stock = faults.stock
        self._agenda = agenda
        self._seed = seed
        self._on_end = on_end
        self._on_ready = on_ready
        self._balancer = Balancer(fleet, random.Random(f"{seed}/balancing"))
        self._failing = random.Random(f"{seed}/failures")
        self._named: Counter[str] = Counter()
        self._past_seconds: list[tuple[str, float | None, float]] = []
        """By variant: from when until when pods that are gone have been on their nodes; None where they never were."""
        self._plan_faults(faults)
        self._begin()

    def scale(self, asked: Mapping[str, int], now: float) -> None:
        """Have the workloads ask for so many replicas. A variant left out stays as it is."""
        for variant, replicas in asked.items():
            self.asked[variant] = replicas
            kept = [pod for pod in self.pods if pod.variant == variant and not pod.terminating]
            for pod in sorted(kept, key=_last_to_go)[replicas:]:
                self._let_go(pod, now)
            for _ in range(replicas - len(kept)):
                self.pods.append(self._pod(variant, now))
            self._place(variant, now)

    def send(self, answer: Answer, now: float) -> None:
        """Take a request from its client."""
        luck = self._balancer.draw()
        if self._serving:
            self._hand(answer, self._balancer.choose(self._serving, answer.request.client, luck), now)
        else:
            self.in_front.append(answer)

    def pod_seconds(self, until_seconds: float) -> dict[str, float]:
        """Return by variant for how long pods have been on nodes, from the beginning until then."""
        present = [(pod.variant, pod.on_node_since_seconds, until_seconds) for pod in self.pods]
        total = dict.fromkeys(self._fleet.variants, 0.0)
        for variant, begun, ended in [*self._past_seconds, *present]:
            if begun is not None:
                total[variant] += max(0.0, min(ended, until_seconds) - max(begun, 0.0))
        return total

    # --- pods --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        for variant, replicas in self.asked.items():
            for _ in range(replicas):
                pod = self._pod(variant, -SERVED_BEFORE_SECONDS)
                pod.created_at_seconds -= self._startup_seconds(pod)
                pod.on_node_since_seconds = pod.created_at_seconds
                pod.ready_since_seconds = -SERVED_BEFORE_SECONDS
                self.pods.append(pod)
                self._serving.append(pod)
                self._on_ready(pod, 0.0)

    def _plan_faults(self, faults: Faults) -> None:
        for variant, limits in faults.stock.items():
            for edge in sorted({edge for begun, ended, _ in limits for edge in (begun, ended)} - {math.inf}):
                self._agenda.put(edge, Turn.POD, partial(self._place, variant))
        for at_seconds in faults.failures:
            self._agenda.put(at_seconds, Turn.POD, self._fail_one)

    def _pod(self, variant: str, now: float) -> Pod:
        self._named[variant] += 1
        name = f"{variant}-{self._named[variant]}"
        return Pod(name, variant, now, random.Random(f"{self._seed}/start-up/{name}"), self._engine(variant))

    def _engine(self, variant: str) -> Engine:
        truth = self._fleet.variants[variant]
        return Engine(truth.speeds, counts_tokens_live=truth.counts_tokens_live)

    def _startup_seconds(self, pod: Pod) -> float:
        return self._fleet.variants[pod.variant].startup_seconds(pod.chance)

    def _place(self, variant: str, now: float) -> None:
        """Give nodes to pods that wait for one, oldest first, as far as the stock goes."""
        there = [pod for pod in self.pods if pod.variant == variant]
        pending = [pod for pod in there if pod.on_node_since_seconds is None]
        room = max(0, self._most_on_nodes(variant, now) - (len(there) - len(pending)))
        for pod in pending[:room]:
            pod.on_node_since_seconds = now
            self._start(pod, now)

    def _most_on_nodes(self, variant: str, now: float) -> int:
        limits = [most for begun, ended, most in self._stock.get(variant, ()) if begun <= now < ended]
        return min(limits, default=sys.maxsize)

    def _start(self, pod: Pod, now: float) -> None:
        self._agenda.put(now + self._startup_seconds(pod), Turn.POD, partial(self._become_ready, pod))

    def _become_ready(self, pod: Pod, now: float) -> None:
        if pod.gone:
            return
        pod.ready_since_seconds = now
        self._serving.append(pod)
        self._on_ready(pod, now)
        while self.in_front:
            self._hand(self.in_front.popleft(), pod, now)

    def _let_go(self, pod: Pod, now: float) -> None:
        pod.terminating = True
        if pod in self._serving:
            self._serving.remove(pod)
        if pod.requests:
            self._agenda.put(now + self._fleet.drain_seconds, Turn.POD, partial(self._kill, pod))
        else:
            self._remove(pod, now)

    def _kill(self, pod: Pod, now: float) -> None:
        if not pod.gone:
            self._fail_requests(pod, now)
            self._remove(pod, now)

    def _remove(self, pod: Pod, now: float) -> None:
        pod.gone = True
        self.pods.remove(pod)
        self._past_seconds.append((pod.variant, pod.on_node_since_seconds, now))
        self._place(pod.variant, now)

    def _fail_one(self, now: float) -> None:
        drawn = self._failing.random()
        if not self._serving:
            return
        pod = self._serving.pop(int(drawn * len(self._serving)))
        pod.ready_since_seconds = None
        self._fail_requests(pod, now)
        pod.engine = self._engine(pod.variant)
        self._start(pod, now)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _hand(self, answer: Answer, pod: Pod, now: float) -> None:
        answer.variant = pod.variant
        planned_seconds = pod.engine.run_ends_at_seconds
        pod.engine.submit(answer, now)
        if pod.engine.run_ends_at_seconds != planned_seconds:
            self._await_run(pod)

    def _await_run(self, pod: Pod) -> None:
        self._agenda.put(pod.engine.run_ends_at_seconds, Turn.STEP, partial(self._end_run, pod))

    def _end_run(self, pod: Pod, now: float) -> None:
        if pod.engine.run_ends_at_seconds != now:
            return  # The run was cut short, or its process has died.
        for answer in pod.engine.end_run(now):
            self._on_end(answer, now)
        if pod.requests:
            self._await_run(pod)
        elif pod.terminating:
            self._remove(pod, now)

    def _fail_requests(self, pod: Pod, now: float) -> None:
        for answer in pod.engine.abort(now):
            self._on_end(answer, now)


def _best(fleet: Fleet) -> str:
    return max(fleet.spec.variants, key=lambda variant: float(variant.quality)).name


def _last_to_go(pod: Pod) -> tuple[bool, bool, float, float]:
    """Order pods as a ReplicaSet does when it has too many: without a node first, then not ready, then the youngest.

    Source: Kubernetes, pkg/controller/controller_utils.go, ActivePodsWithRanks; its pod deletion cost, ranks of nodes
    and logarithmic ages are left out.
    """
    ready_since_seconds = pod.ready_since_seconds
    return (
        pod.on_node_since_seconds is None,
        ready_since_seconds is None,
        ready_since_seconds or 0.0,
        pod.created_at_seconds,
    )
