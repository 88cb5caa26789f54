"""What outlives a restart, kept in the status: learned speeds, setbacks, the last switch, sleep, the budget. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from tokenpace.api.status import DegradedStatus, LearnedSpeed, LLMDeploymentStatus, SetbackStatus
from tokenpace.planning.budget import Budget
from tokenpace.planning.learning import Learned
from tokenpace.planning.memory import Memory
from tokenpace.planning.setbacks import Setback

_MOST_TOKENS = 1e12
"""More are written as that: one value that the schema refuses would lose the whole status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of a memory is written down, by variant where it is one's own."""

    learned: Mapping[str, LearnedSpeed]
    setbacks: Mapping[str, SetbackStatus]
    switched_at: datetime | None
    asleep_since: datetime | None
    degraded: DegradedStatus | None


def recall(status: LLMDeploymentStatus) -> Memory:
    """Return a fresh memory that knows what the status has kept. Whatever is not credible is left out."""
    learned, setbacks = {}, {}
    for variant in status.variants:
        restored = None if variant.learned is None else _learned(variant.learned)
        if restored is not None:
            learned[variant.name] = restored
        if variant.setback is not None:
            setbacks[variant.name] = Setback(
                template_hash=variant.setback.template_hash,
                failures=variant.setback.failures,
                until_seconds=variant.setback.until.timestamp(),
                message=variant.setback.message,
            )
    return Memory(
        learned=learned,
        setbacks=setbacks,
        switched_at_seconds=None if status.switched_at is None else status.switched_at.timestamp(),
        asleep_since_seconds=None if status.asleep_since is None else status.asleep_since.timestamp(),
        budget=_budget(status.degraded),
    )


def keep(memory: Memory) -> Kept:
    """Return what is worth keeping of a memory."""
    return Kept(
        learned={
            name: speed for name, learned in memory.learned.items() if (speed := _learned_speed(learned)) is not None
        },
        setbacks={
            name: SetbackStatus(
                template_hash=setback.template_hash,
                failures=setback.failures,
                until=datetime.fromtimestamp(setback.until_seconds, UTC),
                message=setback.message,
            )
            for name, setback in memory.setbacks.items()
        },
        switched_at=_moment(memory.switched_at_seconds),
        asleep_since=_moment(memory.asleep_since_seconds),
        degraded=_degraded(memory.budget),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _learned(kept: LearnedSpeed) -> Learned | None:
    integers = (
        kept.step_nanoseconds,
        kept.generated_token_nanoseconds,
        kept.prompt_token_nanoseconds,
        kept.observed_seconds,
        kept.most_streams,
    )
    learned = Learned.from_integers(kept.template_hash, integers)
    return learned and replace(learned, kv_tokens=kept.kv_tokens or None)


def _learned_speed(learned: Learned) -> LearnedSpeed | None:
    integers = learned.to_integers()
    if integers is None:
        return None
    step, generated, prompt, observed_seconds, most_streams = integers
    return LearnedSpeed(
        template_hash=learned.template_hash,
        step_nanoseconds=step,
        generated_token_nanoseconds=generated,
        prompt_token_nanoseconds=prompt,
        observed_seconds=observed_seconds,
        most_streams=most_streams,
        kv_tokens=None if learned.kv_tokens is None else _rounded(learned.kv_tokens),
    )


def _budget(kept: DegradedStatus | None) -> Budget:
    if kept is None:
        return Budget()
    degraded = min(kept.degraded_tokens, kept.generated_tokens)
    return Budget(generated_tokens=float(kept.generated_tokens), degraded_tokens=float(degraded))


def _degraded(budget: Budget) -> DegradedStatus | None:
    """Return the budget in three significant digits, so that a steady fleet does not rewrite its status for it."""
    generated = _rounded(budget.generated_tokens)
    if generated == 0:
        return None
    degraded = min(_rounded(budget.degraded_tokens), generated)
    return DegradedStatus(
        tokens_percent=Decimal(f"{100 * degraded / generated:.1f}"),
        generated_tokens=generated,
        degraded_tokens=degraded,
    )


def _rounded(tokens: float) -> int:
    return round(float(f"{min(tokens, _MOST_TOKENS):.3g}")) if math.isfinite(tokens) and tokens > 0 else 0
