"""tokenpace itself: the operator's planner and the operator's reading of engines, on what the replay shows.

Nothing is planned here. What is different from the operator is where scrapes come from (the replay instead of
Prometheus), that every canary passes, and that a plan is carried out at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from tokenpace.api.reasons import DecisionReason
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.cluster.objects import batch_limits, desired_objects
from tokenpace.engines.registry import ADAPTERS
from tokenpace.engines.window import Scrape as Seen
from tokenpace.engines.window import Values, Window
from tokenpace.planning.decision import Verdict
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Canary, Hindrance, Idle, Live, Missing, Observation, Pod, Sample
from tokenpace.planning.plan import plan
from tokenpace.planning.schedules import in_force
from tokenpace.prometheus.samples import sample_in
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.replay.policies.policy import PolicyKind
from tokenpace.replay.traffic import Traffic
from tokenpace.replay.truth import Fleet
from tokenpace.replay.view import PodView, Scrape, View

HASH: Final = "replay"
"""Inputs never change within a replay."""

STALE_AFTER_SECONDS: Final = PrometheusSettings().stale_after_seconds


class Told(NamedTuple):
    """What the planner said at one moment."""

    at_seconds: float
    reason: DecisionReason
    message: str
    fleet: Mapping[str, int]
    feasible: bool
    """Whether the planner took the SLO for attainable within the bounds."""


@dataclass(slots=True)
class Tokenpace:
    """The operator's loop without its input and output."""

    fleet: Fleet
    spec: LLMDeploymentSpec
    """What is planned with: as declared, but for the knob."""
    interval_seconds: float
    engines: Mapping[str, EngineType]
    """By variant, whose metrics its pods export."""
    slots: Mapping[str, int]
    """By variant, the batch limit that the operator launches pods with."""
    memory: Memory
    told: list[Told]
    """What was said whenever the fleet or the reason changed."""
    passed: set[str]
    """Pods whose canary was asked for: it passed."""
    begins_at_seconds: float | None
    """Unix seconds of the traffic's beginning, which schedules go by; None where it has no day."""

    def decide(self, view: View) -> Mapping[str, int]:
        """Return the planner's fleet."""
        decided, self.memory = plan(self._in_force(view.at_seconds), self._observed(view), self.memory, view.at_seconds)
        self.passed |= decided.canaries
        now = Told(
            view.at_seconds,
            decided.reason,
            decided.message,
            decided.fleet,
            decided.slo_feasible.verdict is not Verdict.FALSE,
        )
        last = self.told[-1] if self.told else None
        if last is None or (last.fleet, last.reason) != (now.fleet, now.reason):
            self.told.append(now)
        return decided.fleet

    def _in_force(self, at_seconds: float) -> LLMDeploymentSpec:
        begins = self.begins_at_seconds
        return self.spec if begins is None else in_force(self.spec, begins + at_seconds)

    def _observed(self, view: View) -> Observation:
        return Observation(
            replicas=view.replicas,
            template_hashes=dict.fromkeys((variant.name for variant in self.spec.variants), HASH),
            pods=tuple(self._pod(pod, view) for pod in view.pods),
            metrics_problem="Prometheus did not answer" if view.metrics_lost else None,
            tick_seconds=self.fleet.tick_seconds,
        )

    def _pod(self, pod: PodView, view: View) -> Pod:
        return Pod(
            name=pod.name,
            variant=pod.variant,
            template_hash=HASH,
            created_at_seconds=pod.created_at_seconds,
            ready_since_seconds=pod.ready_since_seconds,
            terminating=pod.terminating,
            sample=self._sample(pod, view.at_seconds),
            hindrance=Hindrance.UNSCHEDULABLE if pod.unschedulable else Hindrance.NONE,
            hindrance_message="Unschedulable" if pod.unschedulable else None,
            canary=Canary.PASSED if pod.name in self.passed else Canary.UNTRIED,
        )

    def _sample(self, pod: PodView, now: float) -> Sample:
        engine = self.engines[pod.variant]
        signals = SIGNALS[engine]
        since_seconds = now - self.fleet.window_seconds
        window = Window(
            tuple(Seen(one.at_seconds, signals(one)) for one in pod.scrapes if one.at_seconds >= since_seconds)
        )
        if not window.scrapes:
            return Missing()
        sample = sample_in(window, ADAPTERS[engine], now, STALE_AFTER_SECONDS)
        limit = self.slots.get(pod.variant)
        if isinstance(sample, Live | Idle) and sample.reading.slots is None and limit is not None:
            return type(sample)(replace(sample.reading, slots=float(limit)))
        return sample or Missing()


def tokenpace(fleet: Fleet, traffic: Traffic, setting: float) -> Tokenpace:
    """Return the operator for a fleet.

    Args:
        fleet: its spec is all that is known of it.
        traffic: when it begins is all that is known of it.
        setting: requests that planning allows to miss a latency target, as a multiple of what is declared.
    """
    resource = {"metadata": {"name": "replay"}}
    return Tokenpace(
        fleet=fleet,
        spec=_allowing(fleet.spec, setting),
        interval_seconds=fleet.tick_seconds,
        engines={variant.name: _engine(variant) for variant in fleet.spec.variants},
        slots=batch_limits(fleet.spec, desired_objects(resource, fleet.spec)),
        memory=Memory(),
        told=[],
        passed=set(),
        begins_at_seconds=traffic.begins_at_seconds,
    )


def _engine(variant: Variant) -> EngineType:
    engine = variant.engine_type
    if engine is None or engine not in SIGNALS:
        raise ValueError(
            f"variant {variant.name}: metrics of {engine} cannot be replayed yet; {', '.join(SIGNALS)} can"
        )
    return engine


def _allowing(spec: LLMDeploymentSpec, factor: float) -> LLMDeploymentSpec:
    """Return the spec with another share of requests that may miss a target."""
    slo = spec.slo

    def percentile(declared: int) -> int:
        return min(max(round(100 - factor * (100 - declared)), 1), 99)

    stream = slo.stream and slo.stream.model_copy(update={"percentile": percentile(slo.stream.percentile)})
    first = slo.time_to_first_token
    first = first and first.model_copy(update={"percentile": percentile(first.percentile)})
    return spec.model_copy(update={"slo": slo.model_copy(update={"stream": stream, "time_to_first_token": first})})


def _vllm(scrape: Scrape) -> Values:
    return {
        "generated_tokens": scrape.generated_tokens,
        "prompt_tokens": scrape.prompt_tokens,
        "first_tokens": scrape.first_tokens,
        "token_seconds": scrape.stream_seconds,
        "ended": scrape.ended,
        "ended_tokens": scrape.ended_generated_tokens,
        "running": scrape.running,
        "waiting": scrape.waiting,
    }


def _tgi(scrape: Scrape) -> Values:
    """Return the router's series: a step generates a token of each sequence, and every prefill is one prompt.

    The duration of an ended request is its prefill and its stream. Of those that have not ended yet the prefill counts
    here already, which the adapter takes off again as long as about as many end as begin. The gauge knows a request
    from its first token on.
    """
    return {
        "sequence_steps": scrape.generated_tokens,
        "further_tokens": 0.0,
        "prompts": scrape.admitted,
        "prompt_tokens": scrape.prompt_tokens,
        "ended": scrape.ended,
        "ended_tokens": scrape.ended_generated_tokens,
        "ended_seconds": scrape.ended_stream_seconds + scrape.prefill_seconds,
        "queued_seconds": scrape.queue_seconds,
        "prefills": scrape.first_tokens,
        "prefill_seconds": scrape.prefill_seconds,
        "running": scrape.first_tokens - scrape.ended,
        "waiting": scrape.waiting,
    }


def _sglang(scrape: Scrape) -> Values:
    """Return the scheduler's series: a first token comes with its prefill, and counts as no decoded one."""
    further_tokens = max(0.0, scrape.generated_tokens - scrape.first_tokens)
    return {
        "decoded_tokens": further_tokens,
        "computed_prompt_tokens": scrape.prompt_tokens,
        "prompt_tokens": scrape.ended_prompt_tokens,
        "first_tokens": scrape.first_tokens,
        "ended": scrape.ended,
        "ended_tokens": scrape.ended_generated_tokens,
        "gaps": further_tokens,
        "gap_seconds": scrape.stream_seconds,
        "running": scrape.running,
        "waiting": scrape.waiting,
    }


def _llama_cpp(scrape: Scrape) -> Values:
    """Return llama-server's series: decodes times busy slots are the tokens that were generated."""
    return {
        "decodes": scrape.generated_tokens,
        "busy_slots_per_decode": 1.0,
        "prompt_tokens": scrape.prompt_tokens,
        "prompt_seconds": scrape.prefill_seconds,
        "ended_tokens": scrape.ended_generated_tokens,
        "ended_seconds": scrape.ended_stream_seconds,
        "running": scrape.running,
        "waiting": scrape.waiting,
    }


SIGNALS: Final[Mapping[EngineType, Callable[[Scrape], Values]]] = MappingProxyType(
    {
        EngineType.VLLM: _vllm,
        EngineType.TGI: _tgi,
        EngineType.SGLANG: _sglang,
        EngineType.LLAMA_CPP: _llama_cpp,
    }
)
"""What each engine's adapter reads, by the adapter's own names, from what the replay scrapes."""

KINDS: Final = (
    PolicyKind(
        name="tokenpace",
        source="this repository, tokenpace.planning",
        knob="requests that may miss a latency target, as a multiple of those declared",
        default=1.0,
        # The one lever that moves both latency targets on any spec; burst capacity is in tokens/s, which no two fleets
        # share, and can only add.
        sweep=(0.2, 0.5, 1.0, 2.0, 4.0, 8.0),
        make=tokenpace,
    ),
)
