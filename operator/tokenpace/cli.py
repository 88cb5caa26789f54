"""The command line: `tokenpace run | render | crd`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError

from tokenpace.api.schema import crd_yaml
from tokenpace.controller.app import serve
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


@app.command("crd")
def print_crd() -> None:
    """Print the CustomResourceDefinition."""
    typer.echo(crd_yaml(), nl=False)
