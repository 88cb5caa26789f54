import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from asking import ask, events, generation
from fake_llama_cpp import FakeLlamaCpp
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import GenerationError, OverloadedError, ValidationError

Serve = Callable[..., Awaitable[str]]

PROMPT = "once upon a time"
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}


async def test_huggingface_hub_generates_all_tokens_at_once(serve: Serve) -> None:
    client = InferenceClient(await serve())
    text = await asyncio.to_thread(client.text_generation, PROMPT, max_new_tokens=3, return_full_text=False)
    assert text == " 1 2 3"


async def test_huggingface_hub_reads_the_details(serve: Serve) -> None:
    client = InferenceClient(await serve())
    answer = await asyncio.to_thread(client.text_generation, PROMPT, max_new_tokens=3, details=True)
    assert answer.details is not None
    assert [token.text for token in answer.details.tokens] == [" 1", " 2", " 3"]
    assert (answer.details.finish_reason, answer.details.generated_tokens) == ("length", 3)


async def test_huggingface_hub_streams(serve: Serve) -> None:
    async with AsyncInferenceClient(await serve()) as client:
        texts = [text async for text in await client.text_generation(PROMPT, max_new_tokens=3, stream=True)]
    assert texts == [" 1", " 2", " 3"]


async def test_huggingface_hub_streams_with_details(serve: Serve) -> None:
    async with AsyncInferenceClient(await serve()) as client:
        stream = await client.text_generation(PROMPT, max_new_tokens=3, stream=True, details=True)
        *_, last = [event async for event in stream]
    assert (last.index, last.token.text, last.generated_text) == (3, " 3", f"{PROMPT} 1 2 3")
    assert last.details is not None
    assert (last.details.finish_reason, last.details.generated_tokens, last.details.input_length) == ("length", 3, 4)


async def test_huggingface_hub_chats(serve: Serve) -> None:
    async with AsyncInferenceClient(await serve()) as client:
        answer = await client.chat_completion(CHAT["messages"], max_tokens=3)
    assert answer.choices[0].message.content == " 1 2 3"
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("parameters", "error"),
    [({"max_new_tokens": 5000}, ValidationError), ({"max_new_tokens": 3, "temperature": 0.0}, ValidationError)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_huggingface_hub_knows_a_refusal(
    serve: Serve, parameters: dict[str, Any], error: type[Exception], stream: bool
) -> None:
    client = InferenceClient(await serve())
    with pytest.raises(error):
        await asyncio.to_thread(lambda: list(client.text_generation(PROMPT, **parameters, stream=stream)))


async def test_a_stream_is_one_event_a_token_and_the_last_has_the_text(serve: Serve) -> None:
    url = await serve()
    assert [event async for event in events(url, "/generate_stream", generation(2, details=True))] == [
        {
            "index": 1,
            "token": {"id": 1, "text": " 1", "logprob": -0.5, "special": False},
            "generated_text": None,
            "details": None,
        },
        {
            "index": 2,
            "token": {"id": 2, "text": " 2", "logprob": -0.5, "special": False},
            "generated_text": " 1 2",
            "details": {"finish_reason": "length", "generated_tokens": 2, "seed": None, "input_length": 4},
        },
    ]


async def test_details_come_only_if_asked_for(serve: Serve) -> None:
    url = await serve()
    assert await ask(url, "/generate", generation()) == (200, {"generated_text": " 1 2 3"})
    *_, last = [event async for event in events(url, "/generate_stream", generation())]
    assert last["details"] is None


async def test_the_root_answers_with_a_list_and_with_the_prompt(serve: Serve) -> None:
    assert await ask(await serve(), "/", generation()) == (200, [{"generated_text": f"{PROMPT} 1 2 3"}])


async def test_sizes_and_times_of_an_answer_are_in_its_headers(serve: Serve) -> None:
    async with aiohttp.ClientSession(await serve()) as session, session.post("/generate", json=generation()) as answer:
        assert (answer.headers["x-prompt-tokens"], answer.headers["x-generated-tokens"]) == ("4", "3")
        assert {"x-total-time", "x-queue-time", "x-inference-time", "x-time-per-token"} <= {
            name.lower() for name in answer.headers
        }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`inputs` must be a string"),
        (generation(0), "`max_new_tokens` must be strictly positive"),
        (generation(2000), "`inputs` tokens + `max_new_tokens` must be <= 1024. Given: 4 `inputs` tokens and 2000"),
        (generation("3"), "`max_new_tokens` is of a wrong type"),
        (generation(top_p=1.0), "`top_p` must be > 0.0 and < 1.0"),
        (generation(stop=["a", "b", "c", "d", "e"]), "`stop` supports up to 4 stop sequences. Given: 5"),
        (generation(truncate=1024), "`truncate` must be strictly positive and less than 1023"),
        (generation(best_of=2), "`best_of` != 1 is not supported"),
        (generation(grammar={"type": "json"}), "`grammar` is not supported by this server, which is not TGI"),
        ({**generation(), "inputs": ""}, "`inputs` cannot be empty"),
    ],
)
async def test_a_refusal_says_which_parameter_and_why(serve: Serve, body: object, words: str) -> None:
    status, answer = await ask(await serve(), "/generate", body)
    assert (status, answer["error_type"]) == (422, "validation")
    assert answer["error"].startswith(f"Input validation error: {words}")


async def test_a_prompt_is_refused_that_is_longer_than_allowed(serve: Serve) -> None:
    status, answer = await ask(await serve("--max-input-tokens", "3"), "/generate", generation())
    assert (status, answer["error"]) == (422, "Input validation error: `inputs` must have less than 3 tokens. Given: 4")


async def test_a_prompt_can_be_cut_to_its_end(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    await ask(await serve(), "/generate", generation(truncate=2))
    assert llama_cpp.bodies[0]["prompt"] == [len("a"), len("time")]


async def test_tokens_are_drawn_only_if_asked_for(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    await ask(url, "/generate", generation())
    _, sampled = await ask(url, "/generate", generation(do_sample=True, seed=7, details=True))
    greedy, drawn = llama_cpp.bodies
    assert greedy["temperature"] == 0
    assert (drawn["temperature"], drawn["top_k"], drawn["top_p"], drawn["min_p"], drawn["seed"]) == (1, 0, 1, 0, 7)
    assert sampled["details"]["seed"] == 7


async def test_a_request_too_many_is_told_so_and_the_others_go_on(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve("--max-concurrent-requests", "1")
    llama_cpp.go.clear()
    first = asyncio.create_task(ask(url, "/generate", generation()))
    await llama_cpp.until_running(1)
    overloaded = {"error": "Model is overloaded", "error_type": "overloaded"}
    assert await ask(url, "/generate", generation()) == (429, overloaded)
    assert [event async for event in events(url, "/generate_stream", generation())] == [overloaded]
    assert [event async for event in events(url, "/v1/chat/completions", {**CHAT, "stream": True})] == [overloaded]
    with pytest.raises(OverloadedError):
        await asyncio.to_thread(InferenceClient(url).text_generation, PROMPT, max_new_tokens=3)
    llama_cpp.go.set()
    assert (await first)[0] == 200


async def test_an_error_of_the_engine_is_an_error_of_the_generation(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    llama_cpp.failure = "context full"
    body = {"error": "Request failed during generation: context full", "error_type": "generation"}
    assert await ask(url, "/generate", generation()) == (424, body)
    with pytest.raises(GenerationError):
        await asyncio.to_thread(InferenceClient(url).text_generation, PROMPT, max_new_tokens=3)


async def test_a_stream_that_the_engine_cuts_ends_with_an_error(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    llama_cpp.cut_after = 2
    *tokens, error = [event async for event in events(url, "/generate_stream", generation(9))]
    assert [event["token"]["text"] for event in tokens] == [" 1", " 2"]
    assert error["error_type"] == "generation"


async def test_a_chat_is_streamed_and_its_usage_comes_last(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
    *chunks, usage = [event async for event in events(await serve(), "/v1/chat/completions", body)]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == [" 1", " 2", " 3"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "length"]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert llama_cpp.bodies[0]["ignore_eos"] is True


async def test_a_completion_has_its_usage_in_either_form(serve: Serve) -> None:
    url = await serve()
    body = {"model": "any", "prompt": PROMPT, "max_tokens": 3}
    usage = {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    _, whole = await ask(url, "/v1/completions", body)
    assert (whole["choices"][0]["text"], whole["usage"]) == (" 1 2 3", usage)
    *_, last = [event async for event in events(url, "/v1/completions", {**body, "stream": True})]
    assert (last["choices"][0]["finish_reason"], last["usage"]) == ("length", usage)


async def test_an_openai_stream_ends_with_the_end_mark(serve: Serve) -> None:
    async with (
        aiohttp.ClientSession(await serve()) as session,
        session.post("/v1/chat/completions", json={**CHAT, "stream": True}) as response,
    ):
        assert (await response.read()).endswith(b"\n\ndata: [DONE]\n\n")


async def test_info_is_what_the_server_was_started_with(serve: Serve) -> None:
    url = await serve("--max-concurrent-requests", "8", "--max-total-tokens", "256")
    async with aiohttp.ClientSession(url) as session, session.get("/info") as response:
        info = await response.json()
    assert (info["model_id"], info["max_concurrent_requests"]) == ("/models", 8)
    assert (info["max_input_tokens"], info["max_total_tokens"]) == (255, 256)
    assert info["router"] == "tgi-over-llama-cpp"


async def test_what_flags_leave_open_is_the_engines(serve: Serve) -> None:
    async with aiohttp.ClientSession(await serve()) as session, session.get("/info") as response:
        assert (await response.json())["max_total_tokens"] == 1024


async def test_a_client_that_leaves_frees_its_slot(serve: Serve, llama_cpp: FakeLlamaCpp) -> None:
    url = await serve()
    async with aclosing(events(url, "/generate_stream", generation(1000))) as stream:
        await anext(stream)
        llama_cpp.go.clear()
    await llama_cpp.until_running(0)
