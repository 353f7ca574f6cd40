"""``esrbridge mappings``: what stands for what, in a one-shot folder or in a running ``competency`` by its URL."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, with_bridge
from esrbridge.options import ATTENTION, FINE, Now, failing, out
from esrbridge.remote import ask
from esrbridge.targets import Target
from services.competency import queue, versions, views
from services.competency.desk import MappingDesk
from services.competency.handlers import CompetencyHandlers
from shared.errors import ConfigurationError, DecisionError
from shared.mapping_settings import MappingSet, Row, as_json, as_yaml, from_json, from_yaml

app = typer.Typer(no_args_is_help=True, help="Show, draft, check, preview, apply and undo mappings.")

Where = Annotated[str, typer.Argument(metavar="TARGET", help="Folder of a one-shot bridge, or the URL of competency.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]
Do = Callable[[MappingDesk, str], Awaitable[Any]]


class _Mappings(Target):
    """The desk of mappings, on whichever kind of target."""

    def __init__(self, target: str, trust: str, now: datetime | None = None) -> None:
        super().__init__("competency", target, trust, now)

    async def look(self, path: str, do: Do, **params: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask the desk something, and do nothing else."""
        if self._url:
            return await ask(self._url, self._trust, "GET", path, params=params)

        async def work(bridge: Bridge) -> dict[str, Any]:
            return {"found": await do(_desk(bridge), self._only_trust(bridge))}

        return (await with_bridge(self._folder, clock_at(self._now), work))["found"]

    async def do(self, action: str, said: dict[str, Any], do: Do) -> Any:  # noqa: ANN401 - JSON
        """Have the desk do something; in a folder, follow it up until nothing is left to do."""

        async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
            return await do(_desk(bridge), vpd)

        return await self.act(f"/mappings/{action}", said, act)

    async def editable(self) -> MappingSet:
        """Return the draft, or what is in force when there is none."""
        shown = await self.look("/mappings", MappingDesk.show)
        return from_json(shown["draft"]["content"] if shown["draft"] else shown["in_force"])

    async def draft(self, said: MappingSet, why: str) -> Any:  # noqa: ANN401 - JSON
        """Put a content into the draft."""

        async def do(desk: MappingDesk, vpd: str) -> Any:  # noqa: ANN401 - JSON
            return await desk.draft(vpd, said, self.who, why)

        return await self.do("draft", {"why": why, "content": as_json(said)}, do)


def _desk(bridge: Bridge) -> MappingDesk:
    return CompetencyHandlers(bridge.components["competency"].work, bridge.config).desk


@app.command()
def definitions(target: Where, trust: Trust = "") -> None:
    """List ESR's competence definitions, with subject and level."""
    with failing():
        out(asyncio.run(_Mappings(target, trust).get("/mappings/definitions", views.definitions)))


@app.command()
def missing(target: Where, trust: Trust = "") -> None:
    """List what arrived and no mapping covers, most frequent first."""
    with failing():
        out(asyncio.run(_Mappings(target, trust).get("/mappings/missing", queue.missing)))


@app.command()
def explain(
    target: Where, person_id: Annotated[str, typer.Argument(help="ESR's person ID.")], trust: Trust = ""
) -> None:
    """Tell what was decided on everything a person has learnt, with the reasons of dates and verdicts."""

    async def read(connection: AsyncConnection, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await views.explain(connection, vpd, person_id)

    with failing():
        out(asyncio.run(_Mappings(target, trust).get(f"/people/{person_id}/decisions", read)))


@app.command()
def warnings(
    target: Where,
    trust: Trust = "",
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Warnings listed; all are counted.")] = 100,
) -> None:
    """Tell where ESR and the LMS come to different dates; of certifications with a renewal in the mappings."""

    async def read(connection: AsyncConnection, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await views.warnings(connection, vpd, limit)

    with failing():
        out(asyncio.run(_Mappings(target, trust).get("/mappings/warnings", read, limit=limit)))


@app.command()
def show(target: Where, trust: Trust = "") -> None:
    """Show the mappings in force, what will be in force later, and the draft."""
    with failing():
        out(asyncio.run(_Mappings(target, trust).look("/mappings", MappingDesk.show)))


@app.command()
def history(target: Where, trust: Trust = "") -> None:
    """List what was done with mappings, newest first, by whom and why."""
    with failing():
        out(asyncio.run(_Mappings(target, trust).get("/mappings/history", versions.history)))


@app.command("export")
def export_(
    target: Where,
    trust: Trust = "",
    version: Annotated[int | None, typer.Option(min=0, help="A version; else the draft, or what is in force.")] = None,
) -> None:
    """Print mappings as YAML, as import reads them."""
    where = _Mappings(target, trust)

    async def do(desk: MappingDesk, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await desk.version(vpd, version or 0)

    async def read() -> MappingSet:
        if version is None:
            return await where.editable()
        return from_json(await where.look(f"/mappings/versions/{version}", do))

    with failing():
        typer.echo(as_yaml(asyncio.run(read())), nl=False)


@app.command("import")
def import_(target: Where, file: Annotated[Path, typer.Argument(help="YAML.")], why: Why, trust: Trust = "") -> None:
    """Make a whole file the draft, in place of the one there is."""
    with failing():
        try:
            said = from_yaml(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise ConfigurationError(f"{file} is not UTF-8 text") from None
        out(asyncio.run(_Mappings(target, trust).draft(said, why)))


@app.command()
def add(
    target: Where,
    certification: Annotated[str, typer.Option("--certification", help="Its id number in the LMS.")],
    why: Why,
    competence: Annotated[str, typer.Option("--competence", help="Name as ESR writes it.")] = "",
    competence_id: Annotated[str, typer.Option("--competence-id", help="ESR's id; beats the name.")] = "",
    direction: Annotated[str, typer.Option("--direction", help="both, to-lms or to-esr.")] = "both",
    starts: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of achievement.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day of achievement.")
    ] = None,
    expiry: Annotated[str, typer.Option("--expiry", help="Which expiry ESR is told of: lms, esr or local.")] = "lms",
    period: Annotated[str, typer.Option("--period", help="With --expiry local: for example '2 years'.")] = "",
    trust: Trust = "",
) -> None:
    """Add one mapping to the draft; the draft begins as what is in force."""
    said = {
        "competence": competence,
        "competence_id": competence_id,
        "certification": certification,
        "direction": direction,
        "expiry": expiry,
        "period": period,
        "from": starts.date().isoformat() if starts else None,
        "until": until.date().isoformat() if until else None,
    }

    def change(rows: list[Row]) -> list[Row]:
        return [*rows, *from_json({"mappings": [said]}).mappings]

    _edit(target, trust, why, change)


@app.command()
def remove(
    target: Where,
    number: Annotated[int, typer.Argument(min=1, help="Number of the mapping in the draft, from 1.")],
    why: Why,
    trust: Trust = "",
) -> None:
    """Take one mapping out of the draft; the draft begins as what is in force."""

    def change(rows: list[Row]) -> list[Row]:
        if number > len(rows):
            raise DecisionError(f"there are {len(rows)} mappings only")
        return rows[: number - 1] + rows[number:]

    _edit(target, trust, why, change)


@app.command()
def discard(target: Where, why: Why, trust: Trust = "") -> None:
    """Throw the draft away."""
    where = _Mappings(target, trust)

    async def do(desk: MappingDesk, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await desk.discard(vpd, where.who, why)

    with failing():
        out(asyncio.run(where.do("discard", {"why": why}, do)))


@app.command()
def check(target: Where, trust: Trust = "", now: Now = None) -> None:
    """Check the draft, or what is in force when there is none. Exit code 1 when there are errors."""
    with failing():
        found = asyncio.run(_Mappings(target, trust, now).look("/mappings/check", MappingDesk.check))
    out(found)
    raise typer.Exit(ATTENTION if found["errors"] else FINE)


@app.command()
def preview(
    target: Where,
    trust: Trust = "",
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Person IDs named for each change.")] = 10,
    now: Now = None,
) -> None:
    """Show whom applying the draft would change, and how. Nothing is applied."""

    async def do(desk: MappingDesk, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await desk.preview(vpd, limit)

    with failing():
        out(asyncio.run(_Mappings(target, trust, now).look("/mappings/preview", do, limit=limit)))


@app.command()
def apply(
    target: Where,
    why: Why,
    starts: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Business day on which it comes into force.")
    ] = None,
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Put the draft into force, today or on a later day."""
    where = _Mappings(target, trust, now)
    day: date | None = starts.date() if starts else None

    async def do(desk: MappingDesk, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await desk.apply(vpd, where.who, why, day)

    with failing():
        out(asyncio.run(where.do("apply", {"why": why, "day": day.isoformat() if day else None}, do)))


@app.command()
def undo(target: Where, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Go back to the version before, or call off one that is to come."""
    where = _Mappings(target, trust, now)

    async def do(desk: MappingDesk, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await desk.undo(vpd, where.who, why)

    with failing():
        out(asyncio.run(where.do("undo", {"why": why}, do)))


def _edit(target: str, trust: str, why: str, change: Callable[[list[Row]], list[Row]]) -> None:
    where = _Mappings(target, trust)

    async def work() -> Any:  # noqa: ANN401 - JSON
        said = await where.editable()
        rows = tuple(change(list(said.mappings)))
        return await where.draft(said.model_copy(update={"mappings": rows}), why)

    with failing():
        out(asyncio.run(work()))
