import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from asking import ask, events, exposition, generation, live_tokens, scrape, until
from fake_llama_cpp import PROMPT_MS, STEP_MS, FakeLlamaCpp
from prometheus_client.parser import text_string_to_metric_families

Serve = Callable[..., Awaitable[str]]

RECORDED = Path(__file__).parents[1] / "expositions" / "tgi-3.3.6-router-v3.txt"
NOT_IN_THE_RECORDING = {"tgi_request_failure": "counter", "tgi_batch_concat": "counter"}
"""Nothing failed and no prompt came while streams ran in the recorded run; TGI's sources have both as counters."""


async def received(url: str, tokens: int, leave_after: int | None = None) -> int:
    """Tokens that a client received that leaves after some of them."""
    count = 0
    async with aclosing(events(url, "/generate_stream", generation(tokens))) as stream:
        async for event in stream:
            count += "token" in event
            if count == leave_after:
                break
    return count


def families(text: str) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(text)}


def edges(text: str, name: str) -> list[str]:
    marks = [line for line in text.splitlines() if line.startswith(f"{name}_bucket")]
    return [line.partition('le="')[2].partition('"')[0] for line in marks]


async def test_before_the_first_request_there_is_no_series(serve: Serve) -> None:
    assert await exposition(await serve()) == ""


async def test_names_and_types_are_those_of_tgi(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    await asyncio.gather(received(url, 20), received(url, 20))
    llama_cpp.failure = "broken"
    await ask(url, "/generate", generation())
    recorded = families(RECORDED.read_text()) | NOT_IN_THE_RECORDING
    ours = families(await exposition(url))
    assert ours.items() <= recorded.items()
    assert "tgi_request_skipped_tokens" in ours


@pytest.mark.parametrize(
    "name",
    ["tgi_request_duration", "tgi_request_input_length", "tgi_request_generated_tokens", "tgi_request_max_new_tokens"],
)
async def test_buckets_are_those_of_tgi(serve: Serve, name: str) -> None:
    url = await serve("--max-input-tokens", "512", "--max-total-tokens", "1024")  # as in the recorded run
    await received(url, 1)
    assert edges(await exposition(url), name) == edges(RECORDED.read_text(), name)


async def test_live_tokens_are_those_that_clients_received(serve: Serve) -> None:
    url = await serve()
    tokens = sum(await asyncio.gather(*(received(url, count) for count in range(1, 30))))
    samples = await scrape(url)
    assert live_tokens(samples) == tokens == sum(range(1, 30))
    assert samples["tgi_request_generated_tokens_sum"] == tokens
    assert samples["tgi_request_success"] == samples["tgi_request_generated_tokens_count"] == 29


async def test_tokens_of_cut_streams_are_live_tokens_and_never_generated_ones(
    serve: Serve, llama_cpp: FakeLlamaCpp
) -> None:
    url = await serve()
    assert await received(url, 5) == 5
    async with aclosing(events(url, "/generate_stream", generation(500))) as stream:
        for _ in range(3):
            await anext(stream)
        llama_cpp.go.clear()
    samples = await until(url, "tgi_request_failure{err=dropped}", 1)
    assert samples["tgi_request_generated_tokens_sum"] == 5
    assert live_tokens(samples) >= 5 + 3


async def test_a_long_stream_is_counted_while_it_runs(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    async with aclosing(events(url, "/generate_stream", generation(50))) as stream:
        await anext(stream)
        llama_cpp.go.clear()
        samples = await scrape(url)
        assert live_tokens(samples) >= 1
        assert samples["tgi_request_input_length_sum"] == 4
        assert samples["tgi_request_max_new_tokens_sum"] == 50
        assert "tgi_request_generated_tokens_sum" not in samples


async def test_requests_beyond_the_slots_wait_and_are_admitted_already(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    llama_cpp.go.clear()
    requests = [asyncio.create_task(received(url, 5)) for _ in range(5)]
    samples = await until(url, "tgi_queue_size", 5 - llama_cpp.slots)
    assert samples["tgi_request_input_length_count"] == 5
    assert llama_cpp.running <= llama_cpp.slots
    llama_cpp.go.set()
    assert await asyncio.gather(*requests) == [5] * 5
    samples = await scrape(url)
    assert samples["tgi_queue_size"] == samples["tgi_batch_current_size"] == 0
    assert samples["tgi_request_queue_duration_count"] == 5


async def test_a_batch_is_of_the_streams_whose_prompt_is_done(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    async with aclosing(events(url, "/generate_stream", generation(500))) as stream:
        await anext(stream)
        llama_cpp.go.clear()
        in_prefill = asyncio.create_task(received(url, 5))
        await llama_cpp.until_running(2)
        samples = await scrape(url)
        assert samples["tgi_batch_current_size"] == 1
        assert samples["tgi_batch_current_max_tokens"] == 504
    llama_cpp.go.set()
    await in_prefill
    assert (await scrape(url))["tgi_batch_current_max_tokens"] == 0


async def test_steps_have_the_seconds_of_the_engines_clock(serve: Serve) -> None:
    url = await serve()
    await received(url, 11)
    samples = await scrape(url)
    assert samples["tgi_batch_inference_duration_count{method=prefill}"] == 1
    assert samples["tgi_batch_inference_duration_sum{method=prefill}"] == pytest.approx(PROMPT_MS / 1000)
    assert samples["tgi_batch_inference_duration_count{method=decode}"] == 10
    assert samples["tgi_batch_inference_duration_sum{method=decode}"] == pytest.approx(10 * STEP_MS / 1000)


async def test_a_client_that_leaves_the_queue_is_dropped_and_frees_its_place(
    serve: Serve, llama_cpp: FakeLlamaCpp
) -> None:
    url = await serve("--max-concurrent-requests", "3")
    llama_cpp.go.clear()
    running = [asyncio.create_task(received(url, 5)) for _ in range(2)]
    await until(url, "tgi_request_input_length_count", 2)
    waiting = asyncio.create_task(ask(url, "/generate", generation()))
    await until(url, "tgi_queue_size", 1)
    waiting.cancel()
    await until(url, "tgi_request_failure{err=dropped}", 1)
    after = asyncio.create_task(received(url, 5))
    await until(url, "tgi_queue_size", 1)
    llama_cpp.go.set()
    assert await asyncio.gather(*running, after) == [5, 5, 5]
    assert len(llama_cpp.bodies) == 3


@pytest.mark.parametrize(
    ("flags", "body", "label"),
    [(("--max-concurrent-requests", "1"), generation(), "overloaded"), ((), generation(0), "validation")],
)
async def test_a_refusal_is_a_failure_and_no_prompt(
    serve: Serve, llama_cpp: FakeLlamaCpp, flags: tuple[str, ...], body: dict[str, object], label: str
) -> None:
    url = await serve(*flags)
    llama_cpp.go.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(received(url, 5))
        await until(url, "tgi_request_input_length_count", 1)
        await ask(url, "/generate", body)
        samples = await scrape(url)
        llama_cpp.go.set()
    assert samples[f"tgi_request_failure{{err={label}}}"] == 1
    assert samples["tgi_request_input_length_count"] == 1
    assert samples["tgi_request_count"] == 2


@pytest.mark.parametrize(("path", "count"), [("/generate", 1), ("/v1/completions", 2)])
async def test_a_request_to_the_openai_api_counts_twice_as_in_tgi(serve: Serve, path: str, count: int) -> None:
    url = await serve()
    await ask(url, path, {**generation(), "prompt": "once", "max_tokens": 3})
    samples = await scrape(url)
    assert (samples["tgi_request_count"], samples["tgi_request_success"]) == (count, 1)
