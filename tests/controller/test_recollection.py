"""What was learned, what failed and what was spent comes back after a restart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api.status import LearnedSpeed, LLMDeploymentStatus, VariantStatus
from tokenpace.controller.recollection import keep, recall
from tokenpace.planning.budget import Budget
from tokenpace.planning.memory import Memory
from tokenpace.planning.setbacks import Setback

NANOSECONDS = st.integers(1, 10**11)
SECONDS = st.integers(0, 4 * 10**9).map(float)


LEARNED = st.fixed_dictionaries(
    {
        "template_hash": st.text("0123456789abcdef", min_size=16, max_size=16),
        "step_nanoseconds": NANOSECONDS,
        "generated_token_nanoseconds": NANOSECONDS,
        "prompt_token_nanoseconds": NANOSECONDS,
        "observed_seconds": st.integers(1, 10**6),
        "most_streams": st.integers(1, 4096),
        "kv_tokens": st.one_of(st.none(), st.integers(1, 999).map(lambda thousands: 1000 * thousands)),
    }
).map(LearnedSpeed.model_validate)

SETBACKS = st.builds(
    Setback,
    template_hash=st.text("0123456789abcdef", min_size=16, max_size=16),
    failures=st.integers(1, 1000),
    until_seconds=SECONDS,
    message=st.text(min_size=1, max_size=500),
)


def restarted(memory: Memory) -> Memory:
    """Return what an operator that starts now knows of what another one has written."""
    kept = keep(memory)
    status = LLMDeploymentStatus(
        variants=tuple(
            VariantStatus(name=name, replicas=1, ready=1, learned=kept.learned.get(name), setback=setback)
            for name, setback in kept.setbacks.items()
        ),
        switched_at=kept.switched_at,
        degraded=kept.degraded,
    )
    return recall(LLMDeploymentStatus.model_validate(status.as_manifest()))


@given(LEARNED)
def test_what_was_learned_survives_a_restart(learned: LearnedSpeed) -> None:
    status = LLMDeploymentStatus(variants=(VariantStatus(name="q8", replicas=1, ready=1, learned=learned),))
    assert keep(recall(status)).learned == {"q8": learned}


@given(SETBACKS)
def test_a_setback_survives_a_restart(setback: Setback) -> None:
    assert restarted(Memory(setbacks={"q4": setback})).setbacks == {"q4": setback}


@given(SECONDS)
def test_the_last_switch_survives_a_restart(moment: float) -> None:
    assert restarted(Memory(switched_at_seconds=moment)).switched_at_seconds == moment


@given(st.floats(1, 1e12), st.floats(0, 1))
def test_the_quality_budget_survives_a_restart_to_half_a_per_cent(tokens: float, share: float) -> None:
    budget = restarted(Memory(budget=Budget(generated_tokens=tokens, degraded_tokens=tokens * share))).budget
    assert budget.generated_tokens == pytest.approx(tokens, rel=0.005, abs=0.5)
    assert budget.degraded_tokens == pytest.approx(tokens * share, rel=0.005, abs=0.5)


@given(st.floats(), st.floats())
def test_no_budget_is_one_that_the_status_refuses(generated: float, degraded: float) -> None:
    budget = restarted(Memory(budget=Budget(generated_tokens=generated, degraded_tokens=degraded))).budget
    assert 0 <= budget.degraded_tokens <= budget.generated_tokens
    assert math.isfinite(budget.generated_tokens)


def test_a_budget_that_grows_by_little_is_written_as_it_was() -> None:
    before, after = (keep(Memory(budget=Budget(generated_tokens=tokens))).degraded for tokens in (1.002e6, 1.004e6))
    assert before == after


def test_nothing_generated_is_no_budget_and_not_one_of_zero() -> None:
    assert keep(Memory()).degraded is None


def test_an_empty_status_recalls_nothing() -> None:
    assert recall(LLMDeploymentStatus()) == Memory()
