"""``esrbridge dead``: dead letters of a one-shot folder, or of a console reached by its URL."""

import asyncio
import getpass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, with_bridge
from esrbridge.options import Json, Now, failing, out
from esrbridge.remote import ask, is_url
from services.console import actions, store
from services.console.actions import Operator
from services.console.domain import State
from shared.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="List, show, edit, replay and discard dead letters.")

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running console.")]
LetterId = Annotated[str, typer.Argument(help="The letter's id, or the first characters of it.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]


@app.command("list")
def list_(target: Target, trust: Trust = "", state: State = "open", json_: Json = False) -> None:
    """List dead letters by file and line."""
    with failing():
        found = asyncio.run(_Letters(target, trust).listing(state))
    if json_:
        out(found)
        return
    screen = Console(soft_wrap=True)
    for letter in found:
        where = f"{letter['file']} line {letter['line']}" if letter["file"] else letter["type"]
        screen.print(f"{letter['id'][:12]}  {letter['vpd']}  {where}  {letter['code']}: {letter['reason']}")
    screen.print(f"{len(found)} {state}")


@app.command()
def show(target: Target, letter: LetterId, trust: Trust = "", reveal: bool = False) -> None:
    """Show one dead letter. Values of its columns are masked unless you reveal them."""
    with failing():
        out(asyncio.run(_Letters(target, trust).show(letter, reveal=reveal)))


@app.command()
def edit(
    target: Target,
    letter: LetterId,
    set_: Annotated[list[str], typer.Option("--set", help="column=value; an empty value removes the column.")],
    why: Why,
    trust: Trust = "",
) -> None:
    """Change columns of a dead letter's record before replaying it. The original is kept."""
    with failing():
        changes = dict(_assignment(one) for one in set_)
        out(asyncio.run(_Letters(target, trust).edit(letter, changes, why)))


@app.command()
def replay(
    target: Target,
    letters: Annotated[list[str] | None, typer.Argument(help="Ids of letters.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay every open letter.")] = False,
    code: Annotated[str, typer.Option(help="With --all: only letters with this code.")] = "",
    why: Why = "replayed from the command line",
    trust: Trust = "",
    now: Now = None,
    json_: Json = False,
) -> None:
    """Send records to the queues they came from, and say what became of them."""
    with failing():
        if not letters and not everything:
            raise ConfigurationError("name the letters to replay, or use --all")
        told = asyncio.run(_Letters(target, trust, now).replay(letters or [], everything, code, why))
    if json_:
        out(told)
    else:
        for letter in told:
            typer.echo(f"{letter['id'][:12]}  {letter['state']}  {letter['code'] if letter['state'] == 'open' else ''}")


@app.command()
def discard(target: Target, letter: LetterId, why: Why, trust: Trust = "") -> None:
    """Close a dead letter without replay. A reason is needed."""
    with failing():
        out(asyncio.run(_Letters(target, trust).discard(letter, why)))


class _Letters:
    """The actions, on whichever kind of target."""

    def __init__(self, target: str, trust: str, now: Any = None) -> None:  # noqa: ANN401 - typer's datetime or None
        self._url = target if is_url(target) else ""
        self._folder = Path(target)
        self._trust = trust
        self._now = now
        self._who = getpass.getuser()

    async def listing(self, state: str) -> list[dict[str, Any]]:
        if self._url:
            return list(await self._ask("GET", "", params={"state": state}))

        async def work(bridge: Bridge) -> dict[str, Any]:
            found: list[dict[str, Any]] = []
            for trust in bridge.config.trusts:
                if self._trust in ("", trust.vpd):
                    async with bridge.readers["console"].trust(trust.vpd) as connection:
                        rows = await store.listing(connection, trust.vpd, state=state)
                        found += [actions.summary(row) for row in rows]
            return {"letters": found}

        return list((await with_bridge(self._folder, clock_at(self._now), work))["letters"])

    async def show(self, letter: str, *, reveal: bool) -> dict[str, Any]:
        if self._url and reveal:
            raise ConfigurationError("a running console reveals no values; --reveal is for one-shot folders")
        if self._url:
            return dict(await self._ask("GET", f"/{letter}"))

        async def work(bridge: Bridge) -> dict[str, Any]:
            vpd, row = await self._find(bridge, letter)
            del vpd
            return actions.detail(row, reveal=reveal)

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def edit(self, letter: str, changes: dict[str, str], why: str) -> dict[str, Any]:
        if self._url:
            return dict(await self._ask("POST", f"/{letter}/edit", json=self._decision(why) | {"columns": changes}))

        async def work(bridge: Bridge) -> dict[str, Any]:
            vpd, row = await self._find(bridge, letter)
            return await self._operator(bridge).edit(vpd, row.id, changes, why)

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def discard(self, letter: str, why: str) -> dict[str, Any]:
        if self._url:
            return dict(await self._ask("POST", f"/{letter}/discard", json=self._decision(why)))

        async def work(bridge: Bridge) -> dict[str, Any]:
            vpd, row = await self._find(bridge, letter)
            await self._operator(bridge).discard(vpd, row.id, why)
            return {"id": row.id, "state": "discarded"}

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def replay(self, letters: list[str], everything: bool, code: str, why: str) -> list[dict[str, Any]]:
        if self._url:
            if everything:
                found = await self._ask("GET", "", params={"state": "open", "code": code})
                letters = [letter["id"] for letter in found]
            return [
                await self._ask("POST", f"/{one}/replay", json=self._decision(why)) | {"code": ""} for one in letters
            ]

        async def work(bridge: Bridge) -> dict[str, Any]:
            chosen = [await self._find(bridge, letter) for letter in letters]
            if everything:
                chosen += await self._open_ones(bridge, code)
            for vpd, row in chosen:
                await self._operator(bridge).replay(vpd, row.id, why)
            await bridge.until_idle()
            return {"letters": [actions.summary((await self._find(bridge, row.id))[1]) for _, row in chosen]}

        return list((await with_bridge(self._folder, clock_at(self._now), work))["letters"])

    async def _open_ones(self, bridge: Bridge, code: str) -> list[tuple[str, store.AnyRow]]:
        found: list[tuple[str, store.AnyRow]] = []
        for trust in bridge.config.trusts:
            async with bridge.readers["console"].trust(trust.vpd) as connection:
                found += [(trust.vpd, row) for row in await store.listing(connection, trust.vpd, code=code)]
        return [one for one in found if self._trust in ("", one[0])]

    async def _find(self, bridge: Bridge, letter: str) -> tuple[str, store.AnyRow]:
        found: list[tuple[str, store.AnyRow]] = []
        for trust in bridge.config.trusts:
            if self._trust in ("", trust.vpd):
                async with bridge.readers["console"].trust(trust.vpd) as connection:
                    found += [(trust.vpd, row) for row in await store.starting_with(connection, trust.vpd, letter)]
        if len(found) != 1:
            raise ConfigurationError(f"{len(found)} dead letters begin with {letter}; one is needed")
        return found[0]

    def _operator(self, bridge: Bridge) -> Operator:
        return Operator(bridge.components["console"].work, self._who)

    def _decision(self, why: str) -> dict[str, Any]:
        return {"who": self._who, "why": why}

    async def _ask(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        return await ask(self._url, self._trust, method, f"/dead-letters{path}", **options)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigurationError("--set takes column=value")
    return name, value
