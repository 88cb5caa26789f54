"""What is peculiar to one engine, scraped over HTTP by a real Prometheus; what holds for all is in test_contracts."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from tests.prometheus.growing_servers import EXPOSITIONS, Server, StartPrometheus, scraped

from tokenpace.api.variant import EngineType
from tokenpace.planning.observation import Idle, Live, Reading, Sample
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.samples import sample_of
from tokenpace.prometheus.settings import PrometheusSettings

pytestmark = pytest.mark.prometheus

TGI: Final = (EXPOSITIONS / "tgi-3.3.6-router-v3.txt").read_text()
TGI_LLAMA_CPP: Final = (EXPOSITIONS / "tgi-3.3.6-llamacpp-backend.txt").read_text()
VLLM: Final = (EXPOSITIONS / "vllm-0.33.0-simulated.txt").read_text()
OLD_VLLM: Final = re.sub(
    r"vllm:prompt_tokens_by_source_total\{.*\n",
    "",
    VLLM.replace("inter_token_latency_seconds", "time_per_output_token_seconds"),
)

SEEN_SECONDS: Final = 3.0
"""How long each server is watched before it is asked about."""

TGI_RATES: Final = {
    "tgi_request_skipped_tokens_count": 120.0,
    "tgi_request_skipped_tokens_sum": 30.0,
    "tgi_request_input_length_count": 2.0,
    "tgi_request_input_length_sum": 600.0,
    "tgi_request_generated_tokens_count": 0.5,
    "tgi_request_generated_tokens_sum": 100.0,
    "tgi_request_inference_duration_sum": 3.03,
    'tgi_batch_inference_duration_count{method="prefill"}': 2.0,
    'tgi_batch_inference_duration_sum{method="prefill"}': 0.2,
    'tgi_batch_inference_duration_count{method="decode"}': 30.0,
    'tgi_batch_inference_duration_sum{method="decode"}': 0.6,
}
TGI_GAUGES: Final = {"tgi_batch_current_size": 4.0, "tgi_queue_size": 5.0}
VLLM_RATES: Final = {
    "vllm:generation_tokens_total": 150.0,
    "vllm:prompt_tokens_total": 600.0,
    "vllm:prompt_tokens_by_source_total": 400.0,
    "vllm:time_to_first_token_seconds_count": 2.0,
    "vllm:request_generation_tokens_count": 0.5,
    "vllm:request_generation_tokens_sum": 100.0,
    "vllm:inter_token_latency_seconds_sum": 3.7,
    "vllm:time_per_output_token_seconds_sum": 3.7,
}
VLLM_GAUGES: Final = {"vllm:num_requests_running": 4.0, "vllm:num_requests_waiting": 5.0}


SERVERS: Final = (
    Server(name="tgi", text=TGI, rates=TGI_RATES, gauges=TGI_GAUGES),
    Server(name="tgi-chunking", text=TGI + 'tgi_batch_concat{reason="chunking"} 7\n', rates=TGI_RATES),
    Server(name="tgi-unused", text=TGI, silent_seconds=3600.0),
    Server(name="tgi-first-used", text=TGI, rates=TGI_RATES, gauges=TGI_GAUGES, silent_seconds=1.0),
    Server(name="tgi-before-its-first-token", text="tgi_request_input_length_count 1\ntgi_queue_size 1\n"),
    Server(name="tgi-restarted", text=TGI, rates=TGI_RATES, gauges=TGI_GAUGES, restart_seconds=1.5),
    Server(
        name="tgi-llama-cpp",
        text=TGI_LLAMA_CPP,
        rates={
            "tgi_request_generated_tokens_sum": 90.0,
            "tgi_request_generated_tokens_count": 0.5,
            "tgi_request_input_length_count": 0.6,
            "tgi_request_input_length_sum": 60.0,
            "tgi_request_inference_duration_sum": 3.0,
            "tgi_request_queue_duration_sum": 1.5,
        },
    ),
    Server(name="vllm", text=VLLM, rates=VLLM_RATES, gauges=VLLM_GAUGES),
    Server(name="vllm-before-0-11", text=OLD_VLLM, rates=VLLM_RATES, gauges=VLLM_GAUGES),
    Server(
        name="vllm-of-two-engines",
        text=VLLM + VLLM.replace('engine="0"', 'engine="1"'),
        rates=VLLM_RATES,
        gauges=VLLM_GAUGES,
    ),
    Server(name="vllm-restarted", text=VLLM, rates=VLLM_RATES, gauges=VLLM_GAUGES, restart_seconds=1.5),
    Server(name="vllm-unused", text=VLLM),
)


@pytest.fixture(scope="module")
def scraped_url(tmp_path_factory: pytest.TempPathFactory, start_prometheus: StartPrometheus) -> Iterator[str]:
    """A real Prometheus that scrapes every one of `SERVERS`."""
    with scraped(SERVERS, start_prometheus, tmp_path_factory.mktemp("scraping"), "250ms") as url:
        yield url


@pytest.fixture(scope="module")
def samples(scraped_url: str) -> Mapping[str, Sample]:
    """What is known of each server once all of them have been seen for long enough."""
    return asyncio.run(_watched(scraped_url))


async def _watched(url: str) -> Mapping[str, Sample]:
    prometheus = Prometheus(PrometheusSettings(url=url))
    try:
        while True:
            answer = await prometheus.sample(frozenset({EngineType.TGI, EngineType.VLLM}))
            found = {server.name: sample_of(answer.samples, "team", server.name) for server in SERVERS}
            if not answer.problems and all(_seen_long_enough(sample) for sample in found.values()):
                return found
            await asyncio.sleep(0.1)
    finally:
        await prometheus.close()


def _seen_long_enough(sample: Sample) -> bool:
    return isinstance(sample, (Live, Idle)) and sample.reading.window_seconds >= SEEN_SECONDS


def live(sample: Sample) -> Reading:
    assert isinstance(sample, Live), sample
    return sample.reading


@pytest.mark.parametrize("pod", ["tgi", "tgi-first-used"])
def test_text_generation_inference_is_read_as_it_works(samples: Mapping[str, Sample], pod: str) -> None:
    reading = live(samples[pod])
    assert reading.generated_tokens_per_second == pytest.approx(150, rel=0.01)
    assert reading.prompt_tokens_per_second == pytest.approx(600, rel=0.01)
    assert reading.requests_per_second == pytest.approx(2, rel=0.01)
    assert reading.tokens_per_completion == pytest.approx(200, rel=0.01)
    assert reading.running_streams == pytest.approx(4.2, rel=0.01)
    assert reading.waiting_requests == 5


def test_its_prices_are_those_of_its_prefills_and_of_the_requests_that_ended(samples: Mapping[str, Sample]) -> None:
    """Every two seconds a request of 200 tokens ends after 6.06 s; its prefill took 0.1 s and brought the first."""
    reading = live(samples["tgi"])
    assert reading.seconds_per_prompt_token == pytest.approx(0.2 / 600, rel=0.01)
    assert reading.seconds_per_output_token == pytest.approx(5.96 / 199, rel=0.01)


def test_a_step_that_prefills_in_chunks_generates_as_well(samples: Mapping[str, Sample]) -> None:
    """Each of the two prefills a second holds a step of 20 ms: 160 ms remain as the price of the prompts."""
    assert live(samples["tgi-chunking"]).seconds_per_prompt_token == pytest.approx(0.16 / 600, rel=0.01)


def test_a_server_that_was_never_used_is_idle_although_it_exports_nothing(samples: Mapping[str, Sample]) -> None:
    assert isinstance(samples["tgi-unused"], Idle)


def test_what_was_not_used_yet_is_no_error_beside_what_was(samples: Mapping[str, Sample]) -> None:
    reading = live(samples["tgi-before-its-first-token"])
    assert (reading.generated_tokens_per_second, reading.waiting_requests) == (0, 1)
    assert (reading.seconds_per_output_token, reading.tokens_per_completion) == (None, None)


@pytest.mark.parametrize("pod", ["tgi-restarted", "vllm-restarted"])
def test_a_restart_loses_no_more_than_was_between_two_scrapes(samples: Mapping[str, Sample], pod: str) -> None:
    reading = live(samples[pod])
    assert 150 * (1 - 1 / reading.window_seconds) <= reading.generated_tokens_per_second <= 151


def test_the_llama_cpp_backend_is_read_from_the_requests_that_ended(samples: Mapping[str, Sample]) -> None:
    reading = live(samples["tgi-llama-cpp"])
    assert reading.generated_tokens_per_second == pytest.approx(90, rel=0.01)
    assert reading.running_streams == pytest.approx(3, rel=0.01)
    assert reading.waiting_requests == pytest.approx(1.5, rel=0.01)
    assert reading.requests_per_second == pytest.approx(0.6, rel=0.01)
    assert reading.seconds_per_output_token == pytest.approx(3 / 90, rel=0.01)
    assert reading.seconds_per_prompt_token is None


@pytest.mark.parametrize(
    ("pod", "engines", "prompt_tokens_per_second"),
    [("vllm", 1, 400), ("vllm-before-0-11", 1, 600), ("vllm-of-two-engines", 2, 800)],
)
def test_vllm_is_read_as_it_works(
    samples: Mapping[str, Sample], pod: str, engines: int, prompt_tokens_per_second: float
) -> None:
    """Prompt tokens are those computed; before they were told apart, all of them."""
    reading = live(samples[pod])
    assert reading.generated_tokens_per_second == pytest.approx(150 * engines, rel=0.01)
    assert reading.prompt_tokens_per_second == pytest.approx(prompt_tokens_per_second, rel=0.01)
    assert reading.requests_per_second == pytest.approx(2 * engines, rel=0.01)
    assert reading.tokens_per_completion == pytest.approx(200, rel=0.01)
    assert (reading.running_streams, reading.waiting_requests) == (4 * engines, 5 * engines)
    assert reading.seconds_per_output_token == pytest.approx(3.7 / 148, rel=0.01)


def test_vllm_exports_all_it_has_from_its_start_on(samples: Mapping[str, Sample]) -> None:
    assert isinstance(samples["vllm-unused"], Idle)
