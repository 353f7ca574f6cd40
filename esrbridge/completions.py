"""``esrbridge completions``: what became of each completion, of a one-shot folder or of running services."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from esrbridge.embedded import Bridge
from esrbridge.options import failing, out
from esrbridge.targets import Target
from services.confirmations import figures, store
from services.confirmations.ledger import MOST as MOST_LIVES
from services.confirmations.ledger import ledger
from shared.errors import ConfigurationError

app: Final = typer.Typer(no_args_is_help=True, help="Completions on their way to ESR, and ESR's answers.")

SERVICE: Final = "confirmations"

Where = Annotated[
    str, typer.Argument(metavar="TARGET", help="Folder of a one-shot bridge, or the URL of confirmations.")
]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
PersonId = Annotated[str | None, typer.Option("--person", help="Only of this person (ESR's person ID).")]
Key = Annotated[str | None, typer.Option("--key", help="Only of this completion (the LMS's own reference).")]
Reference = Annotated[str | None, typer.Option("--reference", help="Only of this reference, which ESR echoes.")]
File = Annotated[str | None, typer.Option("--file", help="Only of this completion file.")]
After = Annotated[str, typer.Option("--after", help="Go on after the page that ended so.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=store.MOST, help="Rows of a page.")]


@app.callback()
def completions() -> None:
    """Completions on their way to ESR, and ESR's answers."""


@app.command("list")
def list_(
    target: Where,
    state: Annotated[
        Literal["open", "confirmed", "rejected"] | None, typer.Option("--state", help="Only in this state.")
    ] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only with this code of ESR's.")] = None,
    person: PersonId = None,
    key: Key = None,
    reference: Reference = None,
    file: File = None,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only what ESR should have answered and was not sent again since.")
    ] = False,
    after: After = "",
    limit: Limit = 100,
    trust: Trust = "",
) -> None:
    """List items by file and position: what was sent, and where it stands."""
    asked = _said(state=state, code=code, person_id=person, key=key, reference=reference, sent_file=file)

    async def read(connection: AsyncConnection, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return (await store.page(connection, vpd, asked, after, limit, overdue=overdue))[0]

    params = {("file" if name == "sent_file" else name): value for name, value in asked.items()}
    paged: dict[str, Any] = {"after": after, "limit": limit, "overdue": overdue}
    with _asking():
        out(asyncio.run(Target(SERVICE, target, trust).get("/completions", read, **paged, **params)))


@app.command()
def show(
    target: Where,
    person: PersonId = None,
    key: Key = None,
    reference: Reference = None,
    file: File = None,
    after: After = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LIVES, help="Completions of a page.")] = 50,
    trust: Trust = "",
) -> None:
    """Show the ledger: each completion from the LMS's word to where it stands, with every item and answer."""
    asked = _said(person_id=person, key=key, reference=reference, sent_file=file)

    async def work(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        async with bridge.readers[SERVICE].trust(vpd) as connection:
            return await ledger(connection, vpd, asked, bridge.config.trust(vpd), after, limit)

    where = Target(SERVICE, target, trust)
    params = {("file" if name == "sent_file" else name): value for name, value in asked.items()}
    with _asking():
        if where.remote:
            params |= {"after": after, "limit": str(limit)}
            out(asyncio.run(where.ask("GET", "/completions/ledger", params=params)))
        else:
            out(asyncio.run(where.on_folder(work)))


@app.command()
def files(target: Where, file: File = None, after: After = "", limit: Limit = 100, trust: Trust = "") -> None:
    """Show each completion file, newest first: sent = confirmed + refused + open, and what is open by reference."""

    async def read(connection: AsyncConnection, vpd: str) -> Any:  # noqa: ANN401 - JSON
        found, last = await figures.sent_files(connection, vpd, after, limit, only=file or "")
        return {"files": found, "next": last}

    params = {"after": after, "limit": limit, **_said(file=file)}
    with _asking():
        out(asyncio.run(Target(SERVICE, target, trust).get("/completions/files", read, **params)))


@app.command()
def night(
    target: Where,
    since: Annotated[datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day.")] = None,
    trust: Trust = "",
) -> None:
    """Show the files of each day together, newest first."""
    first, last = since.date() if since else None, until.date() if until else None

    async def read(connection: AsyncConnection, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await figures.nights(connection, vpd, since=first, until=last)

    params = {name: day.isoformat() for name, day in (("since", first), ("until", last)) if day}
    with _asking():
        out(asyncio.run(Target(SERVICE, target, trust).get("/completions/nights", read, **params)))


@app.command()
def refused(target: Where, trust: Trust = "") -> None:
    """Show refusals by ESR's code: what it means, what to do, what follows by itself, how many, and since when."""
    with _asking():
        out(asyncio.run(Target(SERVICE, target, trust).get("/completions/refused", figures.refused)))


@app.command()
def unmatched(target: Where, after: After = "", limit: Limit = 100, trust: Trust = "") -> None:
    """Show answers of ESR that fit nothing that was sent, or contradict others."""

    async def read(connection: AsyncConnection, vpd: str) -> Any:  # noqa: ANN401 - JSON
        found, last = await figures.unmatched(connection, vpd, after, limit)
        return {"unmatched": found, "next": last}

    with _asking():
        out(asyncio.run(Target(SERVICE, target, trust).get("/completions/unmatched", read, after=after, limit=limit)))


@contextmanager
def _asking() -> Iterator[None]:
    """End with one sentence where something is wrong, a page that never was among it."""
    with failing():
        try:
            yield
        except ValueError as error:
            raise ConfigurationError("--after is not what a page ended with") from error


def _said(**asked: str | None) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value is not None}
