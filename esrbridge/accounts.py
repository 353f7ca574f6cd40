"""``esrbridge accounts``: accounts in the LMS, of a one-shot folder or of a running ``outbound`` reached by its URL."""

import asyncio
from functools import partial
from typing import Annotated, Any

import typer

from esrbridge.embedded import Bridge
from esrbridge.options import Now, failing, out
from esrbridge.targets import Target
from services.outbound import desk, guard
from services.outbound.desk import AccountDesk, Verdict
from shared.config import TrustConfig
from shared.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Show accounts, decide whose account is whose, release suspensions.")

Where = Annotated[str, typer.Argument(metavar="TARGET", help="Folder of a one-shot bridge, or the URL of outbound.")]
Person = Annotated[str, typer.Argument(help="ESR's person ID.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]


@app.command()
def show(target: Where, person: Person, trust: Trust = "") -> None:
    """Show how a person's account stands: keys, states and codes."""
    with failing():
        read = partial(desk.account, person_id=person)
        found = asyncio.run(Target("outbound", target, trust).get(f"/accounts/{person}", read))
        if not found:
            raise ConfigurationError("no account is kept for this person")
    out(found)


@app.command()
def matches(
    target: Where,
    trust: Trust = "",
    reveal: Annotated[bool, typer.Option("--reveal", help="Show personal values instead of hiding them.")] = False,
) -> None:
    """List the people of whom it is not certain which account is theirs."""
    with failing():
        read = partial(desk.open_matches, reveal=reveal)
        out(asyncio.run(Target("outbound", target, trust).get("/matches", read, reveal=reveal)))


@app.command()
def link(
    target: Where,
    person: Person,
    lms_id: Annotated[str, typer.Argument(help="The candidate's key in the LMS, as matches shows it.")],
    why: Why,
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Say that an account is this person's."""
    _decide(target, person, "link", why, lms_id, trust, now)


@app.command()
def new(target: Where, person: Person, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Say that none of the accounts is this person's; they get one of their own."""
    _decide(target, person, "new", why, "", trust, now)


@app.command()
def undo(target: Where, person: Person, why: Why, trust: Trust = "", now: Now = None) -> None:
    """Take back a link: the account gets its former idnumber, and the question is open again."""
    _decide(target, person, "undo", why, "", trust, now)


@app.command()
def decisions(
    target: Where,
    trust: Trust = "",
    subject: Annotated[str, typer.Option("--subject", help="A person ID, or suspensions.")] = "",
    after: Annotated[int, typer.Option("--after", min=0, help="Go on after the decision of this number.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=desk.LISTED, help="How many.")] = desk.LISTED,
) -> None:
    """List what rules and operators decided, newest first."""
    with failing():
        asked: dict[str, Any] = {"subject": subject, "after": after, "limit": limit}
        read = partial(desk.decisions, **asked)
        out(asyncio.run(Target("outbound", target, trust).get("/decisions", read, **asked)))


@app.command()
def guards(target: Where, trust: Trust = "") -> None:
    """List the days on which suspensions were held."""
    with failing():
        out(asyncio.run(Target("outbound", target, trust).get("/guards", desk.guards)))


@app.command()
def held(
    target: Where,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="People named.")] = 20,
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Show the suspensions that wait now: how many, of how many open accounts, and the first of them."""
    where = Target("outbound", target, trust, now)

    async def look(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        found = bridge.config.trust(vpd) or TrustConfig(vpd=vpd)
        day = bridge.components["outbound"].work.clock.today()
        async with bridge.readers["outbound"].trust(vpd) as connection:
            return await guard.waiting(connection, vpd, day, found.accounts, limit)

    async def ask() -> Any:  # noqa: ANN401 - JSON
        if where.remote:
            return await where.ask("GET", "/guards/suspensions", params={"limit": limit})
        return await where.on_folder(look)

    with failing():
        out(asyncio.run(ask()))


@app.command()
def refuse(
    target: Where,
    why: Why,
    expected: Annotated[int, typer.Option(min=1, help="How many suspensions you saw waiting.")],
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Write down that held suspensions are not to go; they stay held until their cause is put right."""
    where = Target("outbound", target, trust, now)

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await AccountDesk(bridge.components["outbound"].work, where.who).refuse(vpd, expected, why)

    with failing():
        out(asyncio.run(where.act("/guards/suspensions/refuse", {"why": why, "expected": expected}, act)))


@app.command()
def release(
    target: Where,
    why: Why,
    expected: Annotated[int, typer.Option(min=1, help="How many suspensions you saw waiting.")],
    trust: Trust = "",
    now: Now = None,
) -> None:
    """Let held suspensions go."""
    where = Target("outbound", target, trust, now)

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        return await AccountDesk(bridge.components["outbound"].work, where.who).release(vpd, expected, why)

    with failing():
        out(asyncio.run(where.act("/guards/suspensions/release", {"why": why, "expected": expected}, act)))


def _decide(
    target: str,
    person: str,
    verdict: Verdict,
    why: str,
    lms_id: str,
    trust: str,
    now: Any,  # noqa: ANN401
) -> None:
    where = Target("outbound", target, trust, now)
    said = {"decision": verdict, "why": why, "lms_id": lms_id}

    async def act(bridge: Bridge, vpd: str) -> Any:  # noqa: ANN401 - JSON
        desk_ = AccountDesk(bridge.components["outbound"].work, where.who)
        return await desk_.decide(vpd, person, verdict, why, lms_id)

    with failing():
        out(asyncio.run(where.act(f"/matches/{person}/decision", said, act)))
