from hypothesis import given
from hypothesis import strategies as st

from tokenpace.engines.window import Scrape, Window

INCREMENTS = st.lists(st.integers(0, 1000), min_size=1, max_size=10)


def window_of(*values: dict[str, float]) -> Window:
    return Window(tuple(Scrape(15.0 * index, seen) for index, seen in enumerate(values)))


def increase(window: Window, signal: str) -> float:
    return sum(after[signal] - before[signal] for before, after in window.steps({"tokens", "requests"}))


@given(INCREMENTS)
def test_a_counter_increases_by_what_was_counted(increments: list[int]) -> None:
    totals = [100.0 + sum(increments[:end]) for end in range(len(increments) + 1)]
    assert increase(window_of(*({"tokens": total} for total in totals)), "tokens") == sum(increments)


@given(INCREMENTS, INCREMENTS)
def test_after_a_restart_the_part_since_it_counts(before: list[int], after: list[int]) -> None:
    totals = [1e6 + sum(before[:end]) for end in range(len(before) + 1)]
    restarted = [float(sum(after[: end + 1])) for end in range(len(after))]
    window = window_of(*({"tokens": total} for total in (*totals, *restarted)))
    assert increase(window, "tokens") == sum(before) + sum(after)


def test_a_fall_of_one_counter_restarts_all_of_them() -> None:
    window = window_of({"tokens": 50.0, "requests": 9.0}, {"tokens": 70.0, "requests": 1.0})
    assert increase(window, "tokens") == 70.0


def test_a_fall_of_a_gauge_is_no_restart() -> None:
    window = window_of({"tokens": 50.0, "running": 9.0}, {"tokens": 70.0, "running": 1.0})
    assert increase(window, "tokens") == 20.0


def test_a_young_pod_has_a_short_span() -> None:
    assert window_of({"tokens": 0.0}, {"tokens": 300.0}).seconds == 15.0


def test_one_scrape_has_no_span() -> None:
    assert window_of({"tokens": 5.0}).seconds == 0.0


def test_a_gauge_is_averaged_over_the_scrapes_that_saw_it() -> None:
    window = window_of({"running": 2.0}, {}, {"running": 4.0})
    assert window.mean("running") == 3.0


def test_the_newest_value_of_a_gauge_is_that_of_the_last_scrape_that_saw_it() -> None:
    assert window_of({"waiting": 2.0}, {"waiting": 5.0}, {}).last("waiting") == 5.0


def test_a_gauge_that_was_never_seen_is_not_zero() -> None:
    assert window_of({}).mean("running") is None
    assert window_of({}).last("running") is None


def test_only_whole_scrapes_are_complete() -> None:
    window = window_of({"tokens": 1.0}, {"tokens": 2.0, "running": 1.0})
    assert window.complete({"tokens", "running"}).scrapes == window.scrapes[1:]


def test_what_is_exported_from_its_first_use_on_was_zero_before() -> None:
    window = window_of({"requests": 1.0}, {"requests": 2.0, "tokens": 7.0}).from_first_use({"requests", "tokens"})
    assert increase(window, "tokens") == 7.0


def test_a_scrape_without_any_of_the_signals_says_nothing() -> None:
    window = window_of({"other": 1.0}, {"tokens": 5.0})
    assert window.from_first_use({"tokens"}).scrapes == window.scrapes[1:]


def test_the_newest_scrape_is_left_out_while_it_lacks_signals_of_the_one_before() -> None:
    whole, part = {"requests": 1.0, "tokens": 5.0}, {"requests": 2.0}
    assert window_of(whole, part).from_first_use({"requests", "tokens"}).scrapes == window_of(whole).scrapes
    assert len(window_of(whole, part, part).from_first_use({"requests", "tokens"}).scrapes) == 3


def test_a_signal_that_comes_with_the_newest_scrape_does_not_make_up_for_one_that_it_lacks() -> None:
    whole, other = {"requests": 9.0, "tokens": 5.0}, {"requests": 9.0, "chunkings": 1.0}
    signals = {"requests", "tokens", "chunkings"}
    assert len(window_of(whole, other).from_first_use(signals).scrapes) == 1


@given(st.lists(st.fixed_dictionaries({"tokens": st.floats(0, 1e300), "requests": st.floats(0, 1e300)}), max_size=6))
def test_no_counter_ever_decreases(values: list[dict[str, float]]) -> None:
    assert increase(window_of(*values), "tokens") >= 0


def test_what_no_scrape_saw_is_unseen_only_of_a_server_that_has_worked() -> None:
    unused = Window((Scrape(0.0, {"tokens": 0.0}), Scrape(1.0, {"tokens": 0.0})))
    used = Window((Scrape(0.0, {"tokens": 0.0}), Scrape(1.0, {"tokens": 3.0, "running": 1.0})))
    assert unused.unseen({"running", "waiting"}, used=("tokens",)) == frozenset()
    assert used.unseen({"running", "waiting"}, used=("tokens",)) == {"waiting"}
