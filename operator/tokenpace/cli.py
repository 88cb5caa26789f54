"""The command line, also as `kubectl tokenpace`: one function a command."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live

from tokenpace.api.reference import reference as field_reference
from tokenpace.api.schema import DEFINITIONS, crd_yaml
from tokenpace.bench.cli import bench_server
from tokenpace.cluster.kinds import SPEED_CARDS
from tokenpace.controller.account import account
from tokenpace.controller.app import serve
from tokenpace.controller.explanation import explanation
from tokenpace.controller.lookup import LookupFailedError, look_up, look_up_all
from tokenpace.controller.manifest import ManifestError
from tokenpace.controller.overview import Line, as_json, line, overview
from tokenpace.controller.render import render
from tokenpace.controller.scaled_object import import_scaled_objects
from tokenpace.controller.settings import Settings
from tokenpace.leaderboard.board import BoardError, Question, board
from tokenpace.leaderboard.files import cards_in_files, named_card
from tokenpace.leaderboard.page import page
from tokenpace.leaderboard.table import table
from tokenpace.telemetry import logs
from tokenpace.terminal import console_of_width, read_manifest, told_in_a_line

app = typer.Typer(
    help="Holds a large language model on Kubernetes at a declared speed in tokens per second.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


import_app = typer.Typer(help="Turn what another autoscaler was told into an LLMDeployment.", no_args_is_help=True)
app.add_typer(import_app, name="import")


@app.command("run")
def run_operator() -> None:
    """Run the operator in this cluster, or in the one of the kubeconfig. Settings: environment, TOKENPACE_..."""
    try:
        settings = Settings()
        logs.configure(settings.log_level)
    except (ValidationError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="TOKENPACE_*") from error
    asyncio.run(serve(settings))


@app.command("render")
def render_manifest(
    manifest: Annotated[Path, typer.Argument(help="File with LLMDeployments; - reads standard input.")],
) -> None:
    """Print the objects that the operator would apply for a manifest. Needs no cluster."""
    with told_in_a_line("render", OSError, ManifestError):
        documents = render(read_manifest(manifest))
    typer.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)


class Output(StrEnum):
    """What `status` prints."""

    TABLE = "table"
    JSON = "json"


class Explained(StrEnum):
    """What `explain` prints."""

    TEXT = "text"
    JSON = "json"


_WATCH_SECONDS = 2.0
"""How often `status --watch` looks again: as often as `watch` does."""
_PLAIN_WIDTH = 400
"""Columns where no terminal has any: more than the longest names need, so that nothing is cut."""


@app.command("status")
def print_status(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Their namespace. Default: that of the current context.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of every namespace.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every two seconds.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="A table, or JSON for programs.")] = Output.TABLE,
) -> None:
    """Show what every LLMDeployment runs, what is asked of it and whether it keeps its promise."""
    console = console_of_width(_PLAIN_WIDTH)

    async def look(show: Callable[[Sequence[Line]], None]) -> None:
        while True:
            show([line(one) for one in await look_up_all(namespace, everywhere=everywhere)])
            if not watch:
                return
            await asyncio.sleep(_WATCH_SECONDS)

    with told_in_a_line("status", LookupFailedError), suppress(KeyboardInterrupt):  # which is how a watch ends
        if output is Output.JSON:
            asyncio.run(look(lambda lines: typer.echo(json.dumps(as_json(lines)))))
        elif watch and console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                asyncio.run(look(lambda lines: live.update(overview(lines), refresh=True)))
        else:
            asyncio.run(look(lambda lines: console.print(overview(lines))))


@app.command("explain")
def explain_resource(
    name: Annotated[str, typer.Argument(help="Name of the LLMDeployment.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Its namespace. Default: that of the current context.")
    ] = None,
    output: Annotated[Explained, typer.Option("--output", "-o", help="Text, or JSON for programs.")] = Explained.TEXT,
) -> None:
    """Say why an LLMDeployment runs what it runs, with the numbers, and what would change it."""
    with told_in_a_line("explain", LookupFailedError, ManifestError):
        resource, now = asyncio.run(look_up(name, namespace)), datetime.now(UTC)
        if output is Explained.JSON:
            typer.echo(json.dumps(account(resource, now).as_json()))
        else:
            Console().print(explanation(resource, now))


@import_app.command("scaledobject")
def import_scaled_object(
    manifest: Annotated[Path, typer.Argument(help="File with KEDA ScaledObjects; - reads standard input.")],
) -> None:
    """Print an LLMDeployment in mode Advisory for a ScaledObject on an LLM. Comments say what does not carry over."""
    with told_in_a_line("import scaledobject", OSError, ValueError, ManifestError):
        imported = import_scaled_objects(read_manifest(manifest))
    typer.echo("---\n".join(one.text() for one in imported), nl=False)


@app.command("replay")
def replay_traffic(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the report: index.html, report.json and plots.")],
    trace: Annotated[
        Path | None, typer.Option(help="Recorded traffic: Azure's LLM traces, CSV or JSON Lines (docs/replay.md).")
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(help="A fleet of your own to replay the trace on: an LLMDeployment, or with its truth."),
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="Of the trace, laid over each other on your own fleet.")] = 1,
    faster: Annotated[float, typer.Option(help="How many times as fast as recorded the trace comes to it.")] = 1.0,
    scenario: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    policy: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Of all chance, 100 by default; more may be given.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Replays at the same time.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Try every setting of every policy first.")] = False,
    settings: Annotated[Path | None, typer.Option(help="A report.json with --sweep, to take settings from.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder with a run that was cut off.")] = False,
) -> None:
    """Replay recorded or drawn traffic: this planner beside the other autoscalers and an oracle. Needs no cluster."""
    try:
        # Here, because the operator's image has no extras.
        from tokenpace.replay.command import ReplayError, replay  # noqa: PLC0415
        from tokenpace.replay.scenarios import REPORTED_SEEDS  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tokenpace"):
            raise
        typer.echo(f"tokenpace replay: {error.name} is missing: pip install 'tokenpace[replay]'", err=True)
        raise typer.Exit(1) from error
    with told_in_a_line("replay", OSError, ReplayError):
        replay(
            trace=trace,
            fleet=fleet,
            copies=copies,
            faster=faster,
            scenario=scenario,
            policy=policy,
            seeds=seed or REPORTED_SEEDS[:1],
            processes=processes,
            sweep=sweep,
            settings=settings,
            resume=resume,
            out=out,
            console=Console(),
        )


app.command("bench")(bench_server)


class BoardOutput(StrEnum):
    """What the leaderboard is printed as."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


@app.command("leaderboard")
def print_leaderboard(
    *,
    file: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="File or folder with speed cards, instead of a cluster.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Their namespace. Default: that of the current context.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of every namespace.")] = False,
    model: Annotated[str | None, typer.Option(help="Only cards of this model.")] = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="Models beside each other, by characters.")] = False,
    stream: Annotated[int, typer.Option(min=1, help="Tokens/s that every stream must have.")] = 5,
    percentile: Annotated[int, typer.Option(min=1, max=99, help="Per cent of streams that must have them.")] = 50,
    first_token: Annotated[
        int | None, typer.Option(min=1, help="Milliseconds in which 95 % must have their first token.")
    ] = None,
    prompt_tokens: Annotated[float | None, typer.Option(min=1, help="Of a request. Default: the cards' mean.")] = None,
    generated_tokens: Annotated[float | None, typer.Option(min=1, help="Likewise.")] = None,
    output: Annotated[
        BoardOutput, typer.Option("--output", "-o", help="A table, JSON for programs, or a page.")
    ] = BoardOutput.TABLE,
) -> None:
    """Compare measured variants: speed, quality and cost at the same traffic and targets, with the Pareto front."""
    asked = Question(
        stream_tokens_per_second=stream,
        percentile=percentile,
        first_token_milliseconds=first_token,
        prompt_tokens=prompt_tokens,
        generated_tokens=generated_tokens,
        model=model,
        all_models=all_models,
    )
    with told_in_a_line("leaderboard", OSError, BoardError, LookupFailedError):
        if file:
            cards = cards_in_files(file)
        else:
            found = asyncio.run(look_up_all(namespace, everywhere=everywhere, kind=SPEED_CARDS))
            cards = [named_card(one, "cluster", with_namespace=everywhere) for one in found]
        compared = board(cards, asked)
    match output:
        case BoardOutput.JSON:
            typer.echo(compared.model_dump_json(indent=2))
        case BoardOutput.HTML:
            typer.echo(page(compared), nl=False)
        case BoardOutput.TABLE:
            console_of_width(_PLAIN_WIDTH).print(table(compared))


@app.command("crd")
def print_crd(
    plural: Annotated[
        str | None,
        typer.Argument(help=f"{' or '.join(one.plural for one in DEFINITIONS)}. Default: both.", show_default=False),
    ] = None,
    reference: Annotated[bool, typer.Option("--reference", help="Print their fields as a page in Markdown.")] = False,
) -> None:
    """Print the CustomResourceDefinitions."""
    chosen = [one for one in DEFINITIONS if plural in (None, one.plural)]
    if not chosen:
        legal = ", ".join(one.plural for one in DEFINITIONS)
        raise typer.BadParameter(f"{plural!r} is none of {legal}", param_hint="PLURAL")
    typer.echo(field_reference() if reference else "---\n".join(map(crd_yaml, chosen)), nl=False)
