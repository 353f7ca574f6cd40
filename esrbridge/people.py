"""``esrbridge people``: people of a one-shot folder, or of a running ``people`` service reached by its URL."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from esrbridge.embedded import Bridge
from esrbridge.options import Now, failing, out
from esrbridge.person_file import file
from esrbridge.targets import Target as Where
from services.people import store, views
from services.people.desk import Decision, Desk
from services.people.handlers import PeopleHandlers
from services.people.schema import SCHEMA
from shared.db.facts import FactStore
from shared.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Who is what and why, who changes when, and which records are one human.")
restriction = typer.Typer(no_args_is_help=True, help="Which of ESR's people a trust wants, and changes of that.")
app.add_typer(restriction, name="restriction")
app.command()(file)

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
        found = asyncio.run(_show(_where(target, trust), person, reveal=reveal))
        if not found:
            raise ConfigurationError("nobody of this trust has that person ID or employee number")
    out(found)


@app.command()
def due(target: Target, trust: Trust = "", limit: Limit = 100) -> None:
    """List who changes next without any file, and on which day."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await store.calendar(connection, vpd, limit)

    with failing():
        out(asyncio.run(_where(target, trust).get("/people/due", read, limit=limit)))


@app.command()
def duplicates(
    target: Target,
    trust: Trust = "",
    state: State = "open",
    reveal: Reveal = False,
    limit: Limit = 100,
    after: Annotated[str, typer.Option("--after", help="Go on after this pair of person IDs, as ONE~OTHER.")] = "",
) -> None:
    """List records that may be one human, and in what they agree."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await views.duplicates(connection, FactStore(SCHEMA), vpd, state, limit, reveal=reveal, after=after)

    with failing():
        said = {"state": state, "reveal": reveal, "limit": limit, "after": after}
        out(asyncio.run(_where(target, trust).get("/duplicates", read, **said)))


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
    where = _where(target, trust, now)

    async def look(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await _desk(bridge).restriction(vpd, limit)

    with failing():
        asked = where.ask("GET", "/restriction", params={"limit": limit}) if where.remote else where.on_folder(look)
        out(asyncio.run(asked))


@restriction.command("apply")
def apply_restriction(target: Target, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Apply the restriction that waits in bridge.yaml."""
    where = _where(target, trust, now)

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await _desk(bridge).restrict(vpd, where.who, why)

    with failing():
        out(asyncio.run(where.act("/restriction", {"why": why}, act)))


def _decide(decision: Decision, target: str, one: str, other: str, why: str, trust: str, now: datetime | None) -> None:
    where = _where(target, trust, now)

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await _desk(bridge).decide(vpd, one, other, decision, where.who, why)

    with failing():
        out(asyncio.run(where.act(f"/duplicates/{one}/{other}", {"decision": decision, "why": why}, act)))


def _where(target: str, trust: str, now: datetime | None = None) -> Where:
    return Where("people", target, trust, now)


async def _show(where: Where, person: str, *, reveal: bool) -> Any:  # noqa: ANN401 - JSON
    if where.remote:
        found = await where.ask("GET", "/people", params={"q": person})
        return [await where.ask("GET", f"/people/{one['person_id']}", params={"reveal": reveal}) for one in found]

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        found = await views.search(connection, vpd, person)
        ids, facts = [one["person_id"] for one in found], FactStore(SCHEMA)
        return [await views.person(connection, facts, vpd, one, reveal=reveal) for one in ids]

    return await where.get("", read)


def _desk(bridge: Bridge) -> Desk:
    return PeopleHandlers(bridge.components["people"].work, bridge.config).desk
