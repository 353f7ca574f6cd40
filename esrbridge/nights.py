"""``esrbridge nights``: the steps of the nightly cycle, of a one-shot folder or of a running service."""

import asyncio
from datetime import date, datetime
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at
from esrbridge.options import ATTENTION, FINE, Json, Now, failing, out
from esrbridge.targets import Target as Where
from shared.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="See what ran every night, what is due or late, and run a step again.")

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running service.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Day = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Which day; today, unless said.")]

SECONDS: Final = 200
"""How long a service may take to run a step."""

_SHOWN: Final = ("service", "step", "due", "state", "ended", "result")


@app.command()
def show(target: Target, trust: Trust = "", day: Day = None, json_: Json = False, now: Now = None) -> None:
    """Show the steps of one day, and those of any day that are late; exit code 1 when there are such."""
    with failing():
        chosen = day.date() if day else clock_at(now).today()
        found = asyncio.run(_show(_where(target, trust, now), chosen))
    if json_:
        out(found)
    else:
        screen = Console(soft_wrap=True, width=max(Console().width, 120))
        screen.print(_table(f"Steps of {found['day']}", found["steps"]))
        if found["late"]:
            screen.print(_table("Late", found["late"]))
    raise typer.Exit(ATTENTION if found["late"] else FINE)


@app.command()
def run(
    target: Target,
    step: Annotated[str, typer.Argument(help="The step, for example completion-file.")],
    why: Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")],
    trust: Trust = "",
    day: Day = None,
    now: Now = None,
) -> None:
    """Run a step again for a day, whether it was run or not; exit code 1 when it fails."""
    with failing():
        chosen = day.date() if day else clock_at(now).today()
        found = asyncio.run(_run(_where(target, trust, now), step, chosen, why))
    out(found)
    raise typer.Exit(ATTENTION if any(one["code"] for one in found) else FINE)


async def _show(where: Where, day: date) -> dict[str, Any]:
    if where.remote:
        return dict(await where.ask("GET", "/nights", params={"day": day.isoformat()}))

    async def read(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        told: dict[str, Any] = {"day": day.isoformat(), "steps": [], "late": []}
        for name, part in bridge.components.items():
            if part.nights is not None:
                async with bridge.readers[name].trust(vpd) as connection:
                    of_service = await part.nights.overview(connection, vpd, day)
                told["steps"] += of_service["steps"]
                told["late"] += of_service["late"]
        return told

    return dict(await where.on_folder(read))


async def _run(where: Where, step: str, day: date, why: str) -> list[dict[str, Any]]:
    """Run the step in the service asked, or in every service of the folder that has it."""
    if where.remote:
        said = {"who": where.who, "why": why}
        return [await where.ask("POST", f"/nights/{step}/{day.isoformat()}", json=said, timeout=SECONDS)]

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        parts = [part.nights for part in bridge.components.values() if part.nights and step in part.nights.steps(vpd)]
        if not parts:
            raise ConfigurationError(f"there is no step {step}; 'esrbridge nights show' lists them")
        return [await nights.again(vpd, step, day, where.who, why) for nights in parts]

    return list(await where.act("", {}, act))


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in _SHOWN:
        table.add_column(heading)
    for row in rows:
        state = f"{row['state']}{', late' if row['late'] else ''}{' ' + row['code'] if row['code'] else ''}"
        result = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in row["result"].items())
        shown = (row["service"], row["step"], _moment(row["due_at"]), state, _moment(row["ended_at"]), result)
        table.add_row(*(Text(one) for one in shown), style="yellow" if row["late"] else "")
    return table


def _moment(said: str | None) -> str:
    return said[:16].replace("T", " ") if said else ""


def _where(target: str, trust: str, now: datetime | None) -> Where:
    return Where("outbound", target, trust, now)
