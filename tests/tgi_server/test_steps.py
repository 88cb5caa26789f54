import random

from e2e.tgi.steps import Step, Steps
from hypothesis import given
from hypothesis import strategies as st


def run(tokens: list[tuple[str, float, bool]]) -> list[Step]:
    recorded: list[Step] = []
    steps = Steps(recorded.append)
    for stream, seconds, is_first in tokens:
        steps.add(stream, seconds, is_first=is_first)
    for stream in {stream for stream, _, _ in tokens}:
        steps.remove(stream)
    return recorded


def seconds(steps: list[Step]) -> list[tuple[str, float]]:
    return [(step.method, step.seconds) for step in steps]


def test_a_stream_alone_is_a_prefill_and_a_step_for_every_further_token() -> None:
    assert seconds(run([("a", 0.5, True), ("a", 0.1, False), ("a", 0.2, False)])) == [
        ("prefill", 0.5),
        ("decode", 0.1),
        ("decode", 0.2),
    ]


def test_a_prompt_that_is_worked_on_beside_a_running_stream_is_one_step() -> None:
    tokens = [("a", 0.5, True), ("a", 0.1, False), ("a", 0.4, False), ("b", 0.4, True), ("a", 0.1, False)]
    steps = run([*tokens, ("b", 0.1, False)])
    assert seconds(steps) == [("prefill", 0.5), ("decode", 0.1), ("prefill", 0.4), ("decode", 0.1)]
    assert steps[2].decodes == [0.4]


def test_a_new_stream_that_is_heard_of_first_does_not_make_its_prefill_count_twice() -> None:
    begin = [("a", 0.5, True), ("a", 0.1, False)]
    steps = run([*begin, ("b", 0.4, True), ("a", 0.4, False), ("b", 0.1, False), ("a", 0.1, False)])
    assert [entry for entry in seconds(steps) if entry[1] == 0.4] == [("prefill", 0.4)]


def test_a_step_is_given_away_once_every_running_stream_has_told_of_it() -> None:
    recorded: list[Step] = []
    steps = Steps(recorded.append)
    for stream in ("a", "b"):
        steps.add(stream, 0.5, is_first=True)
    assert recorded == []
    steps.add("a", 0.1, is_first=False)
    assert recorded == []
    steps.add("b", 0.1, is_first=False)
    assert seconds(recorded) == [("prefill", 0.5)]


def test_streams_after_a_pause_begin_anew() -> None:
    recorded: list[Step] = []
    steps = Steps(recorded.append)
    for stream in ("a", "b"):
        steps.add(stream, 0.5, is_first=True)
        steps.remove(stream)
    assert seconds(recorded) == [("prefill", 0.5), ("prefill", 0.5)]


@given(st.integers(1, 6), st.integers(1, 30), st.randoms(use_true_random=False))
def test_lateness_changes_neither_the_number_of_steps_nor_their_seconds(
    streams: int, tokens: int, randomness: random.Random
) -> None:
    """Streams that run together, each heard of in its own order but at any time."""
    ahead = dict.fromkeys(range(streams), 0)
    told: list[tuple[str, float, bool]] = [(str(stream), 1.0, True) for stream in ahead]
    while any(count < tokens for count in ahead.values()):
        stream = randomness.choice([stream for stream, count in ahead.items() if count < tokens])
        ahead[stream] += 1
        told.append((str(stream), float(1 + ahead[stream]), False))
    decodes = [("decode", float(1 + step)) for step in range(1, tokens + 1)]
    assert sorted(seconds(run(told))) == sorted([("prefill", 1.0), *decodes])
