"""Commands about a folder of trusts, and files in it: the embedded mode."""

import asyncio
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from esrbridge.demo import run_demo
from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, run_once, with_bridge
from esrbridge.options import ATTENTION, FINE, Json, Now, failing, out
from esrbridge.report import collect
from esrbridge.report import show as show_report
from esrbridge.simulation import write_simulation
from esrbridge.validation import MAX_FAULTS, JsonOutlet, TextOutlet, validate_path

Folder = Annotated[Path, typer.Argument(help="Holds bridge.yaml and a folder per trust.", file_okay=False)]


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


def demo(
    folder: Folder = Path("demo"),
    people: Annotated[int, typer.Option(min=10)] = 2000,
    seed: int = 1,
) -> None:
    """Run three nights of an invented trust with a sandbox ESR and a sandbox LMS. Running it again is harmless."""
    with failing():
        asyncio.run(run_demo(folder, people, seed, Console(soft_wrap=True)))
