"""A benchmark's result as an LLMSpeedCard. Pure."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final

from pydantic import ValidationError

from tokenpace.api.names import API_VERSION
from tokenpace.api.speed_card import LatencyPercentiles, LLMSpeedCard, SweepPoint, summary_of
from tokenpace.bench.errors import BenchError
from tokenpace.bench.result import Distribution, Estimate, Point, Quality, Result

MOST_POINTS: Final = 64
_SIX: Final = Decimal("0.000001")
_LONGEST_NAME: Final = 63
_NOT_KNOWN_NANOSECONDS: Final = 10**12
"""Standard error of a cost of which nothing is known: the most that a card can say."""


def card(result: Result, name: str) -> Mapping[str, Any]:
    """Return the manifest of the card.

    Raises:
        BenchError: the result lacks what every card has; the message names the option that gives it.
    """
    if result.quantization is None:
        raise BenchError("--quantization: must be given for a card, in the server's own spelling (`none`: as trained)")
    if result.fit is None:
        raise BenchError("--completions: too few requests for a fit, which every card has: measure for longer")
    points = [_point(one) for one in result.points if _is_whole(one)]
    if not points:
        raise BenchError("no point has figures: see why they were refused")
    spec = {
        "model": {"name": result.model},
        "engine": {
            "type": result.server.engine,
            "version": result.server.version or "unknown",
            "image": result.image,
        },
        "quantization": result.quantization,
        "hardware": result.machine.model_dump(),
        "traffic": {
            "promptTokens": _decimal(result.lone.prompt_tokens),
            "generatedTokens": _decimal(result.lone.generated_tokens or result.workload.generated_tokens),
            "drawn": drawn(result),
        },
        "points": points,
        "summary": summary_of([SweepPoint.model_validate(one) for one in points]).model_dump(by_alias=True),
        "fit": {
            "step": _cost(result.fit.step_seconds),
            "generatedToken": _cost(result.fit.token_seconds),
            "promptToken": _cost(result.fit.prompt_token_seconds),
            "batchLimit": result.server.slots,
        },
        "charactersPerToken": _decimal(result.characters_per_token),
        "quality": _task_quality(result) or (None if result.quality is None else _quality(result.quality)),
        "cost": _costs(result),
        "measurement": {
            "method": "open loop; latency from when a request was due; warm-up left out",
            "tool": f"tokenpace bench {version('tokenpace')}",
            "date": result.measured_at,
            "command": f"{result.command} --card=-",
        },
    }
    try:
        made = LLMSpeedCard.model_validate({"spec": spec})
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise BenchError(f"no card can be made of this result: {found}") from error
    body = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"apiVersion": API_VERSION, "kind": "LLMSpeedCard", "metadata": {"name": name}, **body}


def card_name(result: Result) -> str:
    """Return a name for the card: model, quantization and engine, as an object may be called.

    Of a long name the model is shortened, so that no two quantizations or engines replace each other.
    """
    which = _plain(f"{result.quantization}-{result.server.engine}")
    model = _plain(result.model.rpartition("/")[2])[: _LONGEST_NAME - 1 - len(which)]
    return f"{model}-{which}"


def _plain(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def drawn(result: Result) -> str:
    """Return how requests were drawn, in words."""
    workload = result.workload
    if workload.trace is not None:
        return f"recorded in {workload.trace}, stretched to each rate"
    lengths = f"lengths even from {1 - workload.spread:g} to {1 + workload.spread:g} of the mean"
    return f"{lengths if workload.spread else 'fixed lengths'}, Poisson arrivals, seed {workload.seed}"


def _is_whole(one: Point) -> bool:
    latencies = (one.first_token_seconds, one.seconds_per_token, one.token_gap_seconds)
    return one.refused is None and one.completed > 0 and None not in latencies


def _point(one: Point) -> dict[str, Any]:
    return {
        "offeredRequestsPerSecond": _decimal(one.offered_requests_per_second),
        "durationSeconds": _decimal(one.seconds),
        "requests": one.completed,
        "failedRequests": one.failed,
        "saturated": one.saturated,
        "streams": _decimal(one.streams),
        "generatedTokensPerSecond": _decimal(one.generation_tokens_per_second),
        "prefillTokensPerSecond": _decimal(one.prefill_tokens_per_second),
        "streamTokensPerSecond": _percentiles(one.stream_tokens_per_second),
        "timeToFirstTokenSeconds": _percentiles(one.first_token_seconds),
        "timePerOutputTokenSeconds": _percentiles(one.seconds_per_token),
        "interTokenLatencySeconds": _percentiles(one.token_gap_seconds),
    }


def _percentiles(values: Distribution | None) -> dict[str, Decimal]:
    return {field: _decimal(getattr(values, field)) for field in LatencyPercentiles.model_fields}


def _cost(cost: Estimate) -> dict[str, int]:
    """Return a cost in nanoseconds: at least one, because planning divides by them.

    A cost of 0 ± 0 is one that the others explain, whichever block of time is left out: no cost can be less. That tells
    nothing of how far it is known.
    """
    value = round(cost.value * 1e9)
    error = round(cost.error * 1e9) if math.isfinite(cost.error) else _NOT_KNOWN_NANOSECONDS
    return {
        "nanoseconds": max(1, value),
        "standardErrorNanoseconds": error if value or error else _NOT_KNOWN_NANOSECONDS,
    }


def _task_quality(result: Result) -> dict[str, Any] | None:
    """Return the quality by a task's score, which says more than perplexity; what that found stands beside it."""
    score = result.task_score
    if score is None or score.percent is None:
        return None
    beside = (_quality(result.quality) if result.quality else None) or {}
    return {
        **beside,
        "percent": _percent(score.percent.value),
        "standardError": _decimal(score.percent.error),
        "method": f"{score.metric} of the variant by that of the reference, {score.harness}",
        "dataset": f"{score.task}, {score.samples} samples",
        "reference": score.reference,
    }


def _quality(quality: Quality) -> dict[str, Any] | None:
    if quality.percent is None or quality.agreement_percent is None:
        return None
    seen = quality.perplexity
    return {
        "percent": _percent(quality.percent.value),
        "standardError": _decimal(quality.percent.error),
        "method": "perplexity of the reference by that of the variant, teacher-forced",
        "dataset": f"tokenpace {seen.text}, {seen.positions} tokens",
        "reference": quality.reference,
        "perplexity": _decimal(seen.perplexity),
        "greedyAgreementPercent": _percent(quality.agreement_percent.value),
    }


def _costs(result: Result) -> dict[str, Any] | None:
    if result.hourly_cost is None:
        return None
    per_million = result.cost_per_million_tokens
    return {
        "hourly": _decimal(result.hourly_cost),
        "perMillionGeneratedTokens": None if per_million is None else _decimal(per_million),
    }


def _decimal(value: float | None) -> Decimal:
    return Decimal(value or 0.0).quantize(_SIX).normalize() + Decimal(0)


def _percent(value: float) -> Decimal:
    return min(Decimal(100), Decimal(value).quantize(Decimal("0.01")))
