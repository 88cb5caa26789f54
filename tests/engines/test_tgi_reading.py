from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.engines.engine import Signal
from tokenpace.engines.tgi import TextGenerationInference
from tokenpace.engines.window import Scrape, Window
from tokenpace.planning.observation import Reading

EXPOSITIONS: Final = Path(__file__).parents[1] / "expositions"
SIGNALS: Final = TextGenerationInference().signals
AT_WORK: Final = {
    "sequence_steps": 1000.0,
    "further_tokens": 0.0,
    "prompts": 10.0,
    "prompt_tokens": 500.0,
    "ended": 8.0,
    "ended_tokens": 900.0,
    "ended_seconds": 30.0,
    "prefills": 10.0,
    "prefill_seconds": 1.0,
    "decodes": 500.0,
    "decode_seconds": 10.0,
    "running": 2.0,
    "waiting": 1.0,
}
ENDED: Final = {"prompts": 10.0, "ended": 8.0, "ended_tokens": 900.0, "ended_seconds": 30.0, "queued_seconds": 3.0}


def read(*scrapes: tuple[float, dict[str, float]]) -> Reading:
    reading = TextGenerationInference().read(Window(tuple(Scrape(at, values) for at, values in scrapes)))
    assert reading is not None
    return reading


def rendered(signal: Signal) -> str:
    labels = ",".join(f'{label}="{value}"' for label, value in signal.labels.items())
    return f"{signal.metric}{{{labels}}}" if labels else signal.metric


def exported(name: str) -> set[str]:
    lines = (EXPOSITIONS / f"tgi-3.3.6-{name}.txt").read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def test_the_router_exported_every_signal_of_work_that_it_had() -> None:
    """No prefill joined a running batch in the recorded run."""
    wanted = {name: signal for name, signal in SIGNALS.items() if name != "chunkings"}
    assert {rendered(signal) for signal in wanted.values()} <= exported("router-v3")


def test_the_llama_cpp_backend_exported_neither_a_queue_nor_a_batch() -> None:
    series = exported("llamacpp-backend")
    assert not {SIGNALS[name].metric for name in ("waiting", "running", "sequence_steps")} & series
    assert {SIGNALS[name].metric for name in ENDED} <= series


def test_tokens_of_a_request_count_before_it_ends() -> None:
    reading = read((0.0, AT_WORK), (10.0, {**AT_WORK, "sequence_steps": 1400.0}))
    assert reading.generated_tokens_per_second == 40.0
    assert reading.tokens_per_completion is None


def test_tokens_that_speculation_adds_to_a_step_count() -> None:
    after = {**AT_WORK, "sequence_steps": 1400.0, "further_tokens": 100.0}
    assert read((0.0, AT_WORK), (10.0, after)).generated_tokens_per_second == 50.0


def test_a_stream_is_as_slow_as_its_clients_see_it_without_its_own_prefill() -> None:
    """Ten requests of 100 tokens in 3.2 s each, of which a prefill of 0.2 s brings the first token."""
    after = {
        **AT_WORK,
        "prefills": 20.0,
        "prefill_seconds": 3.0,
        "ended": 18.0,
        "ended_tokens": 1900.0,
        "ended_seconds": 62.0,
    }
    assert read((0.0, AT_WORK), (10.0, after)).seconds_per_output_token == pytest.approx(3.0 / 99)


def test_prompts_are_those_that_were_prefilled_and_not_those_that_wait() -> None:
    """Thirty prompts of 50 tokens came, and 28 of them wait. Each prefill took 0.5 s."""
    after = {
        **AT_WORK,
        "prompts": 40.0,
        "prompt_tokens": 2000.0,
        "prefills": 12.0,
        "prefill_seconds": 2.0,
        "waiting": 29.0,
    }
    reading = read((0.0, AT_WORK), (10.0, after))
    assert reading.prompt_tokens_per_second == 10.0
    assert reading.seconds_per_prompt_token == pytest.approx(1.0 / 100)
    assert reading.requests_per_second == 3.0


def test_prompts_that_came_before_count_when_they_are_prefilled() -> None:
    """A queue is worked off: nothing comes, and four prompts as long as those before are begun."""
    queued = {**AT_WORK, "waiting": 4.0}
    after = {**AT_WORK, "prefills": 14.0, "prefill_seconds": 3.0, "waiting": 0.0}
    reading = read((0.0, queued), (10.0, after))
    assert reading.prompt_tokens_per_second == 20.0
    assert reading.seconds_per_prompt_token == pytest.approx(2.0 / 200)


def test_requests_in_their_prefill_are_worked_on_although_the_batch_is_without_them() -> None:
    """Five requests began, each with half a second of prefill, beside the two streams that the gauge saw."""
    after = {**AT_WORK, "prompts": 15.0, "prompt_tokens": 750.0, "prefills": 14.0, "prefill_seconds": 3.0}
    assert read((0.0, AT_WORK), (10.0, after)).running_streams == pytest.approx(2.0 + 5 * 0.5 / 10)


def test_the_recorded_streams_were_slower_than_their_steps() -> None:
    """Between two decode steps of 22.6 ms the router needed as much again as a fifth of one."""
    lines = (EXPOSITIONS / "tgi-3.3.6-router-v3.txt").read_text().splitlines()
    series = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    recorded = {name: float(series.get(rendered(signal), 0.0)) for name, signal in SIGNALS.items()}
    reading = read((0.0, dict.fromkeys(recorded, 0.0)), (60.0, recorded))
    assert recorded["decode_seconds"] / recorded["decodes"] == pytest.approx(0.0226, abs=1e-4)
    assert reading.seconds_per_output_token == pytest.approx(0.0271, abs=1e-4)
    assert reading.generated_tokens_per_second * 60 == pytest.approx(512)


def test_requests_of_a_single_token_say_nothing_of_a_streams_speed() -> None:
    after = {**AT_WORK, "ended": 18.0, "ended_tokens": 910.0, "ended_seconds": 31.0}
    assert read((0.0, AT_WORK), (10.0, after)).seconds_per_output_token is None


def test_a_counter_that_was_not_used_yet_began_at_zero() -> None:
    before = {"prompts": 1.0, "prompt_tokens": 50.0, "waiting": 1.0}
    reading = read((0.0, before), (10.0, {**before, "sequence_steps": 200.0, "running": 1.0}))
    assert reading.generated_tokens_per_second == 20.0
    assert reading.running_streams == 0.5


def test_a_newest_scrape_that_is_not_whole_yet_is_left_out() -> None:
    after = {**AT_WORK, "sequence_steps": 1400.0}
    half_stored = {"sequence_steps": 1800.0, "running": 2.0}
    assert read((0.0, AT_WORK), (10.0, after), (20.0, half_stored)) == read((0.0, AT_WORK), (10.0, after))


def test_a_server_that_restarted_and_was_not_used_since_has_lost_nothing_but_its_streams() -> None:
    reading = read((0.0, AT_WORK), (10.0, {**AT_WORK, "sequence_steps": 1400.0}), (20.0, dict.fromkeys(AT_WORK, 0.0)))
    assert reading.generated_tokens_per_second == 20.0
    assert reading.waiting_requests == 0


def test_streams_and_queue_of_the_llama_cpp_backend_are_the_time_that_its_requests_took() -> None:
    after = {**ENDED, "ended": 10.0, "ended_tokens": 1200.0, "ended_seconds": 50.0, "queued_seconds": 8.0}
    reading = read((0.0, ENDED), (10.0, after))
    assert (reading.running_streams, reading.waiting_requests) == (2.0, 0.5)
    assert reading.seconds_per_output_token == pytest.approx(20 / 300)
    assert reading.tokens_per_completion == 150.0


FINITE = st.floats(min_value=-1e300, max_value=1e300)
SCRAPES = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(SIGNALS, FINITE)), max_size=5)


@given(SCRAPES)
def test_no_values_make_reading_fail(values: list[dict[str, float]]) -> None:
    window = Window(tuple(Scrape(float(at), seen) for at, seen in enumerate(values)))
    reading = TextGenerationInference().read(window)
    assert reading is None or not reading.generated_tokens_per_second < 0
    assert reading is None or reading.seconds_per_output_token is None or not reading.seconds_per_output_token <= 0
