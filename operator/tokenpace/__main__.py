"""Lets `python -m tokenpace` run the command line."""

from tokenpace.cli import app

app()
