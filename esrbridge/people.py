"""``esrbridge people``: people of a one-shot folder, or of a running ``people`` service reached by its URL."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, with_bridge
from esrbridge.options import Now, failing, out
from esrbridge.remote import ask, is_url
from services.people import store, views
from services.people.desk import Decision, Desk
from services.people.handlers import PeopleHandlers
from services.people.schema import SCHEMA
from shared.db.facts import FactStore
from shared.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Who is what and why, who changes when, and which records are one human.")
restriction = typer.Typer(no_args_is_help=True, help="Which of ESR's people a trust wants, and changes of that.")
app.add_typer(restriction, name="restriction")

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running people service.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show private values too.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]
PersonId = Annotated[str, typer.Argument(help="A person ID.")]

State = Literal["open", "gone", "same", "different"]


@app.command()
def show(
    target: Target,
    person: Annotated[str, typer.Argument(help="A person ID, or an employee number.")],
    trust: Trust = "",
    reveal: Reveal = False,
) -> None:
    """Show who has this person ID or employee number: what they are today, and the facts that rests on."""
    with failing():
        found = asyncio.run(_People(target, trust).show(person, reveal=reveal))
        if not found:
            raise ConfigurationError("nobody of this trust has that person ID or employee number")
    out(found)


@app.command()
def due(target: Target, trust: Trust = "", limit: Limit = 100) -> None:
    """List who changes next without any file, and on which day."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await store.calendar(connection, vpd, limit)

    with failing():
        out(asyncio.run(_People(target, trust).get("/people/due", {"limit": limit}, read)))


@app.command()
def duplicates(
    target: Target, trust: Trust = "", state: State = "open", reveal: Reveal = False, limit: Limit = 100
) -> None:
    """List records that may be one human, and in what they agree."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await views.duplicates(connection, FactStore(SCHEMA), vpd, state, limit, reveal=reveal)

    said = {"state": state, "reveal": reveal, "limit": limit}
    with failing():
        out(asyncio.run(_People(target, trust).get("/duplicates", said, read)))


@app.command()
def same(target: Target, one: PersonId, other: PersonId, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Say that two records are the same human; one of them stands for both from now on."""
    _decide("same", target, one, other, why, trust, now)


@app.command()
def different(target: Target, one: PersonId, other: PersonId, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Say that two records are different humans; the question does not come again."""
    _decide("different", target, one, other, why, trust, now)


@app.command()
def undo(target: Target, one: PersonId, other: PersonId, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Take back what was decided about two records."""
    _decide("undo", target, one, other, why, trust, now)


@restriction.command("show")
def show_restriction(target: Target, trust: Trust = "", limit: Limit = 100, now: Now = None) -> None:
    """Show what is applied, what waits in bridge.yaml, and whom applying it would change."""

    async def act(desk: Desk, vpd: str) -> dict[str, Any]:
        return await desk.restriction(vpd, limit)

    with failing():
        out(asyncio.run(_People(target, trust, now).act("GET", "/restriction", {"params": {"limit": limit}}, act)))


@restriction.command("apply")
def apply_restriction(target: Target, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Apply the restriction that waits in bridge.yaml."""
    people = _People(target, trust, now)

    async def act(desk: Desk, vpd: str) -> dict[str, Any]:
        return await desk.restrict(vpd, people.who, why)

    with failing():
        out(asyncio.run(people.act("POST", "/restriction", {"json": {"who": people.who, "why": why}}, act)))


def _decide(decision: Decision, target: str, one: str, other: str, why: str, trust: str, now: Any) -> None:  # noqa: ANN401 - typer's datetime
    people = _People(target, trust, now)

    async def act(desk: Desk, vpd: str) -> dict[str, Any]:
        return await desk.decide(vpd, one, other, decision, people.who, why)

    said = {"json": {"decision": decision, "who": people.who, "why": why}}
    with failing():
        out(asyncio.run(people.act("POST", f"/duplicates/{one}/{other}", said, act)))


class _People:
    """The same questions and actions, on whichever kind of target."""

    def __init__(self, target: str, trust: str, now: Any = None) -> None:  # noqa: ANN401 - typer's datetime or None
        self._url = target if is_url(target) else ""
        self._folder = Path(target)
        self._trust = trust
        self._now = now
        self.who = getpass.getuser()

    async def show(self, person: str, *, reveal: bool) -> Any:  # noqa: ANN401 - JSON
        if self._url:
            found = await ask(self._url, self._trust, "GET", "/people", params={"q": person})
            ids, said = [one["person_id"] for one in found], {"reveal": reveal}
            return [await ask(self._url, self._trust, "GET", f"/people/{one}", params=said) for one in ids]

        async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
            found = await views.search(connection, vpd, person)
            ids, facts = [one["person_id"] for one in found], FactStore(SCHEMA)
            return [await views.person(connection, facts, vpd, one, reveal=reveal) for one in ids]

        return await self.get("", {}, read)

    async def get(self, path: str, said: dict[str, Any], read: Callable[[Any, str], Awaitable[Any]]) -> Any:  # noqa: ANN401 - JSON
        """Read something, from the service's API or from the folder's own tables."""
        if self._url:
            return await ask(self._url, self._trust, "GET", path, params=said)

        async def work(bridge: Bridge) -> dict[str, Any]:
            vpd = self._only_trust(bridge)
            async with bridge.readers["people"].trust(vpd) as connection:
                return {"found": await read(connection, vpd)}

        return (await with_bridge(self._folder, clock_at(self._now), work))["found"]

    async def act(
        self, method: str, path: str, said: dict[str, Any], act: Callable[[Desk, str], Awaitable[dict[str, Any]]]
    ) -> Any:  # noqa: ANN401 - JSON
        """Do something; in a folder, follow it up until nothing is left to do."""
        if self._url:
            return await ask(self._url, self._trust, method, path, **said)

        async def work(bridge: Bridge) -> dict[str, Any]:
            desk = PeopleHandlers(bridge.components["people"].work, bridge.config).desk
            done = await act(desk, self._only_trust(bridge))
            if method != "GET":
                await bridge.until_idle()
            return done

        return await with_bridge(self._folder, clock_at(self._now), work)

    def _only_trust(self, bridge: Bridge) -> str:
        vpds = [trust.vpd for trust in bridge.config.trusts if self._trust in ("", trust.vpd)]
        if len(vpds) != 1:
            raise ConfigurationError("name one of the trusts of bridge.yaml with --trust")
        return vpds[0]
