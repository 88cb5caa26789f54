"""The options of `tokenpace bench`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from tokenpace.api.variant import EngineType
from tokenpace.bench.card import card, card_name
from tokenpace.bench.command import COMMENT, against, bench, read, reference_of
from tokenpace.bench.errors import BenchError
from tokenpace.bench.job import job
from tokenpace.bench.options import Options, of_variant
from tokenpace.bench.result import Result
from tokenpace.bench.show import show

_PLAIN_WIDTH = 160
"""Columns where no terminal has any: as many as the sweep needs in one line a point."""

_SPEED, _QUALITY, _LABELS, _OUTPUT = "Speed", "Quality", "What it is called on the card", "Output"


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
    model: Annotated[str | None, typer.Option(help="As the API knows it. Default: the first it lists.")] = None,
    api: Annotated[str, typer.Option(help="completions, chat or tgi.", rich_help_panel=_SPEED)] = "completions",
    prompt_tokens: Annotated[
        int | None, typer.Option(min=1, help="Mean; 256 by default, as LLM-Perf.", rich_help_panel=_SPEED)
    ] = None,
    generated_tokens: Annotated[
        int | None, typer.Option(min=2, help="Mean; 64 by default, as LLM-Perf.", rich_help_panel=_SPEED)
    ] = None,
    spread: Annotated[float, typer.Option(help="0: all requests alike.", rich_help_panel=_SPEED)] = 0.5,
    trace: Annotated[
        Path | None,
        typer.Option(help="Recorded arrivals and lengths, stretched to each rate.", rich_help_panel=_SPEED),
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(min=1e-6, help="Requests/s, may be given often. Default: a sweep.", rich_help_panel=_SPEED),
    ] = None,
    completions: Annotated[int, typer.Option(min=10, help="Requests of each point.", rich_help_panel=_SPEED)] = 50,
    bisections: Annotated[int, typer.Option(min=0, help="Of the last step.", rich_help_panel=_SPEED)] = 2,
    lone: Annotated[int, typer.Option(min=3, help="Requests one by one, first.", rich_help_panel=_SPEED)] = 10,
    seed: Annotated[int, typer.Option(help="Of the arrivals.", rich_help_panel=_SPEED)] = 1,
    timeout_seconds: Annotated[float, typer.Option(min=1, help="Of a request.", rich_help_panel=_SPEED)] = 300.0,
    quality: Annotated[
        bool, typer.Option("--quality", help="Measure perplexity and greedy answers, too.", rich_help_panel=_QUALITY)
    ] = False,
    quality_positions: Annotated[int, typer.Option(min=2, help="Tokens of the text.", rich_help_panel=_QUALITY)] = 160,
    reference: Annotated[
        str | None,
        typer.Option(help="Result of the variant that is 100 %; `self`: it is this one.", rich_help_panel=_QUALITY),
    ] = None,
    model_name: Annotated[str | None, typer.Option(help="The same for every variant.", rich_help_panel=_LABELS)] = None,
    quantization: Annotated[str | None, typer.Option(help="The server's spelling.", rich_help_panel=_LABELS)] = None,
    image: Annotated[str | None, typer.Option(help="Of the server.", rich_help_panel=_LABELS)] = None,
    hourly_cost: Annotated[
        float | None, typer.Option(min=0, help="Of one replica, in any currency.", rich_help_panel=_LABELS)
    ] = None,
    hardware: Annotated[
        str | None, typer.Option(help="Default: this CPU, if the server is here.", rich_help_panel=_LABELS)
    ] = None,
    accelerators: Annotated[int | None, typer.Option(min=0, help="Of one replica.", rich_help_panel=_LABELS)] = None,
    cpu: Annotated[str | None, typer.Option(help="Limit of one replica.", rich_help_panel=_LABELS)] = None,
    memory: Annotated[str | None, typer.Option(help="Limit of one replica.", rich_help_panel=_LABELS)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Result as JSON; - for standard output.", rich_help_panel=_OUTPUT)
    ] = None,
    card_file: Annotated[
        Path | None, typer.Option("--card", help="LLMSpeedCard; - for standard output.", rich_help_panel=_OUTPUT)
    ] = None,
    result: Annotated[
        Path | None,
        typer.Option(help="Measure nothing: take what a former run or a Job wrote.", rich_help_panel=_OUTPUT),
    ] = None,
    job_image: Annotated[
        str | None,
        typer.Option("--job", help="Measure nothing: print a Job of this image.", rich_help_panel=_OUTPUT),
    ] = None,
    api_key: Annotated[str | None, typer.Option(envvar="TOKENPACE_BENCH_API_KEY", hidden=True)] = None,
) -> None:
    """Measure the speed of a server, and its quality: open-loop load up to saturation, and a speed card of it."""
    given: dict[str, Any] = {
        name: value
        for name, value in locals().items()
        if name in Options.__dataclass_fields__ and value is not None and name != "rate"
    }
    try:
        declared = {} if manifest is None else of_variant(_read(manifest), variant)
        asked = {name: value for name, value in declared.items() if value is not None} | given
        if job_image is not None:
            options = Options(**_with_url(asked), rate=tuple(rate or ()))
            typer.echo(yaml.safe_dump(job(options, image=job_image, variant=variant), sort_keys=False), nl=False)
            return
        if result is not None:
            found = read(result)
            found = found if reference is None else against(found, reference_of(reference) or found)
        else:
            options = Options(**_with_url(asked), rate=tuple(rate or ()))
            found = asyncio.run(bench(options, api_key=api_key, say=_say))
        _write(found, out, card_file)
    except (OSError, BenchError) as error:
        typer.echo(f"tokenpace bench: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _with_url(asked: dict[str, Any]) -> dict[str, Any]:
    if "url" not in asked:
        raise BenchError("--url: is missing: the server's address, or a MANIFEST to take it from")
    return asked


def _write(found: Result, out: Path | None, card_file: Path | None) -> None:
    if Path("-") not in (out, card_file):
        console = Console()
        if not console.is_terminal:
            console.width = _PLAIN_WIDTH
        console.print(show(found))
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


def _read(manifest: Path) -> str:
    return sys.stdin.read() if str(manifest) == "-" else manifest.read_text(encoding="utf-8")
