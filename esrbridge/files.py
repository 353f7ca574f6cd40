"""``esrbridge files``: files of a one-shot folder, or of a running ``ingest`` reached by its URL."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from esrbridge.embedded import Bridge, archive_of
from esrbridge.options import Json, Now, failing, out
from esrbridge.targets import Target as Where
from services.ingest import api, listing, roster, watch
from services.ingest.actions import Action, FileDesk
from services.ingest.archive import Archive
from services.ingest.domain import Status
from services.ingest.requests import Requests
from services.ingest.requests import listing as asked_for
from shared.errors import ConfigurationError
from shared.esr.profile import load_profile

app = typer.Typer(no_args_is_help=True, help="List files, look up lines, let held files in, ask for full files.")

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running ingest.")]
Name = Annotated[str, typer.Argument(help="The file's name.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]
Sha = Annotated[str, typer.Option("--sha256", help="Checksum, or its beginning, of one of several files of a name.")]


@app.command("list")
def list_(
    target: Target,
    trust: Trust = "",
    status: Annotated[Status | None, typer.Option("--status", help="Only with this status.")] = None,
    after: Annotated[str, typer.Option("--after", help="Go on after where the last page ended.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=listing.MOST, help="How many.")] = listing.PAGE,
    json_: Json = False,
) -> None:
    """List files that came, the newest first, with their account."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        try:
            return await listing.page(connection, vpd, after, limit, status=status)
        except ValueError:
            raise ConfigurationError("'--after' is not what a page ended with") from None

    params = {"after": after, "limit": limit} | ({"status": status} if status else {})
    with failing():
        found = asyncio.run(_where(target, trust).get("/files", read, **params))
    if json_:
        out(found)
        return
    screen = Console(soft_wrap=True)
    for file in found:
        said = ", ".join(f"{number} {group.replace('_', '-')}" for group, number in file["accounted"].items() if number)
        why = f"{file['code']}: {file['reason']}" if file["code"] else said
        screen.print(f"{file['name']}  {file['status']}  {file['records']} records  {why}")
    if len(found) == limit:
        screen.print(f"Older files, if there are any: --after '{listing.place_of(found[-1])}'")


@app.command()
def show(target: Target, name: Name, trust: Trust = "") -> None:
    """Show one file: its account, its faults, its confirmations, and what may be done with it."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await api.detail(connection, vpd, name)

    with failing():
        found = asyncio.run(_where(target, trust).get(f"/files/{name}", read))
        if not found:
            raise ConfigurationError("no file of this name has come for this trust")
    out(found)


@app.command()
def line(target: Target, name: Name, number: Annotated[int, typer.Argument(min=1)], trust: Trust = "") -> None:
    """Show what became of one line of a file."""
    with failing():
        out(asyncio.run(_line(_where(target, trust), name, number)))


@app.command()
def release(target: Target, name: Name, why: Why, trust: Trust = "", sha256: Sha = "", now: Now = None) -> None:
    """Let a held file in as if nothing kept it back."""
    _act("release", target, name, why, trust, sha256, now)


@app.command()
def discard(target: Target, name: Name, why: Why, trust: Trust = "", sha256: Sha = "", now: Now = None) -> None:
    """End the matter of a held file without applying it."""
    _act("discard", target, name, why, trust, sha256, now)


@app.command()
def recheck(target: Target, name: Name, why: Why, trust: Trust = "", sha256: Sha = "", now: Now = None) -> None:
    """Look anew at a file that was refused, for example after its profile was mended."""
    _act("recheck", target, name, why, trust, sha256, now)


@app.command()
def request(target: Target, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Ask ESR for a full file, timed so that it leaves neither gap nor overlap."""
    with failing():
        out(asyncio.run(_request(_where(target, trust, now), why)))


@app.command()
def requests(target: Target, trust: Trust = "") -> None:
    """List the requests for full files."""
    with failing():
        out(asyncio.run(_where(target, trust).get("/snapshot-requests", asked_for)))


@app.command()
def absent(target: Target, trust: Trust = "") -> None:
    """List the people whom a full file left out and no later file has brought back."""
    with failing():
        out(asyncio.run(_where(target, trust).get("/absent", roster.absentees)))


@app.command()
def alarms(target: Target, trust: Trust = "") -> None:
    """List what the file calendar had to complain of: silence, late and early files."""
    with failing():
        out(asyncio.run(_where(target, trust).get("/alarms", watch.listing)))


def _act(action: Action, target: str, name: str, why: str, trust: str, sha256: str, now: datetime | None) -> None:
    where = _where(target, trust, now)

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        archive = Archive(archive_of(bridge.folder))
        desk = FileDesk(bridge.components["ingest"].work, archive.path, where.who)
        await desk.act(action, vpd, name, why, sha256)
        await bridge.until_idle()
        async with bridge.readers["ingest"].trust(vpd) as connection:
            return await api.detail(connection, vpd, name)

    with failing():
        out(asyncio.run(where.act(f"/files/{name}/{action}", {"why": why, "sha256": sha256}, act)))


async def _line(where: Where, name: str, number: int) -> Any:  # noqa: ANN401 - JSON
    if where.remote:
        return await where.ask("GET", f"/files/{name}/lines/{number}")

    async def read(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        async with bridge.readers["ingest"].trust(vpd) as connection:
            ledger = bridge.components["ingest"].work.ledger
            return await api.line_fate(connection, ledger, vpd, name, number)

    found = await where.on_folder(read)
    if found is None:
        raise ConfigurationError("no such line, or no fate yet")
    return found


async def _request(where: Where, why: str) -> Any:  # noqa: ANN401 - JSON
    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        profiles = {trust.vpd: load_profile(trust.profile) for trust in bridge.config.trusts}
        return await Requests(bridge.components["ingest"].work, profiles, bridge.folder).ask(vpd, where.who, why)

    return await where.act("/snapshot-requests", {"why": why}, act)


def _where(target: str, trust: str, now: datetime | None = None) -> Where:
    return Where("ingest", target, trust, now)
