"""What an autoscaler would believe that knew the truth: the planner's own capacities, from true speeds and traffic."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tokenpace.api.scaling import Balancing
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.planning.balance import Costs, Shape
from tokenpace.planning.belief import Belief
from tokenpace.planning.estimate import Believed, Estimate, targets_of
from tokenpace.planning.ladder import Ladder, ladder_of
from tokenpace.planning.learning import Learned
from tokenpace.planning.queueing import drain_seconds
from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Fleet, Speeds, VariantTruth

SETTLING_ROUNDS: Final = 6
"""Rounds in which the line through the step times and the streams that it is taken at settle; more change < 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is true of a fleet for requests of one shape."""

    spec: LLMDeploymentSpec
    shape: Shape
    variants: Mapping[str, Believed]

    @property
    def ladder(self) -> Ladder:
        """The planner's ladder of variants."""
        return ladder_of(self.spec, _certain(self.variants, self.shape))

    def tokens_per_second(self, ready: Mapping[str, int]) -> float:
        """Return what pods can serve as promised behind one Service, where the weakest binds all."""
        return _certain(self.variants, self.shape).capacity_of(ready)


def know(fleet: Fleet, shape: Shape, lead_seconds: Mapping[str, float]) -> Knowledge:
    """Return what is true of a fleet.

    Args:
        fleet: its truth, and what its owner declares of targets and bounds.
        shape: the mean request.
        lead_seconds: by variant, the start-up time to plan with.
    """
    variants = {
        variant.name: _believed(fleet, variant.name, shape, lead_seconds[variant.name])
        for variant in fleet.spec.variants
    }
    return Knowledge(spec=fleet.spec, shape=shape, variants=variants)


def shape_of(requests: Sequence[Request], spec: LLMDeploymentSpec) -> Shape:
    """Return the mean request; what is declared where there is none."""
    if not requests:
        return Shape(float(spec.traffic.prompt_tokens), float(spec.traffic.generated_tokens))
    return Shape(
        prompt_tokens=sum(one.prompt_tokens for one in requests) / len(requests),
        generated_tokens=sum(one.generated_tokens for one in requests) / len(requests),
    )


def slots_of(speeds: Speeds, shape: Shape) -> float:
    """Return the streams that fit into the batch limit and into the memory, where a stream is half way on average."""
    slots = float(len(speeds.step_seconds))
    if speeds.kv_tokens is None:
        return slots
    return max(1.0, min(slots, speeds.kv_tokens / (shape.prompt_tokens + shape.generated_tokens / 2)))


def fluid_cost(fleet: Fleet, shape: Shape, generated_tokens: float) -> float | None:
    """Return the least that so many tokens can cost if load came evenly and replicas were divisible.

    Each stream is as slow as the target allows, on the variant that is then cheapest; without a target every slot is
    taken. No real policy reaches it: requests come by chance and replicas are whole. None where a cost is not declared
    or no variant is fast enough.
    """
    costs = [
        float(variant.hourly_cost) / tokens / 3600
        for variant in fleet.spec.variants
        if variant.hourly_cost is not None
        and variant.quality >= fleet.spec.slo.min_quality
        and (tokens := _fluid_tokens_per_second(fleet, variant.name, shape)) > 0
    ]
    return min(costs) * generated_tokens if costs else None


def _fluid_tokens_per_second(fleet: Fleet, name: str, shape: Shape) -> float:
    speeds, stream = fleet.variants[name].speeds, fleet.spec.slo.stream
    slowest = math.inf if stream is None else 1.0 / stream.tokens_per_second
    prompt = speeds.prompt_seconds(round(shape.prompt_tokens)) / shape.generated_tokens
    rates = (
        count / seconds
        for count, step in enumerate(speeds.step_seconds, start=1)
        if count <= slots_of(speeds, shape) and (seconds := step + prompt * count) <= slowest
    )
    return max(rates, default=0.0)


def _believed(fleet: Fleet, name: str, shape: Shape, lead_seconds: float) -> Believed:
    truth, spec = fleet.variants[name], fleet.spec
    streams = 1.0
    for _ in range(SETTLING_ROUNDS):
        believed = Believed(
            learned=_learned(truth, shape, streams),
            shape=shape,
            targets=targets_of(spec.slo, drain_seconds(spec.slo, fleet.tick_seconds)),
            pooled=spec.scaling.balancing is Balancing.LEAST_REQUEST,
            lead_seconds=lead_seconds,
            declared=True,
        )
        load = believed.planned_load(1)
        streams = load.streams if load else 1.0
    return believed


def _learned(truth: VariantTruth, shape: Shape, streams: float) -> Learned:
    """Return the costs whose line through the step times meets the true ones at one stream and at so many."""
    steps, slots = truth.speeds.step_seconds, slots_of(truth.speeds, shape)
    most = min(max(math.ceil(streams), 2), len(steps))
    token = max((steps[most - 1] - steps[0]) / (most - 1), 0.0) if most > 1 else 0.0
    prompt = truth.speeds.prompt_seconds(round(shape.prompt_tokens)) / max(shape.prompt_tokens, 1.0)
    return Learned(
        template_hash="",
        belief=Belief.independent(Costs(steps[0] - token, token, prompt), (0.0, 0.0, 0.0)),
        observed_seconds=math.inf,
        most_streams=slots,
        slots=slots,
        saturated=True,
    )


def _certain(variants: Mapping[str, Believed], shape: Shape) -> Estimate:
    return Estimate(
        variants=variants,
        shape=shape,
        drain_seconds=0.0,
        rate=None,
        served_tokens_per_second=None,
        stream_tokens_per_second=None,
        fast_share=None,
        waiting_requests=None,
        backlog_requests=0.0,
        saturated=False,
        growth_tokens_per_second=0.0,
        backlog_tokens_per_second=0.0,
    )
