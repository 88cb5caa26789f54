"""Speed cards for the planner's tests: what a perfect benchmark would write of costs."""

from typing import Any

from tokenpace.api.speed_card import LLMSpeedCardSpec
from tokenpace.planning.balance import Costs

_LATENCY = {"mean": "0.1", "p50": "0.1", "p90": "0.1", "p95": "0.1", "p99": "0.1"}


def speed_card(costs: Costs, *, error: float = 0.05, streams: float = 4.0, **spec: Any) -> LLMSpeedCardSpec:
    """Return a card with these costs, each with a standard error of so large a share of it.

    A cost of 0 is what a fit found to be nothing; cards hold 1 ns of it.
    """
    fitted = {
        name: {"nanoseconds": max(1, round(seconds * 1e9)), "standardErrorNanoseconds": round(error * seconds * 1e9)}
        for name, seconds in (
            ("step", costs.step_seconds),
            ("generatedToken", costs.token_seconds),
            ("promptToken", costs.prompt_token_seconds),
        )
    }
    point = {
        "offeredRequestsPerSecond": "1",
        "durationSeconds": "60",
        "requests": 60,
        "streams": f"{streams:.6f}",
        "generatedTokensPerSecond": "10",
        "prefillTokensPerSecond": "10",
        "streamTokensPerSecond": _LATENCY,
        "timeToFirstTokenSeconds": _LATENCY,
        "timePerOutputTokenSeconds": _LATENCY,
        "interTokenLatencySeconds": _LATENCY,
    }
    return LLMSpeedCardSpec.model_validate(
        {
            "model": {"name": "m"},
            "engine": {"type": "LlamaCpp", "version": "b5686"},
            "quantization": "q8_0",
            "hardware": {"name": "one core"},
            "traffic": {"promptTokens": "12", "generatedTokens": "32", "drawn": "fixed lengths"},
            "points": [point],
            "summary": {
                "generatedTokensPerSecond": "10",
                "streamTokensPerSecond": "0.1",
                "streams": f"{streams:.6f}",
            },
            "fit": fitted,
            "measurement": {"method": "by hand", "tool": "pen", "date": "2026-11-23T12:00:00Z", "command": "none"},
            **spec,
        }
    )
