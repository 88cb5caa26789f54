"""Reading answers, without any server."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import EngineType, Variant
from tokenpace.engines.engine import FieldProblem, Launch, Signal
from tokenpace.engines.window import Window
from tokenpace.planning.observation import Idle, Live, Missing, Reading, Stale
from tokenpace.prometheus.connection import MALFORMED
from tokenpace.prometheus.queries import window_query
from tokenpace.prometheus.samples import MetricsAnswer, read_samples, read_series, sample_of
from tokenpace.prometheus.settings import PrometheusSettings

SETTINGS = PrometheusSettings(window_seconds=60, stale_after_seconds=45)


class StandInEngine:
    """An engine with a label in its signals and several series for each, as SGLang and vLLM have them."""

    type = EngineType.CUSTOM
    port = 0
    drain_seconds = 0
    signals: Mapping[str, Signal] = {
        "tokens": Signal("engine:tokens_total", {"mode": "decode"}),
        "running": Signal("engine:running"),
    }

    def default_image(self, variant: Variant) -> str:
        raise NotImplementedError

    def problems(self, spec: LLMDeploymentSpec, variant: Variant) -> tuple[FieldProblem, ...]:
        raise NotImplementedError

    def pod_template(self, launch: Launch) -> dict[str, Any]:
        raise NotImplementedError

    def read(self, window: Window) -> Reading | None:
        window = window.complete({"tokens"})
        if window.seconds <= 0:
            return None
        tokens = sum(after["tokens"] - before["tokens"] for before, after in window.steps({"tokens"}))
        return Reading(
            window_seconds=window.seconds,
            generated_tokens_per_second=tokens / window.seconds,
            prompt_tokens_per_second=0.0,
            running_streams=window.mean("running") or 0.0,
            waiting_requests=0.0,
        )


def series(*values: tuple[float, object], **labels: str) -> dict[str, Any]:
    target = {"namespace": "team", "pod": "chat", "job": "pods", "instance": "a"}
    return {"metric": {**target, **labels}, "values": [list(value) for value in values]}


def read(tokens: list[dict[str, Any]], running: list[dict[str, Any]] | None = None, at: float = 100.0) -> Any:
    answered = {"tokens": read_series(tokens, SETTINGS), "running": read_series(running or [], SETTINGS)}
    return sample_of(read_samples(answered, StandInEngine(), at, SETTINGS), "team", "chat")


def test_series_of_one_scrape_are_added_up_over_other_labels() -> None:
    sample = read([series((80, "0"), (90, "20"), rank="0"), series((80, "0"), (90, "30"), rank="1")])
    assert sample.reading.generated_tokens_per_second == 5.0


def test_of_two_jobs_the_one_with_more_scrapes_is_taken() -> None:
    fuller = series((70, "0"), (80, "10"), (90, "20"), job="one")
    assert read([fuller, series((75, "5"), (95, "25"), job="two")]).reading.window_seconds == 20


def test_of_two_jobs_with_as_many_scrapes_the_newer_is_taken() -> None:
    sample = read([series((50, "0"), (60, "0"), job="one"), series((80, "0"), (90, "20"), job="two")])
    assert sample.reading.generated_tokens_per_second == 2.0


def test_a_scrape_that_was_stored_between_two_queries_is_whole_next_time() -> None:
    """The newest scrape is there for tokens and not yet for streams: both mean the same two scrapes before it."""
    sample = read([series((80, "0"), (90, "20"))], [series((80, "3"), (90, "5"), (95, "9"))])
    assert sample.reading.window_seconds == 10


@pytest.mark.parametrize(
    ("running", "kind"), [("1", Live), ("0", Idle)], ids=["a-stream-without-tokens-is-work", "nothing-to-do-is-idle"]
)
def test_idle_is_told_from_working(running: str, kind: type) -> None:
    assert isinstance(read([series((80, "5"), (90, "5"))], [series((80, running), (90, running))]), kind)


@pytest.mark.parametrize(("age", "kind"), [(45.0, Live), (45.5, Stale)])
def test_a_pod_is_stale_after_the_setting(age: float, kind: type) -> None:
    assert isinstance(read([series((80, "0"), (90, "20"))], at=90 + age), kind)


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf", "", "ten", "1e999"])
def test_a_value_that_is_no_number_is_passed_over(text: str) -> None:
    assert read([series((70, "0"), (80, text), (90, "20"))]).reading.generated_tokens_per_second == 1.0


def test_a_reading_beyond_all_numbers_is_none() -> None:
    assert read([series((80, "1e308"), (90, "1.7e308"))], [series((80, "1.7e308"), (90, "1.7e308"))]) == Missing()


def test_problems_of_several_engines_are_one_sentence_and_each_said_once() -> None:
    problems = {EngineType.TGI: "a", EngineType.VLLM: "a", EngineType.CUSTOM: "b"}
    assert MetricsAnswer(samples={}, problems=problems).problem == "a; b"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
SERIES = st.fixed_dictionaries(
    {
        "metric": st.one_of(
            JSON,
            st.fixed_dictionaries(
                {
                    "namespace": st.one_of(st.just("team"), JSON),
                    "pod": st.one_of(st.just("chat"), JSON),
                }
            ),
        ),
        "values": st.one_of(JSON, st.lists(st.tuples(st.floats(0, 100), st.floats().map(str)), max_size=5)),
    }
)


@given(st.one_of(JSON, st.lists(SERIES, max_size=4)))
def test_every_answer_is_read_or_refused_as_malformed(result: Any) -> None:
    try:
        answered = read_series(result, SETTINGS)
    except MALFORMED:
        return
    samples = read_samples({"tokens": answered, "running": {}}, StandInEngine(), 100.0, SETTINGS)
    assert all(isinstance(sample, Live | Idle | Stale) for sample in samples.values())


def test_a_query_asks_for_one_signal_of_every_named_pod() -> None:
    settings = PrometheusSettings(window_seconds=90, namespace_label="ns", extra_matchers={"cluster": 'a"b'})
    assert window_query(StandInEngine.signals["tokens"], settings) == (
        'engine:tokens_total{ns!="",pod!="",mode="decode",cluster="a\\"b"}[90s]'
    )
