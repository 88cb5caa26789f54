"""What stands in front of the pods and chooses one for each request. Pods of all variants are one Service."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from tokenpace.replay.pod import Pod
from tokenpace.replay.truth import Fleet, Spread


class Luck(NamedTuple):
    """The draws of one request, from 0 up to 1: taken at its arrival, so that every policy meets the same."""

    pod: float
    connection: float


class Balancer:
    """Chooses among the pods that serve."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        if fleet.connections_per_client < 1:
            raise ValueError(
                f"fleet {fleet.name}: connections_per_client is {fleet.connections_per_client}; it must be at least 1"
            )
        self._spread = fleet.spread
        self._connections_per_client = fleet.connections_per_client
        self._chance = chance
        self._connections: dict[tuple[int, int], Pod] = {}
        """By client and number of the connection."""

    def draw(self) -> Luck:
        """Return the luck of the request that arrives now."""
        return Luck(self._chance.random(), self._chance.random())

    def choose(self, serving: Sequence[Pod], client: int, luck: Luck) -> Pod:
        """Return the pod that the request reaches; there must be one that serves."""
        if self._spread is Spread.STICKY:
            return self._connected(serving, client, luck)
        if self._spread is Spread.LEAST_REQUEST:
            fewest = min(pod.requests for pod in serving)
            serving = [pod for pod in serving if pod.requests == fewest]
        return serving[int(luck.pod * len(serving))]

    def _connected(self, serving: Sequence[Pod], client: int, luck: Luck) -> Pod:
        """Return the pod at the other end of one of the client's connections, opened anew where that has closed.

        A pod closes its connections when it is told to go. Those to a process that died are lost too, and are opened
        anew with the next request; one that comes only after the restart is taken to find its old pod again.
        """
        connection = client, int(luck.connection * self._connections_per_client)
        pod = self._connections.get(connection)
        if pod is None or not pod.serving:
            pod = self._connections[connection] = serving[int(luck.pod * len(serving))]
        return pod
