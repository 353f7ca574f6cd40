"""``esrbridge completions resend|withdraw|settle|cases|write``: an operator's word on completions, at ``outbound``."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from esrbridge.completions import app
from esrbridge.embedded import Bridge
from esrbridge.options import Now, failing, out
from esrbridge.targets import Target
from services.outbound.api import CompletionDecision, decide_on
from services.outbound.completions import CompletionFiles
from services.outbound.towards_esr.desk import CompletionDesk, open_cases
from shared.config import explain
from shared.errors import ConfigurationError
from shared.profiles import load_profiles

__all__ = ["app"]

Where = Annotated[str, typer.Argument(metavar="TARGET", help="Folder of a one-shot bridge, or the URL of outbound.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]
Reference = Annotated[str, typer.Option("--reference", help="One of its references, as ESR echoes it.")]
Person = Annotated[str, typer.Option("--person", help="ESR's person ID, with --key.")]
Key = Annotated[str, typer.Option("--key", help="The completion's key, with --person.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]


@app.command()
def resend(
    target: Where,
    why: Why,
    reference: Reference = "",
    file: Annotated[str, typer.Option("--file", help="All that is in this file.")] = "",
    code: Annotated[str, typer.Option("--code", help="All that ESR refused with this code.")] = "",
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Have sent again, with the next file and marked as a resend, what ESR has not loaded."""
    _decide(target, trust, now, decision="resend", why=why, reference=reference, file=file, code=code)


@app.command()
def withdraw(
    target: Where,
    why: Why,
    reference: Reference = "",
    person: Person = "",
    key: Key = "",
    undo: Undo = False,
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Have ESR give a completion back, or never be sent it, whatever the LMS says."""
    decision = "restore" if undo else "withdraw"
    _decide(target, trust, now, decision=decision, why=why, reference=reference, person_id=person, key=key)


@app.command()
def settle(
    target: Where,
    why: Why,
    reference: Reference = "",
    person: Person = "",
    key: Key = "",
    undo: Undo = False,
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Give up a case: nothing more is sent of it until the LMS says something new."""
    decision = "reopen" if undo else "settle"
    _decide(target, trust, now, decision=decision, why=why, reference=reference, person_id=person, key=key)


@app.command()
def cases(
    target: Where,
    person: Annotated[str, typer.Option("--person", help="Go on after this person ID and --key.")] = "",
    key: Annotated[str, typer.Option("--key", help="Go on after this key of --person.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Rows at most.")] = 100,
    trust: Trust = "",
) -> None:
    """List the completions that wait for an operator."""

    async def read(connection: Any, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await open_cases(connection, vpd, person_id=person, key=key, limit=limit)

    with failing():
        params = {"person_id": person, "key": key, "limit": limit}
        out(asyncio.run(Target("outbound", target, trust).get("/completion-cases", read, **params)))


@app.command()
def write(
    target: Where,
    why: Why,
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="Run the cut-off of this day again.")
    ] = None,
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Write a completion file now, or what the cut-off of a day missed, and deliver what is not delivered."""
    where = Target("outbound", target, trust, now)
    said: dict[str, Any] = {"why": why} | ({"day": day.strftime("%Y-%m-%d")} if day else {})

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        work, trusts = bridge.components["outbound"].work, bridge.config.trusts
        files = CompletionFiles(work, trusts, load_profiles(trusts), bridge.folder, work.clock)
        number = int(day.strftime("%Y%m%d")) if day else 0
        written = await (files.night(vpd, number) if number else files.write(vpd))
        await files.deliver()
        await CompletionDesk(work, where.who).wrote(vpd, why, number, written)
        return {"completions": written}

    with failing():
        out(asyncio.run(where.act("/completion-files", said, act)))


def _decide(target: str, trust: str, now: datetime | None, **words: str) -> None:
    where = Target("outbound", target, trust, now)
    said = {name: value for name, value in words.items() if value}

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        desk = CompletionDesk(bridge.components["outbound"].work, where.who)
        return await decide_on(desk, vpd, decision)

    with failing():
        try:
            decision = CompletionDecision.model_validate({"who": where.who, **said})
        except ValidationError as error:
            raise ConfigurationError(explain(error)) from None
        out(asyncio.run(where.act("/completion-decisions", said, act)))
