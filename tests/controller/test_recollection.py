"""What was learned comes back after a restart."""

from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api.status import LearnedSpeed, LLMDeploymentStatus, VariantStatus
from tokenpace.controller.recollection import learned_speeds, recall

NANOSECONDS = st.integers(1, 10**11)


LEARNED = st.fixed_dictionaries(
    {
        "template_hash": st.text("0123456789abcdef", min_size=16, max_size=16),
        "step_nanoseconds": NANOSECONDS,
        "generated_token_nanoseconds": NANOSECONDS,
        "prompt_token_nanoseconds": NANOSECONDS,
        "observed_seconds": st.integers(1, 10**6),
        "most_streams": st.integers(1, 4096),
    }
).map(LearnedSpeed.model_validate)


@given(LEARNED)
def test_what_the_status_keeps_survives_a_restart(kept: LearnedSpeed) -> None:
    status = LLMDeploymentStatus(variants=(VariantStatus(name="q8", replicas=1, ready=1, learned=kept),))
    assert learned_speeds(recall(status)) == {"q8": kept}


def test_an_empty_status_recalls_nothing() -> None:
    assert learned_speeds(recall(LLMDeploymentStatus())) == {}
