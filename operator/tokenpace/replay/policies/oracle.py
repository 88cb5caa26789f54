"""Two autoscalers that are told what nobody can know: the marks that the others are measured against.

Both choose fleets as the planner does, from its own capacities under random arrivals and behind the same balancing,
but from true speeds and true rates of arrivals. *oracle* is told the rates to come as far ahead as a replica takes to
start. *told-of-onset* is told a change of the rate at the moment at which it happens, and nothing of the future.

The rate of arrivals is what the requests were drawn with, as far as it can be told from them: the traffic is cut where
two rates explain it better than one, by more than chance would; as the planner does, but with the future beside the
past.
"""

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tokenpace.planning.balance import Shape
from tokenpace.planning.demand import CHANCE_NATS
from tokenpace.planning.estimate import required_capacity
from tokenpace.planning.fleet import Choice
from tokenpace.planning.memory import Memory
from tokenpace.replay.known import Knowledge, know, shape_of
from tokenpace.replay.policies.policy import Policy, PolicyKind
from tokenpace.replay.policies.tokenpace import HASH, tokenpace
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import View

BIN_SECONDS: Final = 5.0
"""Requests are counted in bins of this length."""

LEAD_QUANTILE: Final = 0.95
"""Share of starts that are at most as slow as the oracle reckons with."""

START_DRAWS: Final = 200
"""Starts that are drawn to find it."""

LASTING_SECONDS: Final = 300.0
"""The oracle chooses a variant that is enough for so much longer than its start-up takes, and tells the shape of
requests from as much traffic on either side of now."""


STOCK_SECONDS: Final = 600.0
"""Where a pod found no node, more are asked for again after this time."""


@dataclass(slots=True)
class Oracle:
    """The planner's choice of a fleet, told the truth."""

    fleet: Fleet
    traffic: Traffic
    factor: float
    """Of the true rate: what is planned for."""
    interval_seconds: float
    rates: Sequence[float]
    """True tokens/s of each bin."""
    ahead_seconds: Mapping[str, float]
    """By variant, how far it foresees: the start-up, or nothing."""
    lasting_seconds: float
    """How much farther when it chooses a variant."""
    behind_seconds: float
    """For how long what was needed is kept: nothing for one who knows that it is not needed again."""
    known: dict[Shape, Knowledge] = field(default_factory=dict)
    stock: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By variant, until when it is given up to find nodes for more pods than this."""

    def decide(self, view: View) -> Mapping[str, int]:
        """Return the best fleet for what is coming."""
        known, now = self._known(view.at_seconds), view.at_seconds
        ladder, ahead = known.ladder.within(self._stock(view)), self.ahead_seconds

        def best(among: Sequence[str], seconds: float) -> Choice:
            return ladder.best(self._required(known, now, seconds), among)

        names = [variant.name for variant in ladder.variants]
        lasting = [name for name in names if best((name,), ahead[name] + self.lasting_seconds).enough]
        chosen = best(lasting or names, max(ahead.values())).variant
        return _reached(view, best((chosen,), ahead[chosen]).replicas, chosen)

    def _stock(self, view: View) -> Mapping[str, int]:
        """Return by variant the pods that nodes are found for, where that is a limit: nobody foretells stock."""
        for name in {pod.variant for pod in view.pods if pod.unschedulable}:
            placed = sum(pod.variant == name and not pod.unschedulable and not pod.terminating for pod in view.pods)
            self.stock[name] = (view.at_seconds + STOCK_SECONDS, placed)
        return {name: most for name, (until, most) in self.stock.items() if view.at_seconds < until}

    def _required(self, known: Knowledge, now: float, ahead_seconds: float) -> float:
        """Return the capacity that must be ready for the largest rate within sight."""
        first = max(int((now - self.behind_seconds) / BIN_SECONDS), 0)
        last = int((now + ahead_seconds) / BIN_SECONDS)
        rate = max(self.rates[first : last + 1], default=0.0)
        return required_capacity(self.fleet.spec.slo, known.shape, self.factor * rate)

    def _known(self, now: float) -> Knowledge:
        """Return what is true of the fleet for the requests around now; their shape to two digits."""
        requests, at = self.traffic.requests, attrgetter("at_seconds")
        first = bisect_left(requests, now - LASTING_SECONDS, key=at)
        last = bisect_right(requests, now + self.lasting_seconds, key=at)
        exact = shape_of(requests[first:last] or requests, self.fleet.spec)
        shape = Shape(float(f"{exact.prompt_tokens:.2g}"), float(f"{exact.generated_tokens:.2g}"))
        if shape not in self.known:
            self.known[shape] = know(self.fleet, shape, self.ahead_seconds)
        return self.known[shape]


def _reached(view: View, wanted: Mapping[str, int], variant: str) -> Mapping[str, int]:
    """Return the fleet to ask for: what there is of other variants stays until enough of the chosen one serves."""
    ready = sum(
        pod.variant == variant and pod.ready_since_seconds is not None and not pod.terminating for pod in view.pods
    )
    if ready >= wanted[variant]:
        return wanted
    return {
        name: count if name == variant else max(count, view.replicas.get(name, 0)) for name, count in wanted.items()
    }


def _oracle(fleet: Fleet, traffic: Traffic, factor: float) -> Policy:
    if traffic.reply is not None:
        return _told_speeds(fleet, traffic)
    tick = fleet.tick_seconds
    return Oracle(
        fleet=fleet,
        traffic=traffic,
        factor=factor,
        interval_seconds=tick,
        rates=true_rates(traffic),
        ahead_seconds={name: lead_seconds(fleet, name) + tick for name in fleet.variants},
        lasting_seconds=LASTING_SECONDS,
        behind_seconds=0.0,
    )


def _told_of_the_onset(fleet: Fleet, traffic: Traffic, factor: float) -> Policy:
    if traffic.reply is not None:
        return _told_speeds(fleet, traffic)
    return Oracle(
        fleet=fleet,
        traffic=traffic,
        factor=factor,
        interval_seconds=fleet.tick_seconds,
        rates=true_rates(traffic),
        ahead_seconds=dict.fromkeys(fleet.variants, 0.0),
        lasting_seconds=0.0,
        behind_seconds=float(fleet.spec.scaling.scale_down.stabilization_window_seconds),
    )


def _told_speeds(fleet: Fleet, traffic: Traffic) -> Policy:
    """Return the planner that knows the true speeds: clients who wait for their answers have no rate to be told of."""
    planner = tokenpace(fleet, traffic, 1.0)
    leads = {name: lead_seconds(fleet, name) for name in fleet.variants}
    known = know(fleet, shape_of(traffic.requests, fleet.spec), leads)
    learned = {name: replace(one.learned, template_hash=HASH) for name, one in known.variants.items()}
    planner.memory = Memory(learned=learned)
    return planner


def lead_seconds(fleet: Fleet, name: str) -> float:
    """Return the start-up time that hardly any start exceeds."""
    chance = random.Random(name)
    drawn = sorted(fleet.variants[name].startup_seconds(chance) for _ in range(START_DRAWS))
    return drawn[math.ceil(LEAD_QUANTILE * START_DRAWS) - 1]


def true_rates(traffic: Traffic) -> list[float]:
    """Return the rate of arrivals, in generated tokens/s, of each bin of `BIN_SECONDS`: steady between changes."""
    tokens = np.zeros(max(math.ceil(traffic.seconds / BIN_SECONDS), 1))
    for request in traffic.requests:
        tokens[min(int(request.at_seconds / BIN_SECONDS), len(tokens) - 1)] += request.generated_tokens
    squares = sum(request.generated_tokens**2 for request in traffic.requests)
    burst_tokens = squares / max(tokens.sum(), 1.0)  # E[O²]/E[O]: what a Poisson count of tokens scatters by
    rates = np.zeros(len(tokens))
    parts = [(0, len(tokens))]
    while parts:
        first, last = parts.pop()
        split = _change(tokens[first:last], burst_tokens, len(tokens))
        if split is None:
            rates[first:last] = tokens[first:last].mean() / BIN_SECONDS
        else:
            parts += [(first, first + split), (first + split, last)]
    return [float(rate) for rate in rates]


def _change(tokens: NDArray[np.float64], burst_tokens: float, bins: int) -> int | None:
    """Return where two rates explain the counts best, None where chance explains them (`tokenpace.planning.demand`)."""
    if len(tokens) < 2 or burst_tokens <= 0:  # noqa: PLR2004 - a change has two sides
        return None
    older, lengths = np.cumsum(tokens)[:-1], np.arange(1, len(tokens))
    total, rest = tokens.sum(), len(tokens) - lengths
    gain = _likelihood(older, lengths) + _likelihood(total - older, rest) - _likelihood(total, len(tokens))
    beyond_chance = gain / burst_tokens - CHANCE_NATS - np.log(bins / np.minimum(lengths, rest))
    split = int(np.argmax(beyond_chance))
    return split + 1 if beyond_chance[split] > 0 else None


def _likelihood(tokens: NDArray[np.float64], bins: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Return the log-likelihood of counts under their own mean, in tokens for counts."""
    likelihood: NDArray[np.float64] = tokens * (np.log(np.maximum(tokens, 1e-9)) - np.log(bins))
    return likelihood


KINDS: Final = (
    PolicyKind(
        name="oracle",
        source="this repository: the planner's fleet for true rates and speeds, foreseen by a start-up",
        knob="capacity, as a multiple of the true rate",
        default=1.0,
        sweep=(0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5),
        make=_oracle,
    ),
    PolicyKind(
        name="told-of-onset",
        source="this repository: the planner's fleet for true rates and speeds, told when they change",
        knob="capacity, as a multiple of the true rate",
        default=1.0,
        sweep=(0.8, 0.9, 1.0, 1.1, 1.25, 1.5),
        make=_told_of_the_onset,
    ),
)
