"""Commands that print what is made from the code."""

from pathlib import Path
from typing import Annotated

import typer

from esrbridge.asyncapi import asyncapi as asyncapi_document
from esrbridge.codes import as_markdown
from esrbridge.event_pages import write
from esrbridge.file_formats import as_document
from esrbridge.options import failing, out


def asyncapi() -> None:
    """Print the AsyncAPI 3 document of everything on the broker, made from the code."""
    out(asyncapi_document())


def file_formats() -> None:
    """Print the description of all ESR files, made from the profiles, as Markdown."""
    typer.echo(as_document(), nl=False)


def events(folder: Annotated[Path, typer.Argument(help="Where to write the pages.")]) -> None:
    """Write a page for each event, made from the code, as Markdown."""
    with failing():
        typer.echo(f"{write(folder)} pages")


def codes() -> None:
    """Print every code with its meaning and what to do, as Markdown."""
    typer.echo(as_markdown(), nl=False)
