"""NVIDIA Dynamo's SLA planner, first version, with its constant and its ARIMA predictor.

It was made for pods that only prefill and pods that only decode. Here each pod does both, and is planned as a decode
pod whose profile, of inter-token latency and tokens a second by streams, was taken with prompts of the length at hand:
what prompts cost is in it. Of the two correction factors that leaves the one of decoding, and no use for its TTFT.

Everything is in its favour where a choice was open. The profile is the truth, not a fit to measurements; its inter-
token target is that of the SLO; its GPU budget is the fleet's most replicas.

As in the source: without requests in the interval the averages are not numbers, and nothing changes; where Prometheus
does not answer they are 0, and the fleet goes to its minimum.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from tokenpace.replay.policies.bounds import Bounds, alone, chosen_variant
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.policies.profile import Profile
from tokenpace.replay.policies.signals import is_ready, pods_of, series_of
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet, Speeds
from tokenpace.replay.view import View, increase

SOURCE = (
    "ai-dynamo/dynamo components/planner/src/dynamo/planner/utils/"
    "{planner_core@0761925,load_predictor@62e1328,perf_interpolation@52787de,prometheus@00d479d}.py"
)

ADJUSTMENT_SECONDS = 180.0
"""`adjustment_interval`."""
DEFAULT_INTER_TOKEN_SECONDS = 0.050
"""`itl`, where the SLO has no target for streams."""

Predictor = Callable[[Sequence[float]], float]


class Load(NamedTuple):
    """What a planner predicts."""

    requests: float
    """In one adjustment interval."""
    prompt_tokens: float
    """Of a request."""
    generated_tokens: float
    """Of a request."""


NO_LOAD = Load(0.0, 0.0, 0.0)


class Seen(NamedTuple):
    """What one interval has shown."""

    load: Load
    request_seconds: float
    inter_token_seconds: float

    @classmethod
    def in_view(cls, view: View, variant: str) -> Self | None:
        """Return what ended in the last interval; None where nothing did, and every average is 0 / 0."""

        def grown(counter: str) -> float:
            since_seconds = view.at_seconds - ADJUSTMENT_SECONDS
            return sum(increase(pod.scrapes, counter, since_seconds) or 0.0 for pod in series_of(view, variant))

        ended, generated = grown("ended"), grown("ended_generated_tokens")
        if ended <= 0 or generated <= ended:
            return None
        return cls(
            Load(ended, grown("ended_prompt_tokens") / ended, generated / ended),
            request_seconds=grown("ended_seconds") / ended,
            inter_token_seconds=grown("ended_stream_seconds") / (generated - ended),
        )


@dataclass(slots=True)
class DynamoPolicy:
    """The planner of one deployment."""

    variant: str
    speeds: Speeds
    inter_token_seconds: float
    predictor: Predictor
    bounds: Bounds
    interval_seconds: float = ADJUSTMENT_SECONDS
    history: list[Load] = field(default_factory=list)

    def decide(self, view: View, /) -> Mapping[str, int]:
        """Return the replicas that the predicted load needs at the corrected target."""
        if view.at_seconds < ADJUSTMENT_SECONDS:
            return {}
        if view.metrics_lost:
            self.history.append(NO_LOAD)
            return {self.variant: self._replicas(correction=1.0)}
        seen = Seen.in_view(view, self.variant)
        self.history.append(NO_LOAD if seen is None else seen.load)
        workers = sum(map(is_ready, pods_of(view, self.variant)))
        if seen is None or not workers:
            return {}
        streams = seen.load.requests / workers * seen.request_seconds / ADJUSTMENT_SECONDS
        expected = self._profile(seen.load).inter_token_seconds(streams)
        return {self.variant: self._replicas(correction=seen.inter_token_seconds / expected or 1.0)}

    def _replicas(self, *, correction: float) -> int:
        expected = Load(*(max(0.0, self.predictor(values)) for values in zip(*self.history, strict=True)))
        demand = expected.requests * expected.generated_tokens / ADJUSTMENT_SECONDS
        speed = self._profile(expected).best_tokens_per_second(self.inter_token_seconds / correction)
        return self.bounds.held(math.ceil(demand / speed))

    def _profile(self, load: Load) -> Profile:
        return Profile(self.speeds, load.prompt_tokens, load.generated_tokens)


def last(values: Sequence[float]) -> float:
    """Return the last value: the constant predictor."""
    return values[-1]


def constant(fleet: Fleet, _: Traffic, share_of_target: float) -> DynamoPolicy:
    """Plan for the load of the last interval."""
    return _policy(fleet, share_of_target, last)


def forecast(fleet: Fleet, _: Traffic, share_of_target: float) -> DynamoPolicy:
    """Plan for the load that an ARIMA model expects."""
    from tokenpace.replay.policies.forecast import arima  # noqa: PLC0415 - seconds that no other policy needs

    return _policy(fleet, share_of_target, arima)


def _policy(fleet: Fleet, share_of_target: float, predictor: Predictor) -> DynamoPolicy:
    variant, stream = chosen_variant(fleet.spec), fleet.spec.slo.stream
    target = DEFAULT_INTER_TOKEN_SECONDS if stream is None else 1 / stream.tokens_per_second
    return DynamoPolicy(
        variant.name,
        fleet.variants[variant.name].speeds,
        share_of_target * target,
        predictor,
        alone(fleet.spec, variant),
    )


KNOB = "share of the inter-token latency that the SLO allows"
SWEEP = (0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1)

KINDS = (
    PolicyKind(name="dynamo-constant", source=SOURCE, knob=KNOB, default=1, sweep=SWEEP, make=constant),
    PolicyKind(name="dynamo-arima", source=SOURCE, knob=KNOB, default=1, sweep=SWEEP, make=forecast),
)
