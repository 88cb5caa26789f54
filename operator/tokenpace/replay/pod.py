"""One simulated pod: its life, around the engine that runs in it."""

import random
from dataclasses import dataclass

from tokenpace.replay.engine import Engine


@dataclass(slots=True, eq=False)
class Pod:
    """Created, perhaps waiting for a node, starting, ready, perhaps starting again, draining, gone."""

    name: str
    variant: str
    created_at_seconds: float
    chance: random.Random
    """Of its start-ups: the pod of this name has the same luck under every policy."""
    engine: Engine
    """A new one after each failure."""
    on_node_since_seconds: float | None = None
    """None while no node takes it. From here on it costs money."""
    ready_since_seconds: float | None = None
    terminating: bool = False
    gone: bool = False

    @property
    def serving(self) -> bool:
        """Whether new requests may reach it."""
        return self.ready_since_seconds is not None and not self.terminating

    @property
    def requests(self) -> int:
        """Everything in it, running or waiting."""
        return self.engine.running + self.engine.waiting
