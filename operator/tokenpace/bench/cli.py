"""The options of `tokenpace bench`."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tokenpace.api.variant import EngineType
from tokenpace.bench.card import card, card_name
from tokenpace.bench.command import COMMENT, bench, beside, read, scored
from tokenpace.bench.errors import BenchError
from tokenpace.bench.job import job
from tokenpace.bench.options import Options, of_variant
from tokenpace.bench.result import Result
from tokenpace.bench.show import show
from tokenpace.terminal import console_of_width, read_manifest, told_in_a_line

_PLAIN_WIDTH = 160
"""Columns where no terminal has any: as many as the sweep needs in one line a point."""

_speed = partial(typer.Option, rich_help_panel="Speed")
_quality = partial(typer.Option, rich_help_panel="Quality")
_label = partial(typer.Option, rich_help_panel="What it is called on the card")
_output = partial(typer.Option, rich_help_panel="Output")


def bench_server(
    *,
    manifest: Annotated[
        Path | None, typer.Argument(help="File with an LLMDeployment, to take url, names and cost from.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Which of the manifest's variants answers.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Of any server with OpenAI's API, or TGI's: http://host:port, or with its path.")
    ] = None,
    engine: Annotated[EngineType | None, typer.Option(help="Default: what the server says of itself.")] = None,
    engine_version: Annotated[str | None, typer.Option(help="Default: what the server says of itself.")] = None,
    model: Annotated[str | None, typer.Option(help="As the API knows it. Default: the first it lists.")] = None,
    api: Annotated[str, _speed(help="completions, chat or tgi.")] = "completions",
    prompt_tokens: Annotated[int | None, _speed(min=1, help="Mean; 256 by default, as LLM-Perf.")] = None,
    generated_tokens: Annotated[int | None, _speed(min=2, help="Mean; 64 by default, as LLM-Perf.")] = None,
    spread: Annotated[float, _speed(help="0: all requests alike.")] = 0.5,
    trace: Annotated[Path | None, _speed(help="Recorded arrivals and lengths, stretched to each rate.")] = None,
    rate: Annotated[
        list[float] | None, _speed(min=1e-6, help="Requests/s, may be given often. Default: a sweep.")
    ] = None,
    completions: Annotated[int, _speed(min=10, help="Requests of each point.")] = 50,
    bisections: Annotated[int, _speed(min=0, help="Of the last step.")] = 2,
    lone: Annotated[int, _speed(min=3, help="Requests one by one, first.")] = 10,
    seed: Annotated[int, _speed(help="Of the arrivals.")] = 1,
    timeout_seconds: Annotated[float, _speed(min=1, help="Of a request.")] = 300.0,
    quality: Annotated[bool, _quality("--quality", help="Measure perplexity and greedy answers, too.")] = False,
    quality_positions: Annotated[int, _quality(min=2, help="Tokens of the text.")] = 160,
    task_scores: Annotated[Path | None, _quality(help="Result file of lm_eval at the same URL: one task.")] = None,
    reference: Annotated[
        str | None, _quality(help="Result of the variant that is 100 %; `self`: it is this one.")
    ] = None,
    model_name: Annotated[str | None, _label(help="The same for every variant.")] = None,
    quantization: Annotated[str | None, _label(help="The server's spelling.")] = None,
    image: Annotated[str | None, _label(help="Of the server.")] = None,
    hourly_cost: Annotated[float | None, _label(min=0, help="Of one replica, in any currency.")] = None,
    hardware: Annotated[str | None, _label(help="Default: this CPU, if the server is here.")] = None,
    accelerators: Annotated[int | None, _label(min=0, help="Of one replica.")] = None,
    cpu: Annotated[str | None, _label(help="Limit of one replica.")] = None,
    memory: Annotated[str | None, _label(help="Limit of one replica.")] = None,
    out: Annotated[Path | None, _output(help="Result as JSON; - for standard output.")] = None,
    card_file: Annotated[Path | None, _output("--card", help="LLMSpeedCard; - for standard output.")] = None,
    result: Annotated[Path | None, _output(help="Measure nothing: take what a former run or a Job wrote.")] = None,
    job_image: Annotated[str | None, _output("--job", help="Measure nothing: print a Job of this image.")] = None,
    api_key_secret: Annotated[
        str | None, _output(help="With --job: Secret whose key TOKENPACE_BENCH_API_KEY the Job sends.")
    ] = None,
    api_key: Annotated[str | None, typer.Option(envvar="TOKENPACE_BENCH_API_KEY", hidden=True)] = None,
) -> None:
    """Measure the speed of a server, and its quality: open-loop load up to saturation, and a speed card of it."""
    with told_in_a_line("bench", OSError, BenchError), _stopped_silently():
        asked = _declared(manifest, variant) | _asked(locals())
        if job_image is not None:
            recorded = None if trace is None else trace.read_text(encoding="utf-8")
            manifests = job(_options(asked), image=job_image, variant=variant, trace=recorded, key_from=api_key_secret)
            typer.echo(yaml.safe_dump_all(manifests, sort_keys=False), nl=False)
        elif result is not None:
            _write(beside(scored(read(result), task_scores), reference), out, card_file)
        else:
            _write(asyncio.run(bench(_options(asked), api_key=api_key, say=_say)), out, card_file)


@contextmanager
def _stopped_silently() -> Iterator[None]:
    """End the command where a person has stopped it."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _declared(manifest: Path | None, variant: str | None) -> dict[str, Any]:
    """Return what is to be measured as a manifest says it."""
    return {} if manifest is None else _asked(of_variant(read_manifest(manifest), variant))


def _asked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that are options of the measurement and were given."""
    return {name: values[name] for name in values.keys() & Options.__dataclass_fields__ if values[name] is not None}


def _options(asked: Mapping[str, Any]) -> Options:
    if "url" not in asked:
        raise BenchError("--url: is missing: the server's address, or a MANIFEST to take it from")
    return Options(**{**asked, "rate": tuple(asked.get("rate", ()))})


def _write(found: Result, out: Path | None, card_file: Path | None) -> None:
    if Path("-") not in (out, card_file):
        console_of_width(_PLAIN_WIDTH).print(show(found))
    if out is not None:
        _put(found.model_dump_json(indent=1) + "\n", out)
    if card_file is not None:
        _put(yaml.safe_dump(card(found, card_name(found)), sort_keys=False, allow_unicode=True), card_file)


def _put(text: str, where: Path) -> None:
    if str(where) == "-":
        sys.stdout.write(text)
    else:
        where.write_text(text, encoding="utf-8")


def _say(line: str) -> None:
    """Say how it goes, as a comment: `read` finds the result in a Job's log, which holds both."""
    typer.echo(f"{COMMENT} {line}", err=True)
