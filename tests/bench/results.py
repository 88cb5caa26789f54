"""Results to write cards and comparisons of, with figures that are easy to follow."""

from datetime import UTC, datetime
from typing import Any

from tokenpace.bench.result import (
    Answers,
    Distribution,
    Estimate,
    Fit,
    Lone,
    Machine,
    Perplexity,
    Point,
    Quality,
    Result,
    Server,
    Workload,
)


def all_alike(value: float) -> Distribution:
    return Distribution(count=50, mean=value, p50=value, p90=value, p95=value, p99=value)


def a_point(rate: float, *, saturated: bool = False, refused: str | None = None) -> Point:
    known = refused is None
    return Point(
        offered_requests_per_second=rate,
        arrived_requests_per_second=rate,
        seconds=50 / rate,
        warm_up_seconds=12.5 / rate,
        completed=50,
        failed=0,
        refused=refused,
        saturated=saturated,
        streams=rate * 1.6 if known else None,
        generation_tokens_per_second=rate * 64 if known else None,
        prefill_tokens_per_second=rate * 256 if known else None,
        characters_per_second=rate * 256 if known else None,
        first_token_seconds=all_alike(0.5) if known else None,
        seconds_per_token=all_alike(0.025) if known else None,
        token_gap_seconds=all_alike(0.025) if known else None,
        request_seconds=all_alike(2.1) if known else None,
        stream_tokens_per_second=all_alike(40) if known else None,
        lag_seconds=all_alike(0.001),
    )


def a_quality(*log_probabilities: float, texts: tuple[str, ...] = ("a cat", "a dog")) -> Quality:
    scored = Perplexity(
        perplexity=7.0,
        error=0.5,
        text="harbour-1",
        positions=len(log_probabilities),
        missed=0,
        log_probabilities=log_probabilities,
    )
    answers = Answers(prompts="greedy-1", tokens=24, texts=texts)
    return Quality(perplexity=scored, answers=answers, reference=None, percent=None, agreement_percent=None)


def a_result(**changes: Any) -> Result:
    fitted = Fit(
        step_seconds=Estimate(value=0.02, error=0.001),
        token_seconds=Estimate(value=0.003, error=0.0002),
        prompt_token_seconds=Estimate(value=0.0, error=0.0),
        relative_residual=0.04,
        requests=200,
    )
    lone = Lone(
        requests=10,
        prompt_tokens=256,
        first_token_seconds=all_alike(0.5),
        seconds_per_token=all_alike(0.025),
        prefill_tokens_per_second=512,
        decode_tokens_per_second=40,
    )
    workload = Workload(api="completions", prompt_tokens=256, generated_tokens=64, spread=0.5, trace=None, seed=1)
    whole: dict[str, Any] = {
        "measured_at": datetime(2026, 11, 23, 12, tzinfo=UTC),
        "command": "tokenpace bench --url=http://127.0.0.1:8000",
        "url": "http://127.0.0.1:8000",
        "server": Server(engine="VLLM", version="0.33.0", model="chat", slots=None),
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "quantization": "awq",
        "image": None,
        "machine": Machine(name="NVIDIA H100 SXM", accelerators=1, cpu=None, memory=None),
        "workload": workload,
        "lone": lone,
        "points": (a_point(1.0), a_point(2.0), a_point(4.0, saturated=True)),
        "generation_tokens_per_second": 256,
        "sustained_tokens_per_second": 128,
        "characters_per_token": 4.0,
        "fit": fitted,
        "hourly_cost": 2.5,
        "cost_per_million_tokens": 2.7126736,
        "quality": None,
    }
    return Result(**(whole | changes))
