"""The samples that a real Prometheus gives of pods whose speed is known."""

from collections.abc import Mapping
from typing import Any

import pytest

from tokenpace.api.variant import EngineType
from tokenpace.planning.observation import Idle, Live, Missing, Reading, Sample, Stale
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.samples import MetricsAnswer, sample_of
from tokenpace.prometheus.settings import PrometheusSettings

pytestmark = pytest.mark.prometheus

NOW = 1_767_225_600.0
LLAMA_CPP = frozenset({EngineType.LLAMA_CPP})


async def ask(url: str, **settings: Any) -> MetricsAnswer:
    prometheus = Prometheus(PrometheusSettings(url=url, **settings))
    try:
        return await prometheus.sample(LLAMA_CPP, NOW)
    finally:
        await prometheus.close()


@pytest.fixture
async def samples(prometheus_url: str) -> Mapping[tuple[str, str], Sample]:
    answer = await ask(prometheus_url)
    assert answer.problem is None
    return answer.samples


def reading(samples: Mapping[tuple[str, str], Sample], pod: str) -> Reading:
    sample = sample_of(samples, "team", pod)
    assert isinstance(sample, Live), sample
    return sample.reading


def test_a_steady_pod_is_read_as_it_works(samples: Mapping[tuple[str, str], Sample]) -> None:
    steady = reading(samples, "steady")
    assert steady.generated_tokens_per_second == pytest.approx(40)
    assert steady.prompt_tokens_per_second == pytest.approx(100)
    assert steady.running_streams == pytest.approx(4)
    assert steady.waiting_requests == 3
    assert steady.seconds_per_prompt_token == pytest.approx(0.002)
    assert steady.seconds_per_output_token == pytest.approx(0.1)


def test_a_pod_without_work_is_idle(samples: Mapping[tuple[str, str], Sample]) -> None:
    assert isinstance(sample_of(samples, "team", "idle"), Idle)


def test_a_pod_half_a_window_old_is_not_taken_for_half_as_fast(samples: Mapping[tuple[str, str], Sample]) -> None:
    young = reading(samples, "young")
    assert young.generated_tokens_per_second == pytest.approx(40)
    assert young.window_seconds == 25


def test_a_pod_that_was_scraped_once_is_missing_because_nothing_has_a_rate(
    samples: Mapping[tuple[str, str], Sample],
) -> None:
    assert isinstance(sample_of(samples, "team", "newborn"), Missing)


def test_failed_scrapes_in_between_change_no_rate(samples: Mapping[tuple[str, str], Sample]) -> None:
    assert reading(samples, "unseen-for-a-while").generated_tokens_per_second == pytest.approx(40)


def test_a_restart_loses_only_what_was_between_the_last_scrape_and_it(
    samples: Mapping[tuple[str, str], Sample],
) -> None:
    """The counters stood at NOW-35 and began again at NOW-32: three of 55 seconds."""
    assert reading(samples, "restarted").generated_tokens_per_second == pytest.approx(40 * 52 / 55)


def test_two_jobs_that_scrape_one_pod_do_not_double_it(samples: Mapping[tuple[str, str], Sample]) -> None:
    twice = reading(samples, "scraped-twice")
    assert twice.generated_tokens_per_second == pytest.approx(40)
    assert twice.running_streams == pytest.approx(4)


def test_values_that_are_no_numbers_are_passed_over(samples: Mapping[tuple[str, str], Sample]) -> None:
    assert reading(samples, "broken-values").generated_tokens_per_second == pytest.approx(40)


def test_a_pod_that_was_not_scraped_lately_is_stale_with_its_age(samples: Mapping[tuple[str, str], Sample]) -> None:
    assert sample_of(samples, "team", "stale") == Stale(50)


@pytest.mark.parametrize("pod", ["gone", "never-there"])
def test_a_pod_without_series_is_missing_and_not_idle(samples: Mapping[tuple[str, str], Sample], pod: str) -> None:
    assert sample_of(samples, "team", pod) == Missing()


def test_series_without_a_pods_name_are_left_out(samples: Mapping[tuple[str, str], Sample]) -> None:
    assert all(pod for _, pod in samples)


async def test_an_extra_matcher_leaves_out_other_clusters(prometheus_url: str) -> None:
    answer = await ask(prometheus_url, extra_matchers={"cluster": 'us "2"'})
    assert answer.problem is None
    assert answer.samples.keys() == {("team", "elsewhere")}


@pytest.mark.parametrize("value", ['"} or vector(1) or up{a="', "\\", "\n", "${pod}", "'", "}[1y]"])
async def test_no_value_of_a_matcher_can_change_the_query(prometheus_url: str, value: str) -> None:
    answer = await ask(prometheus_url, extra_matchers={"cluster": value})
    assert (answer.problem, answer.samples) == (None, {})


async def test_the_labels_of_namespace_and_pod_are_settings(prometheus_url: str) -> None:
    answer = await ask(prometheus_url, namespace_label="kubernetes_namespace", pod_label="kubernetes_pod")
    assert answer.samples.keys() == {("other", "renamed")}


async def test_without_a_given_moment_prometheus_own_clock_is_used(prometheus_url: str) -> None:
    """It says today, and the samples are older."""
    prometheus = Prometheus(PrometheusSettings(url=prometheus_url))
    answer = await prometheus.sample(LLAMA_CPP)
    await prometheus.close()
    assert (answer.problem, answer.samples) == (None, {})


async def test_the_servers_own_error_is_passed_on(prometheus_url: str) -> None:
    answer = await ask(prometheus_url + "/nowhere")
    assert answer.problem == f"Prometheus at {prometheus_url}/nowhere answered HTTP 404"
