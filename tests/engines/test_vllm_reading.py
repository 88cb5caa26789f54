from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.engines.engine import Signal
from tokenpace.engines.vllm import ALWAYS, Vllm
from tokenpace.engines.window import Scrape, Window
from tokenpace.planning.observation import Reading

EXPOSITION: Final = Path(__file__).parents[1] / "expositions" / "vllm-0.33.0-simulated.txt"
SIGNALS: Final = Vllm().signals
AT_WORK: Final = {
    "generated_tokens": 1000.0,
    "prompt_tokens": 500.0,
    "computed_prompt_tokens": 400.0,
    "first_tokens": 10.0,
    "token_seconds": 30.0,
    "ended": 8.0,
    "ended_tokens": 900.0,
    "running": 2.0,
    "waiting": 1.0,
}


def read(*scrapes: tuple[float, dict[str, float]]) -> Reading:
    reading = Vllm().read(Window(tuple(Scrape(at, values) for at, values in scrapes)))
    assert reading is not None
    return reading


def after(seconds: float, **changed: float) -> Reading:
    """Return the reading from `AT_WORK` to the same values with some changed."""
    return read((0.0, AT_WORK), (seconds, {**AT_WORK, **changed}))


def exported(signal: Signal) -> float | None:
    """Return the value of a signal in what vLLM's own code exported of a simulated run; None where there is none."""
    labels = [f'{label}="{value}"' for label, value in signal.labels.items()]
    for line in EXPOSITION.read_text().splitlines():
        if line.startswith(signal.metric + "{") and all(label in line for label in labels):
            return float(line.split()[-1])
    return None


def test_vllms_own_code_exports_every_signal_but_the_old_name() -> None:
    assert {name for name, signal in SIGNALS.items() if exported(signal) is None} == {"token_seconds_before_0_11"}


def test_the_simulated_run_is_read_as_it_was() -> None:
    """13 requests of 512 tokens in all, a step every 20 ms."""
    run = {name: value for name, signal in SIGNALS.items() if (value := exported(signal)) is not None}
    reading = read((0.0, dict.fromkeys(run, 0.0)), (10.0, run))
    assert reading.generated_tokens_per_second == pytest.approx(51.2)
    assert reading.requests_per_second == pytest.approx(1.3)
    assert reading.tokens_per_completion == pytest.approx(512 / 13)
    assert reading.seconds_per_output_token == pytest.approx(0.02)


def test_tokens_of_a_request_count_before_it_ends() -> None:
    reading = after(10.0, generated_tokens=1400.0)
    assert reading.generated_tokens_per_second == 40.0
    assert reading.tokens_per_completion is None


def test_prompts_found_in_the_cache_are_not_computed() -> None:
    assert after(10.0, prompt_tokens=1500.0, computed_prompt_tokens=600.0).prompt_tokens_per_second == 20.0


def test_a_request_is_admitted_with_its_first_token_or_when_it_begins_to_wait() -> None:
    assert after(10.0, first_tokens=15.0, waiting=4.0).requests_per_second == 0.8


def test_a_queue_that_empties_into_first_tokens_admits_nobody_anew() -> None:
    assert after(10.0, first_tokens=11.0, waiting=0.0).requests_per_second == 0.0


def test_requests_that_leave_the_queue_unserved_are_not_negative_arrivals() -> None:
    before = {**AT_WORK, "waiting": 9.0}
    assert read((0.0, before), (10.0, AT_WORK)).requests_per_second == 0.0


def test_the_price_of_a_token_is_the_gap_before_it_and_a_first_token_has_none() -> None:
    reading = after(10.0, generated_tokens=1405.0, first_tokens=15.0, token_seconds=38.0)
    assert reading.seconds_per_output_token == pytest.approx(0.02)


def test_the_old_name_of_the_gaps_is_read_where_the_new_one_is_not() -> None:
    old = {name: value for name, value in AT_WORK.items() if name not in {"token_seconds", "computed_prompt_tokens"}}
    before = {**old, "token_seconds_before_0_11": 30.0}
    then = {**before, "generated_tokens": 1400.0, "prompt_tokens": 700.0, "token_seconds_before_0_11": 38.0}
    reading = read((0.0, before), (10.0, then))
    assert (reading.seconds_per_output_token, reading.prompt_tokens_per_second) == (0.02, 20.0)


def test_a_scrape_that_lacks_a_signal_is_passed_over() -> None:
    partial = {name: value for name, value in AT_WORK.items() if name != "token_seconds"}
    reading = read((0.0, AT_WORK), (5.0, partial), (10.0, {**AT_WORK, "generated_tokens": 1100.0}))
    assert reading.generated_tokens_per_second == 10.0


def test_without_a_stream_nothing_is_said_of_its_speed() -> None:
    reading = after(10.0)
    assert (reading.seconds_per_output_token, reading.seconds_per_prompt_token) == (None, None)


FINITE = st.floats(min_value=-1e300, max_value=1e300)
RENAMED = dict.fromkeys(SIGNALS.keys() - ALWAYS, FINITE)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(sorted(ALWAYS), FINITE), optional=RENAMED), max_size=5))
def test_no_values_make_reading_fail(values: list[dict[str, float]]) -> None:
    reading = Vllm().read(Window(tuple(Scrape(float(at), seen) for at, seen in enumerate(values))))
    assert reading is None or not reading.generated_tokens_per_second < 0
    assert reading is None or reading.seconds_per_output_token is None or not reading.seconds_per_output_token <= 0
