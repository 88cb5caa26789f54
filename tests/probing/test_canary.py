"""A canary tells a pod that generates from one that cannot, and says nothing where nothing was learned."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from aiohttp import web
from huggingface_hub import set_client_factory
from huggingface_hub.utils import _detect_agent
from huggingface_hub.utils._http import default_client_factory

from tokenpace.engines.engine import GenerationApi
from tokenpace.probing import connection
from tokenpace.probing.canary import try_generation
from tokenpace.probing.outcome import Failed, Passed, Slow, Unknown
from tokenpace.probing.question import Question

from .conftest import Server, event


async def test_a_pod_that_generates_passes(question: Question) -> None:
    outcome = await try_generation(question)
    assert isinstance(outcome, Passed)
    assert outcome.tokens == 8
    assert outcome.seconds_to_first_token > 0


async def test_the_speed_is_that_from_the_first_token_to_the_last(question: Question) -> None:
    moments = iter([100.0, 103.0, *(103.0 + 0.5 * token for token in range(1, 8))])
    outcome = await try_generation(question, monotonic=lambda: next(moments))
    assert outcome == Passed(seconds_to_first_token=3.0, tokens=8, tokens_per_second=2.0)


async def test_a_model_that_stops_early_by_itself_passes(server: Server, question: Question) -> None:
    server.reply = server.generation(tokens=3, reason="stop")
    assert isinstance(await try_generation(question), Passed)


@pytest.mark.parametrize("reason", [None, "abort"])
async def test_a_stream_that_ends_early_for_no_good_reason_fails(
    server: Server, question: Question, reason: str | None
) -> None:
    server.reply = server.generation(tokens=3, reason=reason)
    outcome = await try_generation(question)
    assert outcome == Failed(f"ended after 3 of 8 tokens ({reason or 'no reason given'})")


async def test_a_stream_without_a_token_fails(server: Server, question: Question) -> None:
    server.reply = server.generation(tokens=0)
    assert isinstance(await try_generation(question), Failed)


@pytest.mark.parametrize("status", [400, 404, 422, 424, 500])
async def test_an_error_of_the_model_fails_in_the_servers_words(
    server: Server, question: Question, status: int
) -> None:
    server.status, server.text = status, '{"error": "CUDA error: no kernel image"}'
    outcome = await try_generation(question)
    assert isinstance(outcome, Failed)
    assert f"HTTP {status}" in outcome.message
    assert "no kernel image" in outcome.message


async def test_a_server_that_sends_elsewhere_fails(server: Server, question: Question) -> None:
    server.status = 302
    assert isinstance(await try_generation(question), Failed)


@pytest.mark.parametrize("status", [401, 403, 408, 429, 502, 503, 504])
async def test_a_server_that_wants_a_key_or_more_time_shows_nothing(
    server: Server, question: Question, status: int
) -> None:
    server.status, server.text = status, '{"error": "not now"}'
    assert isinstance(await try_generation(question), Unknown)


async def test_an_error_in_the_middle_of_the_stream_fails_in_the_servers_words(
    server: Server, question: Question
) -> None:
    async def break_down(response: web.StreamResponse) -> None:
        await response.write(event(server.token(1, None)))
        await response.write(event({"error": "out of memory", "error_type": "generation"}))

    server.reply = break_down
    outcome = await try_generation(question)
    assert isinstance(outcome, Failed)
    assert "out of memory" in outcome.message


async def test_an_engine_that_dies_while_it_generates_fails(server: Server, question: Question) -> None:
    async def die(response: web.StreamResponse) -> None:
        await response.write(event(server.token(1, None)))
        assert response._req is not None
        assert response._req.transport is not None
        response._req.transport.abort()

    server.reply = die
    assert isinstance(await try_generation(question), Failed)


@pytest.mark.parametrize("body", [[1], "text", {"choices": 5, "token": 5}, {"choices": [{}], "token": {}}])
async def test_an_answer_in_another_form_fails(server: Server, question: Question, body: Any) -> None:
    async def speak_otherwise(response: web.StreamResponse) -> None:
        await response.write(event(body))

    server.reply = speak_otherwise
    assert isinstance(await try_generation(question), Failed)


async def test_a_pod_that_sends_without_end_is_read_only_so_far(server: Server, question: Question) -> None:
    sent = 0

    async def flood(response: web.StreamResponse) -> None:
        nonlocal sent
        while True:
            await response.write(b"x" * 65_536)
            sent += 65_536

    server.reply = flood
    assert isinstance(await try_generation(question), Failed)
    assert sent < 100 * connection.MOST_BYTES


async def test_a_pod_that_accepts_and_stays_silent_is_slow(server: Server, question: Question) -> None:
    async def say_nothing(_: web.StreamResponse) -> None:
        await asyncio.Event().wait()

    server.reply = say_nothing
    assert isinstance(await try_generation(question, longest_seconds=0.2), Slow)


async def test_a_stream_slower_than_the_least_is_slow(question: Question) -> None:
    moments = iter([100.0, 103.0, *(103.0 + 5.0 * token for token in range(1, 8))])
    outcome = await try_generation(replace(question, least_tokens_per_second=0.5), monotonic=lambda: next(moments))
    assert outcome == Slow("generated 0.2 tokens/s, less than 0.5")


async def test_tokens_that_come_all_at_once_have_no_speed_and_are_not_slow(question: Question) -> None:
    outcome = await try_generation(replace(question, least_tokens_per_second=1e9), monotonic=lambda: 100.0)
    assert outcome == Passed(seconds_to_first_token=0.0, tokens=8, tokens_per_second=None)


async def test_an_address_where_nobody_listens_shows_nothing(question: Question) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert isinstance(await try_generation(replace(question, url=f"http://127.0.0.1:{port}")), Unknown)


@pytest.fixture
def unreachable_url() -> Iterator[str]:
    """A port that answers no attempt to connect: its queue of connections is full."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


async def test_an_address_that_does_not_answer_shows_nothing(
    question: Question, unreachable_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.TIMEOUT, "connect", 0.2)
    assert isinstance(await try_generation(replace(question, url=unreachable_url)), Unknown)


async def test_a_proxy_that_closes_without_an_answer_shows_nothing(question: Question) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert isinstance(await try_generation(replace(question, url=f"http://127.0.0.1:{port}")), Unknown)


async def test_the_operators_token_and_proxies_are_not_used(
    server: Server, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert isinstance(await try_generation(question), Passed)
    assert "hf_secret" not in str(server.headers)
    assert "Authorization" not in server.headers


async def test_nobody_but_the_server_is_asked(question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub has a client of its own for what it wants to know from huggingface.co, and says nothing of it."""
    asked = []

    def ask_the_hub() -> httpx2.Client:
        asked.append("the hub")
        raise OSError

    monkeypatch.setattr(_detect_agent, "_registry", None)
    set_client_factory(ask_the_hub)
    try:
        assert isinstance(await try_generation(question), Passed)
    finally:
        set_client_factory(default_client_factory)
    assert asked == []


async def test_little_is_asked_for(server: Server, question: Question) -> None:
    await try_generation(question)
    (body,) = server.asked
    parameters = body.get("parameters", {})
    assert body.get("max_tokens", parameters.get("max_new_tokens")) == 8


@pytest.mark.parametrize("server", [GenerationApi.COMPLETIONS], indirect=True)
async def test_a_busy_server_that_puts_tokens_together_is_counted_by_its_own_word(
    server: Server, question: Question
) -> None:
    async def generate(response: web.StreamResponse) -> None:
        await response.write(event({"choices": [{"text": " 10, 11, 12", "finish_reason": "length"}]}))
        await response.write(event({"choices": [], "usage": {"completion_tokens": 8}}))
        await response.write(b"data: [DONE]\n\n")

    server.reply = generate
    outcome = await try_generation(question)
    assert isinstance(outcome, Passed)
    assert outcome.tokens == 8


@pytest.mark.parametrize("server", [GenerationApi.COMPLETIONS], indirect=True)
async def test_the_name_that_clients_use_is_asked_for(server: Server, question: Question) -> None:
    await try_generation(question)
    assert server.asked[0]["model"] == "chat"


@pytest.mark.parametrize("server", [GenerationApi.TEXT_GENERATION], indirect=True)
async def test_a_full_queue_told_in_the_stream_shows_nothing(server: Server, question: Question) -> None:
    async def refuse(response: web.StreamResponse) -> None:
        await response.write(event({"error": "Model is overloaded", "error_type": "overloaded"}))

    server.reply = refuse
    assert isinstance(await try_generation(question), Unknown)


@pytest.mark.filterwarnings("ignore:API endpoint/model")
@pytest.mark.parametrize("server", [GenerationApi.TEXT_GENERATION], indirect=True)
async def test_what_one_server_does_not_know_is_asked_of_the_next_all_the_same(
    server: Server, question: Question
) -> None:
    """huggingface_hub remembers for each address which parameters a server refused."""
    server.status = 400
    server.text = '{"error": "The following `model_kwargs` are not used by the model: [\'details\']"}'
    assert isinstance(await try_generation(replace(question, url=server.url + "/")), Failed)
    server.status = 200
    assert isinstance(await try_generation(question), Passed)


@pytest.mark.parametrize("server", [GenerationApi.TEXT_GENERATION], indirect=True)
async def test_a_server_that_takes_shorter_requests_than_clients_are_told_fails(question: Question) -> None:
    outcome = await try_generation(replace(question, context_tokens=4096))
    assert isinstance(outcome, Failed)
    assert "requests of 512 tokens at most" in outcome.message


@pytest.mark.parametrize("server", [GenerationApi.TEXT_GENERATION], indirect=True)
@pytest.mark.parametrize("info", [None, {}, {"max_total_tokens": "many"}, {"max_total_tokens": 4096}])
async def test_a_server_that_takes_them_or_does_not_say_passes(
    server: Server, question: Question, info: dict[str, Any] | None
) -> None:
    server.info = info
    assert isinstance(await try_generation(replace(question, context_tokens=4096)), Passed)
