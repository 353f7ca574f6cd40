"""``esrbridge compliance``: figures and the people behind them, of a one-shot folder or of a running ``competency``."""

import asyncio
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at
from esrbridge.options import Now, failing, out
from esrbridge.targets import Target
from services.competency.compliance import figures
from services.competency.compliance.figures import MOST, Asked, By
from services.competency.compliance.sheets import as_csv, written_as
from services.competency.compliance.status import Chosen
from shared.errors import ConfigurationError

Format = Literal["text", "json", "csv", "xlsx"]

BAR: Final = 24
"""Characters of a bar."""

WIDTH: Final = 120
"""A table is not squeezed below this, however narrow the terminal."""

_COLOURS: Final = ("green", "yellow", "red")
_BLOCKS: Final = ("█", "▒", "░")
_PLAIN: Final = ("#", "=", ".")
_SHOWN: Final = ("due_30", "due_60", "due_90", "expired", "never")
_PERSON: Final = (
    "person_id", "name", "employee_number", "organisation", "staff_group", "requirement", "status", "expires_on",
)  # fmt: skip

Where = Annotated[str, typer.Argument(metavar="TARGET", help="Folder of a one-shot bridge, or the URL of competency.")]


def compliance(
    target: Where,
    by: Annotated[By, typer.Option("--by", help="What the figures are for.")] = "trust",
    list_: Annotated[
        Chosen | None, typer.Option("--list", help="List the people behind the figures, of a status or of several.")
    ] = None,
    organisation: Annotated[str | None, typer.Option("--organisation", help="Only of this organisation (ID).")] = None,
    staff_group: Annotated[str | None, typer.Option("--staff-group", help="Only of this staff group.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only of this subject or competence.")] = None,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="On this day instead of today.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is told.")] = "text",
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.", dir_okay=False)] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="List names too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="Rows of a list at most.")] = MOST,
    trust: Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")] = "",
    now: Now = None,
) -> None:
    """Show how far people hold what is required of them, in figures with bars, or list who does and who does not."""
    with failing():
        if form == "xlsx" and output is None:
            raise ConfigurationError("a sheet is written into a file: name it with --output")
        asked = Asked(day.date() if day else clock_at(now).today(), organisation, staff_group, subject)
        where = Target("competency", target, trust, now)
        work = _figures(where, asked, by) if list_ is None else _people(where, asked, list_, reveal=reveal, limit=limit)
        _tell(asyncio.run(work), form, output)


async def _figures(where: Target, asked: Asked, by: By) -> dict[str, Any]:
    async def read(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        (settings,) = [trust.compliance for trust in bridge.config.trusts if trust.vpd == vpd]
        async with bridge.readers["competency"].trust(vpd) as connection:
            return await figures.figures(connection, vpd, settings, asked, by)

    return await _ask(where, "/compliance", read, asked, {"by": by})


async def _people(where: Target, asked: Asked, status: Chosen, *, reveal: bool, limit: int) -> dict[str, Any]:
    async def read(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        (settings,) = [trust.compliance for trust in bridge.config.trusts if trust.vpd == vpd]
        async with bridge.readers["competency"].trust(vpd) as connection:
            return await figures.people(connection, vpd, settings, asked, status, reveal=reveal, limit=limit)

    said = {"status": status, "reveal": reveal, "limit": limit}
    return await _ask(where, "/compliance/people", read, asked, said)


async def _ask(where: Target, path: str, read: Any, asked: Asked, said: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    if where.remote:
        of = {"organisation": asked.organisation, "staff_group": asked.staff_group, "subject": asked.subject}
        chosen = {name: value for name, value in of.items() if value is not None}
        found = await where.ask("GET", path, params={"day": asked.day.isoformat(), **chosen, **said})
    else:
        found = await where.on_folder(read)
    return dict(found)


def _tell(said: dict[str, Any], form: Format, output: Path | None) -> None:
    """Print an answer, or write it into a file, which is whole or not there."""
    if output is not None:
        part = output.with_name(f".{output.name}.part")
        part.write_bytes(written_as(said, form) if form in ("csv", "xlsx") else _as_text(said, form).encode())
        part.replace(output)
        typer.echo(f"{output}: {len(said['rows'])} rows")
    elif form == "csv":
        typer.echo(as_csv(said), nl=False)
    elif form == "json":
        out(said)
    else:
        _show(said, Console(soft_wrap=True, width=max(Console().width, WIDTH)))


def _as_text(said: dict[str, Any], form: Format) -> str:
    if form == "json":
        return json.dumps(said, indent=2)
    written = io.StringIO()
    _show(said, Console(file=written, soft_wrap=True, width=WIDTH))
    return written.getvalue()


def _show(said: dict[str, Any], screen: Console) -> None:
    screen.print(_figures_table(said, screen.encoding) if "by" in said else _people_table(said))


def _figures_table(said: dict[str, Any], encoding: str) -> Table:
    table = Table(title=f"Compliance on {said['day']}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("" if said["by"] == "trust" else said["by"].replace("-", " "))
    table.add_column("", min_width=BAR)
    for heading in ("valid", "required", *_SHOWN, "people", "lacking"):
        table.add_column(heading.replace("_", " "), justify="right")
    for row in [*said["rows"], {**said["total"], "name": "in all"}]:
        counts = (row["required"], *(row[one] for one in _SHOWN), row["people"], row["lacking_people"])
        name = Text(row["name"] or "(not known)")
        table.add_row(name, bar(row, encoding), f"{row['percent']:.1f} %", *(f"{one:,}" for one in counts))
    return table


def bar(row: dict[str, Any], encoding: str) -> Text:
    """Draw what is compliant, what runs out within 90 days, and what is expired or was never achieved."""
    signs = _BLOCKS if encoding.lower().startswith("utf") else _PLAIN
    required = row["required"] or 1
    ends = (round(BAR * row["compliant"] / required), round(BAR * row["valid"] / required), BAR)
    drawn = Text()
    if row["required"]:
        for sign, colour, start, end in zip(signs, _COLOURS, (0, *ends), ends, strict=False):
            drawn.append(sign * (end - start), style=colour)
    return drawn


def _people_table(said: dict[str, Any]) -> Table:
    named = any("name" in row for row in said["rows"])
    shown = [one for one in _PERSON if named or one != "name"]
    title = f"{said['status'].replace('_', ' ')} on {said['day']}: {said['total']:,}, shown: {len(said['rows']):,}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in shown:
        table.add_column(heading.replace("_", " "))
    for row in said["rows"]:
        table.add_row(*(Text(str(row[one] or "")) for one in shown))
    return table
