"""Whether what is promised holds now: the verdict on a slot, with what is estimated named (design, section 2).

*Stream speed* is estimated on every engine as ``Σ k·1[1/y ≥ s] / Σ k`` over pods (section 4): the share of streams on
pods whose mean stream is fast enough. It hides the spread between the requests of one pod. *The first token* is
estimated from the load: without a backlog, and up to the load at which P(late) is what may be late, it is in time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tokenpace.api.reasons import SLOMetReason
from tokenpace.api.slo import SLO, FirstTokenTarget, StreamTarget
from tokenpace.planning.decision import Finding, Verdict
from tokenpace.planning.estimate import Believed, Estimate, promised_demand
from tokenpace.planning.observation import Wake
from tokenpace.planning.sight import Sight
from tokenpace.planning.unmeasured import estimated
from tokenpace.planning.wording import shown

SERVED_SHARE = 0.95
"""Share of the demand, as far as it is promised, that is served in a good slot."""


@dataclass(frozen=True, slots=True)
class _Check:
    """One target."""

    holds: bool | None
    """None where it can be neither measured nor estimated."""
    reason: SLOMetReason
    """Why the SLO is not met if it does not hold."""
    sentence: str


def slo_met(slo: SLO, sight: Sight, estimate: Estimate) -> Finding:
    """Return whether every declared target holds now. While nothing serves and somebody asks, none does."""
    if sight.observation.wake is Wake.ASKED and not sight.serving:
        message = "Somebody asks, and no replica serves yet."
        return Finding(Verdict.FALSE, SLOMetReason.DEMAND_NOT_SERVED, message)
    served = estimate.served_tokens_per_second
    if served is None:
        return Finding(Verdict.UNKNOWN, SLOMetReason.NO_DATA, "Nothing is measured.")
    if not any(reading.running_streams or reading.waiting_requests for reading in sight.readings) and not served:
        return Finding(Verdict.TRUE, SLOMetReason.NO_DEMAND, "Nothing is asked for.")
    checks = list(_checks(slo, sight, estimate, served))
    broken = [check for check in checks if check.holds is False]
    unknown = [check for check in checks if check.holds is None]
    sentences = [check.sentence for check in (broken or unknown or checks)]
    message = " ".join(filter(None, (*sentences, estimated(sight.readings))))
    if broken:
        return Finding(Verdict.FALSE, broken[0].reason, message)
    if unknown:
        return Finding(Verdict.UNKNOWN, SLOMetReason.NOT_MEASURABLE, message)
    return Finding(Verdict.TRUE, SLOMetReason.MET, message)


def _checks(slo: SLO, sight: Sight, estimate: Estimate, served: float) -> Iterator[_Check]:
    rate_low = min(estimate.rate.low, estimate.rate.now) if estimate.rate else 0.0
    promised = promised_demand(slo, estimate.shape, rate_low + estimate.backlog_tokens_per_second)
    yield _Check(
        served >= SERVED_SHARE * promised,
        SLOMetReason.DEMAND_NOT_SERVED,
        f"{shown(served)} tokens/s are served of {shown(max(promised, served))} asked for and promised.",
    )
    if slo.stream is not None:
        yield _stream(slo.stream, estimate)
    if slo.time_to_first_token is not None:
        yield _first_token(slo.time_to_first_token, sight, estimate, rate_low)


def _stream(target: StreamTarget, estimate: Estimate) -> _Check:
    percent = 100.0 * (1.0 if estimate.fast_share is None else estimate.fast_share)
    return _Check(
        percent >= target.percentile,
        SLOMetReason.STREAMS_TOO_SLOW,
        f"{percent:.0f} % of streams have {target.tokens_per_second} tokens/s, {target.percentile} % have to "
        "(estimated from pods' means).",
    )


def _first_token(target: FirstTokenTarget, sight: Sight, estimate: Estimate, rate_low: float) -> _Check:
    """Estimate whether so many requests get their first token in time."""
    serving = {pod.variant for pod in sight.serving} & estimate.variants.keys()
    believed = [estimate.variants[name] for name in sorted(serving)]
    if any(not one.learned.knows_prompts for one in believed) or not believed:
        return _Check(
            None,
            SLOMetReason.NOT_MEASURABLE,
            "`slo.timeToFirstToken` can be neither measured nor estimated: the engine does not time prompts, and "
            "`expected.prefillTokensPerSecond` is not declared.",
        )
    total = len(sight.serving)
    capacity = total * min(_in_time_tokens_per_second(one, total) for one in believed)  # the weakest bind all
    holds = rate_low <= capacity and estimate.backlog_requests <= 0
    return _Check(
        holds,
        SLOMetReason.FIRST_TOKEN_TOO_LATE,
        f"First tokens come in time for {target.percentile} % of requests up to {shown(capacity)} tokens/s without a "
        f"backlog; at least {shown(rate_low)} tokens/s are asked for and {shown(estimate.backlog_requests)} requests "
        "are a backlog (estimated).",
    )


def _in_time_tokens_per_second(believed: Believed, replicas: int) -> float:
    only_first_token = replace(believed.targets, stream_seconds_per_token=None)
    load = replace(believed, targets=only_first_token).promised_load(replicas)
    return 0.0 if load is None else load.tokens_per_second
