"""The command line: `tokenpace run | render | explain | replay | crd`."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console

from tokenpace.api.schema import crd_yaml
from tokenpace.controller.app import serve
from tokenpace.controller.explanation import explanation
from tokenpace.controller.lookup import LookupFailedError, look_up
from tokenpace.controller.manifest import ManifestError
from tokenpace.controller.render import render
from tokenpace.controller.settings import Settings
from tokenpace.telemetry import logs

app = typer.Typer(
    help="Holds a large language model on Kubernetes at a declared speed in tokens per second.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    try:
        text = sys.stdin.read() if str(manifest) == "-" else manifest.read_text(encoding="utf-8")
        documents = render(text)
    except (OSError, ManifestError) as error:
        typer.echo(f"tokenpace render: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)


@app.command("explain")
def explain_resource(
    name: Annotated[str, typer.Argument(help="Name of the LLMDeployment.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Its namespace. Default: that of the current context.")
    ] = None,
) -> None:
    """Say why an LLMDeployment runs what it runs, with the numbers, and what would change it."""
    try:
        resource = asyncio.run(look_up(name, namespace))
        Console().print(explanation(resource, datetime.now(UTC)))
    except (LookupFailedError, ManifestError) as error:
        typer.echo(f"tokenpace explain: {error}", err=True)
        raise typer.Exit(1) from error


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
    scenario: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    policy: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    seed: Annotated[list[int] | None, typer.Option(help="Of all chance; may be given again for more runs.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Replays at the same time.")] = 1,
    sweep: Annotated[bool, typer.Option("--sweep", help="Try every setting of every policy first.")] = False,
    settings: Annotated[Path | None, typer.Option(help="A report.json with --sweep, to take settings from.")] = None,
) -> None:
    """Replay recorded or drawn traffic: this planner beside the other autoscalers and an oracle. Needs no cluster."""
    try:
        from tokenpace.replay.command import ReplayError, replay  # noqa: PLC0415 - the operator's image has no extras
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tokenpace"):
            raise
        typer.echo(f"tokenpace replay: {error.name} is missing: pip install 'tokenpace[replay]'", err=True)
        raise typer.Exit(1) from error
    try:
        replay(
            trace=trace,
            fleet=fleet,
            scenario=scenario,
            policy=policy,
            seeds=seed or [0],
            processes=processes,
            sweep=sweep,
            settings=settings,
            out=out,
            console=Console(),
        )
    except (OSError, ReplayError) as error:
        typer.echo(f"tokenpace replay: {error}", err=True)
        raise typer.Exit(1) from error


@app.command("crd")
def print_crd() -> None:
    """Print the CustomResourceDefinition."""
    typer.echo(crd_yaml(), nl=False)
