"""Whole benchmarks of a fake server on loopback, which says nothing of any real one's speed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from tests.bench.fake_server import Serve, answer, busy
from tests.bench.results import a_quality, a_result
from typer.testing import CliRunner

from tokenpace.api.speed_card import LLMSpeedCard
from tokenpace.api.variant import EngineType
from tokenpace.bench import measure, point
from tokenpace.bench.command import bench, checked, cost_per_million_tokens, read
from tokenpace.bench.errors import BenchError
from tokenpace.bench.open_loop import api_base
from tokenpace.bench.options import SELF, Options
from tokenpace.bench.result import Result
from tokenpace.cli import app

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def short_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(measure, "LEAST_LONE_SECONDS", 0.0)
    monkeypatch.setattr(point, "MOST_LAG_SECONDS", 10.0)  # the tests may run on a machine that is busy


async def generated(request: web.Request) -> web.StreamResponse:
    """Answer with as many tokens as were asked for, one each five milliseconds."""
    response = web.StreamResponse()
    await response.prepare(request)
    tokens = (await request.json())["max_tokens"]
    for _ in range(tokens):
        await asyncio.sleep(0.005)
        await response.write(b'data: {"choices": [{"text": " word"}]}\n\n')
    usage = {"choices": [], "usage": {"completion_tokens": tokens, "prompt_tokens": 12}}
    await response.write(f"data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())
    return response


def options(url: str, **changes: Any) -> Options:
    few = {"prompt_tokens": 8, "generated_tokens": 6, "lone": 3, "completions": 60, "rate": (60.0,)}
    return Options(url=url, **(few | changes))


async def benched(url: str, **changes: Any) -> Result:
    return await bench(options(url, **changes), api_key=None, say=lambda _: None)


async def test_a_server_is_measured_alone_and_at_a_rate(serve: Serve) -> None:
    result = await benched(await serve(generated), hourly_cost=3.6)
    assert result.server.model == "chat"
    assert result.lone.prompt_tokens == 12
    (only,) = result.points
    assert (only.failed, only.offered_requests_per_second) == (0, 60.0)
    assert only.seconds == pytest.approx(1.0, abs=0.01)
    assert result.characters_per_token == pytest.approx(5.0, rel=0.01)
    assert result.fit is not None


async def test_a_version_that_the_server_does_not_say_can_be_said_for_it(serve: Serve) -> None:
    result = await benched(await serve(generated), engine_version="b11549")
    assert (result.server.engine, result.server.version) == ("Custom", "b11549")


async def test_a_server_that_turns_everybody_away_is_an_error_in_its_own_words(serve: Serve) -> None:
    with pytest.raises(BenchError, match="overloaded"):
        await benched(await serve(busy))


async def test_a_server_that_counts_no_prompt_tokens_cannot_be_measured(serve: Serve) -> None:
    async def without_usage(request: web.Request) -> web.StreamResponse:
        response = await answer(request, end_mark=False)
        await response.write(b"data: [DONE]\n\n")
        return response

    with pytest.raises(BenchError, match="does not count prompt tokens"):
        await benched(await serve(without_usage))


async def test_nobody_there_is_an_error_that_names_the_option() -> None:
    with pytest.raises(BenchError, match="--url: nobody answers"):
        await benched("http://127.0.0.1:9")


async def test_a_reference_without_quality_is_told_before_anything_is_measured() -> None:
    with pytest.raises(BenchError, match="give --quality"):
        await benched("http://127.0.0.1:9", reference=SELF)


async def test_a_recording_says_when_and_how_long(serve: Serve, tmp_path: Path) -> None:
    (trace := tmp_path / "mine.csv").write_text("timestamp,prompt,generated\n0,4,3\n1,8,5\n3,12,7\n")
    result = await benched(await serve(generated), trace=trace)
    assert (result.workload.trace, result.workload.generated_tokens) == ("mine.csv", 5)
    assert result.points[0].failed == 0


async def test_a_recording_that_cannot_be_read_names_the_option(tmp_path: Path) -> None:
    (trace := tmp_path / "mine.csv").write_text("when,what\n")
    with pytest.raises(BenchError, match="--trace"):
        await benched("http://127.0.0.1:9", trace=trace)


def test_a_url_may_end_as_openais_clients_have_it_and_else_is_that_of_the_first_version() -> None:
    assert api_base("http://chat:8000/v1/") == api_base("http://chat:8000") == "http://chat:8000/v1/"
    assert api_base("http://chat/v3") == "http://chat/v3/"


def test_a_url_without_a_protocol_names_the_option() -> None:
    with pytest.raises(BenchError, match="--url"):
        checked("chat:8000")


async def test_a_server_is_measured_under_the_path_and_as_the_engine_that_its_variant_has(serve: Serve) -> None:
    url = await serve(generated, "/v3/completions")
    result = await benched(f"{url}/v3", engine=EngineType.OPENVINO, model="chat")
    assert (result.server.engine, result.points[0].failed) == (EngineType.OPENVINO, 0)


def test_a_million_tokens_cost_what_the_hours_for_them_cost() -> None:
    assert cost_per_million_tokens(3.6, 100.0) == pytest.approx(10.0)  # 10,000 s are 2.78 h
    assert cost_per_million_tokens(None, 100.0) is None
    assert cost_per_million_tokens(3.6, None) is None


def test_a_former_result_becomes_a_card_beside_its_reference(tmp_path: Path) -> None:
    mine, its, made = tmp_path / "q4.json", tmp_path / "f16.json", tmp_path / "card.yaml"
    mine.write_text(a_result(quality=a_quality(-1.2, -1.3)).model_dump_json())
    its.write_text("# as a Job's log has it\n" + a_result(quality=a_quality(-1.0, -1.2)).model_dump_json())
    found = RUNNER.invoke(app, ["bench", "--result", str(mine), "--reference", str(its), "--card", str(made)])
    assert found.exit_code == 0, found.output
    card = LLMSpeedCard.model_validate(yaml.safe_load(made.read_text()))
    assert card.spec.quality is not None
    assert 80 < card.spec.quality.percent < 90


def test_the_card_of_a_variant_that_is_its_own_reference_has_all_of_the_quality(tmp_path: Path) -> None:
    mine, made = tmp_path / "f16.json", tmp_path / "card.yaml"
    mine.write_text(a_result(quality=a_quality(-1.2, -1.3)).model_dump_json())
    found = RUNNER.invoke(app, ["bench", "--result", str(mine), "--reference", SELF, "--card", str(made)])
    assert found.exit_code == 0, found.output
    card = LLMSpeedCard.model_validate(yaml.safe_load(made.read_text()))
    assert card.spec.quality is not None
    assert (card.spec.quality.percent, card.spec.quality.standard_error) == (100, 0)


def test_a_result_survives_being_written_and_read(tmp_path: Path) -> None:
    result = a_result(quality=a_quality(-1.0, -1e-5, texts=("two\u2028lines", "# no comment")))
    (written := tmp_path / "one.json").write_text(result.model_dump_json(), encoding="utf-8")
    assert read(written) == result


def test_a_file_that_is_no_result_is_an_error(tmp_path: Path) -> None:
    (other := tmp_path / "one.json").write_text("{}")
    found = RUNNER.invoke(app, ["bench", "--result", str(other)])
    assert found.exit_code == 1
    assert "is no result of tokenpace bench" in found.stderr


def test_without_an_address_nothing_is_measured() -> None:
    found = RUNNER.invoke(app, ["bench"])
    assert (found.exit_code, "--url: is missing" in found.stderr) == (1, True)


def test_a_job_is_printed() -> None:
    found = RUNNER.invoke(app, ["bench", "--url", "http://chat", "--rate", "2", "--job", "tokenpace:test"])
    job = yaml.safe_load(found.stdout)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "bench",
        "--url=http://chat",
        "--rate=2",
        "--out=-",
    ]
