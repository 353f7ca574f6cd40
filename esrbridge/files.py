"""``esrbridge files``: files of a one-shot folder, or of a running ``ingest`` reached by its URL."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from esrbridge.embedded import Bridge, archive_of
from esrbridge.once import clock_at, with_bridge
from esrbridge.options import Json, Now, failing, out
from esrbridge.remote import ask, is_url
from services.ingest import api, roster, store, watch
from services.ingest.actions import Action, FileDesk
from services.ingest.archive import Archive
from services.ingest.requests import Requests, listing
from shared.db.engine import Reader
from shared.errors import ConfigurationError
from shared.esr.profile import load_profile

app = typer.Typer(no_args_is_help=True, help="List files, look up lines, let held files in, ask for full files.")

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running ingest.")]
Name = Annotated[str, typer.Argument(help="The file's name.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]
Sha = Annotated[str, typer.Option("--sha256", help="Checksum, or its beginning, of one of several files of a name.")]


@app.command("list")
def list_(target: Target, trust: Trust = "", json_: Json = False) -> None:
    """List every file that came, with its account."""
    with failing():
        found = asyncio.run(_Files(target, trust).get("/files", store.overview))
    if json_:
        out(found)
        return
    screen = Console(soft_wrap=True)
    for file in found:
        said = ", ".join(f"{number} {group.replace('_', '-')}" for group, number in file["accounted"].items() if number)
        why = f"{file['code']}: {file['reason']}" if file["code"] else said
        screen.print(f"{file['name']}  {file['status']}  {file['records']} records  {why}")


@app.command()
def show(target: Target, name: Name, trust: Trust = "") -> None:
    """Show one file: its account, its faults, its confirmations, and what may be done with it."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await api.detail(connection, vpd, name)

    with failing():
        found = asyncio.run(_Files(target, trust).get(f"/files/{name}", read))
        if not found:
            raise ConfigurationError("no file of this name has come for this trust")
    out(found)


@app.command()
def line(target: Target, name: Name, number: Annotated[int, typer.Argument(min=1)], trust: Trust = "") -> None:
    """Show what became of one line of a file."""
    with failing():
        out(asyncio.run(_Files(target, trust).line(name, number)))


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
        out(asyncio.run(_Files(target, trust, now).request(why)))


@app.command()
def requests(target: Target, trust: Trust = "") -> None:
    """List the requests for full files."""
    with failing():
        out(asyncio.run(_Files(target, trust).get("/snapshot-requests", listing)))


@app.command()
def absent(target: Target, trust: Trust = "") -> None:
    """List the people whom a full file left out and no later file has brought back."""
    with failing():
        out(asyncio.run(_Files(target, trust).get("/absent", roster.absentees)))


@app.command()
def alarms(target: Target, trust: Trust = "") -> None:
    """List what the file calendar had to complain of: silence, late and early files."""
    with failing():
        out(asyncio.run(_Files(target, trust).get("/alarms", watch.listing)))


def _act(action: Action, target: str, name: str, why: str, trust: str, sha256: str, now: Any) -> None:  # noqa: ANN401
    with failing():
        out(asyncio.run(_Files(target, trust, now).act(action, name, why, sha256)))


class _Files:
    """The same questions and actions, on whichever kind of target."""

    def __init__(self, target: str, trust: str, now: Any = None) -> None:  # noqa: ANN401 - typer's datetime or None
        self._url = target if is_url(target) else ""
        self._folder = Path(target)
        self._trust = trust
        self._now = now
        self._who = getpass.getuser()

    async def get(self, path: str, read: Callable[[Any, str], Awaitable[Any]]) -> Any:  # noqa: ANN401 - JSON
        """Read something, from the service's API or from the folder's own tables."""
        if self._url:
            return await ask(self._url, self._trust, "GET", path)
        return await self._read(lambda reader, vpd, _: _of(reader, vpd, read))

    async def line(self, name: str, number: int) -> Any:  # noqa: ANN401 - JSON
        if self._url:
            return await ask(self._url, self._trust, "GET", f"/files/{name}/lines/{number}")

        async def read(reader: Reader, vpd: str, bridge: Bridge) -> Any:  # noqa: ANN401 - JSON
            async with reader.trust(vpd) as connection:
                ledger = bridge.components["ingest"].work.ledger
                return await api.line_fate(connection, ledger, vpd, name, number)

        found = await self._read(read)
        if found is None:
            raise ConfigurationError("no such line, or no fate yet")
        return found

    async def act(self, action: Action, name: str, why: str, sha256: str) -> Any:  # noqa: ANN401 - JSON
        if self._url:
            said = {"who": self._who, "why": why, "sha256": sha256}
            return await ask(self._url, self._trust, "POST", f"/files/{name}/{action}", json=said)

        async def work(bridge: Bridge) -> dict[str, Any]:
            vpd = self._only_trust(bridge)
            archive = Archive(archive_of(bridge.folder))
            await FileDesk(bridge.components["ingest"].work, archive.path, self._who).act(
                action, vpd, name, why, sha256
            )
            await bridge.until_idle()
            async with bridge.readers["ingest"].trust(vpd) as connection:
                return {"files": await api.detail(connection, vpd, name)}

        return (await with_bridge(self._folder, clock_at(self._now), work))["files"]

    async def request(self, why: str) -> Any:  # noqa: ANN401 - JSON
        if self._url:
            return await ask(self._url, self._trust, "POST", "/snapshot-requests", json={"who": self._who, "why": why})

        async def work(bridge: Bridge) -> dict[str, Any]:
            profiles = {trust.vpd: load_profile(trust.profile) for trust in bridge.config.trusts}
            desk = Requests(bridge.components["ingest"].work, profiles, bridge.folder)
            asked = await desk.ask(self._only_trust(bridge), self._who, why)
            await bridge.until_idle()
            return asked

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def _read(self, read: Callable[[Reader, str, Bridge], Awaitable[Any]]) -> Any:  # noqa: ANN401 - JSON
        async def work(bridge: Bridge) -> dict[str, Any]:
            return {"found": await read(bridge.readers["ingest"], self._only_trust(bridge), bridge)}

        return (await with_bridge(self._folder, clock_at(self._now), work))["found"]

    def _only_trust(self, bridge: Bridge) -> str:
        vpds = [trust.vpd for trust in bridge.config.trusts if self._trust in ("", trust.vpd)]
        if len(vpds) != 1:
            raise ConfigurationError("name one of the trusts of bridge.yaml with --trust")
        return vpds[0]


async def _of(reader: Reader, vpd: str, read: Callable[[Any, str], Awaitable[Any]]) -> Any:  # noqa: ANN401 - JSON
    async with reader.trust(vpd) as connection:
        return await read(connection, vpd)
