"""What an engine does not measure is estimated from what is declared, and said."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.planning.declared import NOW, declared, observation, pod, reading

from tokenpace.api.slo import Traffic
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Idle, Live, Missing, Reading, Unmeasured
from tokenpace.planning.plan import plan
from tokenpace.planning.unmeasured import filled_in

NOTHING = frozenset(Unmeasured)


def estimated(traffic: Traffic | None = None, **fields: Any) -> Reading:
    seen = observation(pod("a", reading(**{"unmeasured": NOTHING, "prompt_tokens_per_second": 0.0, **fields})))
    (filled,) = filled_in(seen, traffic or Traffic(prompt_tokens=300, generated_tokens=100)).pods
    assert isinstance(filled.sample, (Live, Idle))
    return filled.sample.reading


def test_prompts_are_those_that_traffic_has_for_each_generated_token() -> None:
    assert estimated(generated=10.0, running=2.0).prompt_tokens_per_second == 30.0


def test_requests_beyond_the_batch_limit_are_taken_to_wait() -> None:
    filled = estimated(generated=10.0, running=9.0, slots=4.0)
    assert (filled.running_streams, filled.waiting_requests) == (4.0, 5.0)


def test_without_a_batch_limit_nothing_is_taken_to_wait() -> None:
    filled = estimated(generated=10.0, running=9.0, slots=None)
    assert (filled.running_streams, filled.waiting_requests) == (9.0, 0.0)


def test_what_is_measured_stays_as_it_is() -> None:
    seen = observation(pod("a", reading(10.0)), pod("b", Missing()))
    assert filled_in(seen, Traffic()) == seen


@given(st.floats(), st.floats(), st.one_of(st.none(), st.floats()))
def test_no_float_makes_it_raise(generated: float, running: float, slots: float | None) -> None:
    estimated(generated=generated, running=running, slots=slots)


def slo_message(**fields: Any) -> str:
    seen = observation(pod("a", reading(10.0, running=2.0, **fields)))
    decided, _ = plan(declared(), seen, Memory(), NOW)
    return decided.slo_met.message


def test_the_condition_says_what_is_not_measured_and_what_stands_for_it() -> None:
    message = slo_message(unmeasured=NOTHING)
    assert "Prompt tokens are not measured: `traffic` stands for them." in message
    assert "Waiting requests are not measured" in message


def test_of_what_is_measured_the_condition_says_nothing() -> None:
    assert "not measured" not in slo_message()
