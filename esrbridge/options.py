"""What the commands have in common: options, output, and how failures end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer

from esrbridge.report import FAILED
from shared.errors import BridgeError

Now = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], help="Business time to work at, UK local time."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def out(said: Any) -> None:  # noqa: ANN401 - JSON
    """Print JSON."""
    typer.echo(json.dumps(said, indent=2, default=str))


@contextmanager
def failing() -> Iterator[None]:
    """End with exit code 2 and one sentence when something is wrong that a person has to mend."""
    try:
        yield
    except BridgeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from error
