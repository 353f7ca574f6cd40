"""What the commands have in common: options, output, and how failures end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Final, NoReturn

import structlog
import typer

from shared.errors import BridgeError
from shared.telemetry import configure_logging

FINE: Final = 0
ATTENTION: Final = 1
FAILED: Final = 2
"""Exit codes: all well; dead letters, or files held, quarantined or refused; could not run."""

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
    """End with exit code 2 and one sentence when something is wrong that a person has to mend.

    Also when it is the program that is wrong: exit code 1 speaks of dead letters, and a traceback may quote values.
    """
    try:
        yield
    except BridgeError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}")
    except Exception as error:  # noqa: BLE001 - told without its text, which may hold personal data
        configure_logging("command", "ERROR")
        structlog.get_logger(__name__).exception("command failed")
        _fail(f"UNEXPECTED: the program failed ({type(error).__name__}); report it with the line above")


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(FAILED) from None
