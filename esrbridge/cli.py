"""The command ``esrbridge``. Each command is described in ``docs/cli.md``."""

import asyncio
import importlib
import os
import sys
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from esrbridge import accounts, completion_differences, files, letters, mappings, nights, people
from esrbridge.asyncapi import asyncapi
from esrbridge.codes import as_markdown
from esrbridge.compliance import compliance
from esrbridge.demo import run_demo
from esrbridge.embedded import Bridge
from esrbridge.event_pages import write as write_events
from esrbridge.file_formats import as_document
from esrbridge.once import clock_at, run_once, with_bridge
from esrbridge.options import Json, Now, failing, out
from esrbridge.passwords import service_passwords
from esrbridge.report import ATTENTION, FINE, collect
from esrbridge.report import show as show_report
from esrbridge.simulation import write_simulation
from esrbridge.validation import MAX_FAULTS, JsonOutlet, TextOutlet, validate_path
from shared.db.engine import make_engine
from shared.db.migrate import migrate_now
from shared.runtime import serve as serve_service

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Carries people and training records between ESR and a learning management system.",
)
app.add_typer(letters.app, name="dead")
app.add_typer(files.app, name="files")
app.add_typer(people.app, name="people")
app.add_typer(accounts.app, name="accounts")
app.add_typer(mappings.app, name="mappings")
app.add_typer(nights.app, name="nights")
app.add_typer(completion_differences.app, name="completions")
app.command()(compliance)

Folder = Annotated[Path, typer.Argument(help="Holds bridge.yaml and a folder per trust.", file_okay=False)]


class ServiceName(StrEnum):
    """The services, as processes."""

    ingest = "ingest"
    people = "people"
    competency = "competency"
    outbound = "outbound"
    confirmations = "confirmations"
    console = "console"


@app.command()
def once(
    folder: Folder,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Work until nothing is left; always so.")] = True,
    now: Now = None,
    json_: Json = False,
) -> None:
    """Do everything there is to do for a folder of trusts, and account for every line."""
    del until_idle
    screen = Console(soft_wrap=True)
    with failing():
        report = asyncio.run(run_once(folder, now, screen, bars=not json_))
    if json_:
        out(report)
    else:
        show_report(report, screen)
    raise typer.Exit(report["exit"])


@app.command()
def status(folder: Folder, json_: Json = False, now: Now = None) -> None:
    """Tell where things stand, and do nothing."""

    async def work(bridge: Bridge) -> dict[str, object]:
        return await collect(bridge)

    with failing():
        report = asyncio.run(with_bridge(folder, clock_at(now), work))
    if json_:
        out(report)
    else:
        show_report(report, Console(soft_wrap=True))
    raise typer.Exit(report["exit"])


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of files.", exists=True)],
    profile: Annotated[str, typer.Option(help="A built-in profile or the path of a profile file.")] = "esr-cstf",
    vpd: Annotated[str, typer.Option(help="The trust the file must be for.")] = "",
    json_: Json = False,
    max_faults: Annotated[int, typer.Option(min=0, help="Faults of a file that --json lists.")] = MAX_FAULTS,
) -> None:
    """Check files offline and change nothing: every fault with its line, column name, code and how to mend it."""
    screen, told = Console(stderr=True), sys.stdout.isatty()
    hidden = json_ or not screen.is_terminal
    # Faults are printed while the bar is on the screen: where both share it, the bar gives way for each line.
    with failing(), Progress(console=screen, transient=True, disable=hidden, redirect_stdout=told) as bars:
        if json_:
            as_json = JsonOutlet(many=path.is_dir(), max_faults=max_faults)
            fine = validate_path(path, profile, vpd or None, bars, as_json)
            as_json.close()
        else:
            fine = validate_path(path, profile, vpd or None, bars, TextOutlet())
    raise typer.Exit(FINE if fine else ATTENTION)


@app.command()
def simulate(
    folder: Folder,
    trusts: Annotated[int, typer.Option(min=1, max=99)] = 1,
    people: Annotated[int, typer.Option(min=1, help="People in each trust.")] = 2000,
    days: Annotated[int, typer.Option(min=0, help="Changes files after the full file.")] = 1,
    seed: int = 1,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the full file.")] = datetime(2026, 3, 2),  # noqa: DTZ001
) -> None:
    """Write ESR files for invented trusts, and a bridge.yaml for them. The same seed gives the same files."""
    with failing():
        day = date(start.year, start.month, start.day)
        vpds = write_simulation(folder, trusts=trusts, people=people, days=days, seed=seed, start=day)
    typer.echo(f"{folder}: {len(vpds)} trusts ({', '.join(vpds)}), {people} people each; next: esrbridge once {folder}")


@app.command()
def demo(
    folder: Folder = Path("demo"),
    people: Annotated[int, typer.Option(min=10)] = 2000,
    seed: int = 1,
) -> None:
    """Run three nights of an invented trust with a sandbox ESR and a sandbox LMS. Running it again is harmless."""
    with failing():
        asyncio.run(run_demo(folder, people, seed, Console(soft_wrap=True)))


@app.command()
def migrate() -> None:
    """Make or update the database: a schema, a role and the tables of every service.

    Reads ESRBRIDGE_ADMIN_DATABASE_URL and one password per service, ESRBRIDGE_PEOPLE_PASSWORD and so on, each from the
    environment or from a secret file of that name in lower case.
    """
    with failing():
        url, passwords = service_passwords(os.environ)
        migrate_now(make_engine(url, name="esrbridge-migrate", statement_seconds=None), passwords)
    typer.echo("the database is up to date")


@app.command("asyncapi")
def asyncapi_() -> None:
    """Print the AsyncAPI 3 document of everything on the broker, made from the code."""
    out(asyncapi())


@app.command("file-formats")
def file_formats() -> None:
    """Print the description of all ESR files, made from the profiles, as Markdown."""
    typer.echo(as_document(), nl=False)


@app.command("events")
def events_(folder: Annotated[Path, typer.Argument(help="Where to write the pages.")]) -> None:
    """Write a page for each event, made from the code, as Markdown."""
    with failing():
        typer.echo(f"{write_events(folder)} pages")


@app.command()
def codes() -> None:
    """Print every code with its meaning and what to do, as Markdown."""
    typer.echo(as_markdown(), nl=False)


@app.command()
def serve(service: ServiceName) -> None:
    """Run one service until it is told to stop. Settings: see docs/operating.md."""
    module = importlib.import_module(f"services.{service.value}.main")
    with failing():
        serve_service(service.value, module.build)


if __name__ == "__main__":
    app()
