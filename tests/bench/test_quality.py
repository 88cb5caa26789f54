"""Quality as a share of a reference's, and how each server is asked for probabilities."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from tests.bench.fake_server import Serve
from tests.bench.results import a_quality, a_result

from tokenpace.api.variant import EngineType
from tokenpace.bench.command import against
from tokenpace.bench.errors import BenchError
from tokenpace.bench.open_loop import connections
from tokenpace.bench.perplexity import SKIPPED_POSITIONS, perplexity, standard_error
from tokenpace.bench.quality import agreement_percent, compared, percent
from tokenpace.bench.result import Perplexity, Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HALF = math.log(0.5)


def test_half_the_probability_at_every_token_is_half_the_quality() -> None:
    found = percent(a_quality(-3.0 + HALF, -1.0 + HALF).perplexity, a_quality(-3.0, -1.0).perplexity)
    assert found.value == pytest.approx(50)
    assert found.error == pytest.approx(0, abs=1e-9)  # the differences do not differ, however the tokens do


def test_a_variant_that_is_better_than_its_reference_has_more_than_100_per_cent() -> None:
    assert percent(a_quality(-1.0, -1.1).perplexity, a_quality(-1.2, -1.2).perplexity).value > 100


def test_the_error_of_a_mean_worked_by_hand() -> None:
    assert standard_error([1.0, 3.0, 5.0]) == pytest.approx(math.sqrt(4 / 3))


def test_answers_agree_up_to_their_first_difference() -> None:
    mine, its = a_quality(-1, -1, texts=("a cat sat", "yes")), a_quality(-1, -1, texts=("a dog sat", "yes"))
    assert agreement_percent(mine.answers, its.answers).value == pytest.approx(100 * (2 / 9 + 1) / 2)


def test_a_reference_that_met_other_tokens_is_no_reference() -> None:
    with pytest.raises(BenchError, match="--quality-positions"):
        compared(a_quality(-1, -1), a_quality(-1, -1, -1), "f16")


def test_a_result_without_quality_cannot_be_compared() -> None:
    with pytest.raises(BenchError, match="--quality"):
        against(a_result(), a_result(quality=a_quality(-1, -1)), "f16.json")


@pytest.mark.parametrize("before", ["", " --reference=self"])
def test_the_command_that_measures_it_again_names_the_reference(before: str) -> None:
    mine = a_result(quality=a_quality(-1, -1), command=f"tokenpace bench --hardware='a b'{before}")
    compared_with = against(mine, a_result(quality=a_quality(-1, -1)), "f16.json")
    assert compared_with.command == "tokenpace bench '--hardware=a b' --reference=f16.json"


async def ppl(serve: Serve, engine: EngineType, path: str, handler: Handler, positions: int) -> Perplexity:
    url = await serve(handler, path)
    server = Server(engine=engine, version=None, model="chat", slots=None)
    async with connections(url) as session:
        return await perplexity(session, server, name="text", text="a text", positions=positions)


async def test_a_server_that_echoes_its_prompt_is_asked_once(serve: Serve) -> None:
    asked: list[dict[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(await request.json())
        told = [None, *[-9.0] * (SKIPPED_POSITIONS - 1), -1.0, -3.0, -5.0, -99.0]
        return web.json_response({"choices": [{"logprobs": {"token_logprobs": told}}]})

    found = await ppl(serve, EngineType.VLLM, "/v1/completions", handler, 2)
    assert found.log_probabilities == (-1.0, -3.0)
    assert found.perplexity == pytest.approx(math.exp(2.0))
    assert found.error == pytest.approx(math.exp(2.0) * 1.0)
    assert (len(asked), asked[0]["echo"]) == (1, True)


async def test_tgi_tells_the_probabilities_of_its_input(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        told = [None, *[-9.0] * (SKIPPED_POSITIONS - 1), -1.0, -3.0]
        return web.json_response({"details": {"prefill": [{"logprob": one} for one in told]}})

    assert (await ppl(serve, EngineType.TGI, "/generate", handler, 9)).log_probabilities == (-1.0, -3.0)


async def test_llama_cpp_is_asked_for_one_token_after_another_and_a_token_that_it_does_not_name_is_counted(
    serve: Serve,
) -> None:
    tokens = list(range(SKIPPED_POSITIONS + 2))

    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        if "content" in body:
            return web.json_response({"tokens": tokens})
        named = [{"id": SKIPPED_POSITIONS, "logprob": -1.0}, {"id": 99, "logprob": -4.0}]
        assert body["prompt"] == tokens[: len(body["prompt"])]
        return web.json_response({"completion_probabilities": [{"top_logprobs": named}]})

    found = await ppl(serve, EngineType.LLAMA_CPP, "/{path}", handler, 100)
    assert found.log_probabilities == (-1.0, -4.0)
    assert (found.positions, found.missed) == (2, 1)


async def test_a_server_that_does_not_tell_is_an_error_that_says_so(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"choices": [{"text": "no", "logprobs": None}]})

    with pytest.raises(BenchError, match="does not tell the probabilities"):
        await ppl(serve, EngineType.VLLM, "/v1/completions", handler, 2)
