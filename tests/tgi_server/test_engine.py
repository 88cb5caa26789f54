"""What build b11549 of llama.cpp streamed for SmolLM2-135M, with the settings that no answer repeats left out."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from e2e.tgi.engine import Engine, Finish, Token
from e2e.tgi.failures import GenerationError
from e2e.tgi.request import Parameters

RECORDED = Path(__file__).parent / "recorded"
Generate = Callable[..., Awaitable[list[Token]]]


@pytest.fixture
async def generate() -> AsyncIterator[Generate]:
    """Generate from a server that answers with a recording."""
    runners: list[web.AppRunner] = []

    async def generated(recording: bytes, new_tokens: int = 40, **parameters: object) -> list[Token]:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=recording)

        application = web.Application()
        application.router.add_post("/completion", answer)
        runner = web.AppRunner(application)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with Engine(f"http://127.0.0.1:{runner.addresses[0][1]}") as engine:
            return [token async for token in engine.generate([1], new_tokens, 0, Parameters(**parameters))]

    yield generated
    for runner in runners:
        await runner.cleanup()


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.sse").read_bytes()


async def test_the_last_token_says_why_it_is_the_last(generate: Generate) -> None:
    tokens = await generate(recorded("length"), new_tokens=3)
    assert [(token.text, token.finish) for token in tokens] == [(",", None), (" I", None), (" was", Finish.LENGTH)]
    assert [token.id for token in tokens] == [28, 339, 436]
    assert all(token.logprob < 0 for token in tokens)


async def test_every_token_of_a_character_is_a_token_and_the_last_has_the_text(generate: Generate) -> None:
    tokens = await generate(recorded("characters-of-several-tokens"))
    assert [token.text for token in tokens] == ["o", "k", " ", "", "", "漢", "", "", "字", "", "", "🦙", ""]


async def test_an_answer_that_ends_within_a_character_has_all_its_tokens(generate: Generate) -> None:
    events = recorded("characters-of-several-tokens").split(b"\n\n")
    said = [event for event in events if b'"tokens_predicted": ' in event and b'"stop": false' in event]
    whole = [event for event in said if json.loads(event.removeprefix(b"data: "))["tokens_predicted"] <= 9]
    end = json.loads(whole[-1].removeprefix(b"data: ")) | {"content": "", "stop": True, "stop_type": "limit"}
    del end["completion_probabilities"]
    end["tokens_predicted"] = 11
    recording = b"\n\n".join([*whole, b"data: " + json.dumps(end).encode(), b""])

    tokens = await generate(recording, new_tokens=11)

    assert [token.text for token in tokens] == ["o", "k", " ", "", "", "漢", "", "", "字", "", ""]
    assert [token.finish for token in tokens[-2:]] == [None, Finish.LENGTH]


async def test_the_end_of_sequence_is_a_special_token(generate: Generate) -> None:
    *others, last = await generate(recorded("characters-of-several-tokens"))
    assert (last.finish, last.is_special) == (Finish.END_OF_SEQUENCE, True)
    assert not any(token.is_special for token in others)


async def test_a_stop_sequence_ends_a_stream_with_the_token_that_completed_it(generate: Generate) -> None:
    tokens = await generate(recorded("stop-sequence"), stop=(" six",))
    assert [(token.text, token.finish) for token in tokens] == [(" five", None), ("", Finish.STOP_SEQUENCE)]


@pytest.mark.parametrize(
    ("name", "new_tokens", "prompt_ms", "predicted_ms"),
    [
        ("length", 3, 28.7, 17.434),
        ("characters-of-several-tokens", 40, 19.224, 137.222),
        ("stop-sequence", 40, 24.394, 13.474),
    ],
)
async def test_a_prompt_and_the_steps_after_it_add_up_to_what_the_engine_says(
    generate: Generate, name: str, new_tokens: int, prompt_ms: float, predicted_ms: float
) -> None:
    first, *others = await generate(recorded(name), new_tokens=new_tokens)
    assert first.is_first
    assert not any(token.is_first for token in others)
    assert first.step_seconds == pytest.approx(prompt_ms / 1000)
    assert sum(token.step_seconds for token in others) == pytest.approx(predicted_ms / 1000, rel=1e-3)


@pytest.mark.parametrize(
    "recording", [b"", b"data: {", b'data: {"stop": false}\n', b'data: {"error": {"message": "full"}}\n']
)
async def test_a_stream_without_an_end_is_an_error(generate: Generate, recording: bytes) -> None:
    with pytest.raises(GenerationError):
        await generate(recording)
