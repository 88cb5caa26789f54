import json
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.engines.llama_cpp import LlamaCpp
from tokenpace.engines.window import Scrape, Window
from tokenpace.planning.observation import Reading

EXPOSITIONS: Final = Path(__file__).parents[1] / "expositions"
RUN: Final[list[dict[str, Any]]] = [
    json.loads(line) for line in (EXPOSITIONS / "llamacpp-run.jsonl").read_text().splitlines()
]
SIGNALS: Final = LlamaCpp().signals
AT_WORK: Final = {
    "decodes": 1000.0,
    "busy_slots_per_decode": 2.0,
    "prompt_tokens": 500.0,
    "prompt_seconds": 5.0,
    "ended_tokens": 1500.0,
    "ended_seconds": 60.0,
    "running": 2.0,
    "waiting": 0.0,
}


def read(window: Window) -> Reading:
    reading = LlamaCpp().read(window)
    assert reading is not None
    return reading


def after(seconds: float, **changed: float) -> Window:
    """Return the window from `AT_WORK` to the same values with some changed."""
    return Window((Scrape(0.0, AT_WORK), Scrape(seconds, {**AT_WORK, **changed})))


def recorded(first: int, last: int) -> Window:
    """Return the scrapes of the recorded run between two of them."""
    return Window(
        tuple(
            Scrape(row["seconds"], {name: row["metrics"][signal.metric] for name, signal in SIGNALS.items()})
            for row in RUN[first : last + 1]
        )
    )


@pytest.mark.parametrize("exposition", sorted(EXPOSITIONS.glob("llamacpp-server-*.txt")), ids=lambda path: path.stem)
def test_the_server_exports_every_signal(exposition: Path) -> None:
    exported = {line.split()[0] for line in exposition.read_text().splitlines() if not line.startswith("#")}
    assert {signal.metric for signal in SIGNALS.values()} <= exported


@pytest.mark.parametrize(("first", "last"), tuple(combinations(range(len(RUN)), 2)))
def test_tokens_are_those_that_clients_received_in_the_window(first: int, last: int) -> None:
    window = recorded(first, last)
    received = RUN[last]["tokens_clients_received"] - RUN[first]["tokens_clients_received"]
    assert read(window).generated_tokens_per_second * window.seconds == pytest.approx(received, abs=0.5)


def test_tokens_of_a_request_count_before_it_ends() -> None:
    window = recorded(1, 2)
    assert window.scrapes[0].values["ended_tokens"] == window.scrapes[1].values["ended_tokens"] == 0
    assert read(window).generated_tokens_per_second > 90


def test_streams_and_queue_are_those_of_the_run() -> None:
    reading = read(recorded(2, 8))
    assert reading.running_streams == 4
    assert reading.waiting_requests == RUN[8]["metrics"]["llamacpp:requests_deferred"]


def test_the_price_of_a_token_is_in_seconds_of_one_stream() -> None:
    reading = read(after(10.0, ended_tokens=1600.0, ended_seconds=64.0, prompt_tokens=700.0, prompt_seconds=6.0))
    assert reading.seconds_per_output_token == pytest.approx(0.04)
    assert reading.seconds_per_prompt_token == pytest.approx(0.005)
    assert reading.prompt_tokens_per_second == 20.0


def test_without_an_ended_request_nothing_is_said_of_its_speed() -> None:
    reading = read(after(10.0, decodes=1100.0))
    assert reading.seconds_per_output_token is None
    assert reading.seconds_per_prompt_token is None


def test_what_llama_cpp_does_not_count_is_not_zero() -> None:
    reading = read(after(10.0))
    assert (reading.slots, reading.requests_per_second, reading.tokens_per_completion) == (None, None, None)


def test_the_window_is_as_long_as_the_pod_was_seen() -> None:
    assert read(after(7.5)).window_seconds == 7.5


def test_after_a_restart_the_tokens_since_it_count() -> None:
    fresh = dict.fromkeys(AT_WORK, 0.0) | {"decodes": 40.0, "busy_slots_per_decode": 2.5}
    window = Window((Scrape(0.0, AT_WORK), Scrape(10.0, fresh)))
    assert read(window).generated_tokens_per_second == 10.0


def test_the_rounding_of_a_long_lived_server_is_no_restart() -> None:
    """After 1.2 million decodes six printed digits let the product fall although tokens were generated."""
    before = AT_WORK | {"decodes": 1.23457e6, "busy_slots_per_decode": 3.99998}
    then = AT_WORK | {"decodes": 1.23457e6, "busy_slots_per_decode": 3.99997}
    assert read(Window((Scrape(0.0, before), Scrape(15.0, then)))).generated_tokens_per_second == 0.0


def test_a_scrape_that_lacks_a_signal_is_passed_over() -> None:
    partial = {name: value for name, value in AT_WORK.items() if name != "busy_slots_per_decode"}
    window = Window((Scrape(0.0, AT_WORK), Scrape(5.0, partial), Scrape(10.0, AT_WORK | {"decodes": 1100.0})))
    assert read(window).generated_tokens_per_second == 20.0


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(SIGNALS, FINITE)), max_size=5))
def test_no_values_make_reading_fail(values: list[dict[str, float]]) -> None:
    reading = LlamaCpp().read(Window(tuple(Scrape(float(at), seen) for at, seen in enumerate(values))))
    assert (reading is None) == (len(values) < 2)
    assert reading is None or not reading.generated_tokens_per_second < 0
