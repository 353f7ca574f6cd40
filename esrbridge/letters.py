"""``esrbridge dead``: dead letters of a one-shot folder, or of a console reached by its URL.

One by one here; many at once, plans and runs in ``esrbridge.letter_runs``.
"""

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console

from esrbridge import letter_runs
from esrbridge.letter_target import Letters
from esrbridge.options import Json, Now, failing, out
from services.console.domain import State
from services.console.search import Search
from shared.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Find, mend, replay and close dead letters, one or many.")

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running console.")]
LetterId = Annotated[str, typer.Argument(help="The letter's id, or the first characters of it.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]


@app.command("list")
def list_(
    target: Target,
    trust: Trust = "",
    state: State = "open",
    code: Annotated[str, typer.Option(help="Only letters with this code.")] = "",
    type_: Annotated[str, typer.Option("--type", help="Only records of this type, as person.upsert.")] = "",
    cause: Annotated[str, typer.Option(help="Only letters of this group, as 'dead groups' names it.")] = "",
    file: Annotated[str, typer.Option(help="Only letters of this file.")] = "",
    line: Annotated[int, typer.Option(min=0, help="Only this line of the file.")] = 0,
    staff: Annotated[str, typer.Option(help="Only letters about this staff number.")] = "",
    assignee: Annotated[str, typer.Option(help="Only letters that this person looks after.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 10_000,
    json_: Json = False,
) -> None:
    """List dead letters by file and line."""
    search = Search(
        state=state, code=code, type=type_, cause=cause, file=file, line=line, staff=staff, assignee=assignee
    )
    with failing():
        found = asyncio.run(Letters(target, trust).listing(search, limit))
    if json_:
        out(found)
        return
    screen = Console(soft_wrap=True)
    for letter in found:
        where = f"{letter['file']} line {letter['line']}" if letter["file"] else letter["type"]
        screen.print(f"{letter['id'][:12]}  {letter['vpd']}  {where}  {letter['code']}: {letter['reason']}")
    screen.print(f"{len(found)} {state}")


@app.command("groups")
def groups_(target: Target, trust: Trust = "", state: State = "open", json_: Json = False) -> None:
    """List the causes of dead letters, the largest group first, with what to do about each."""
    with failing():
        found = asyncio.run(Letters(target, trust).groups(state))
    if json_:
        out(found)
        return
    screen = Console(soft_wrap=True)
    for group in found:
        number = f"{group['letters']:>7}{'+' if group['more'] else ' '}"
        screen.print(f"{number} {group['cause']}  {group['meaning']}. {group['advice']}", highlight=False)


@app.command()
def show(
    target: Target,
    letter: LetterId,
    trust: Trust = "",
    reveal: bool = False,
    edits: Annotated[bool, typer.Option("--edits", help="Show every edit and what it changed instead.")] = False,
) -> None:
    """Show one dead letter. Values of its columns are masked unless you reveal them."""
    with failing():
        letters = Letters(target, trust)
        out(asyncio.run(letters.edits(letter, reveal=reveal) if edits else letters.show(letter, reveal=reveal)))


@app.command()
def edit(
    target: Target,
    letter: LetterId,
    set_: Annotated[list[str], typer.Option("--set", help="column=value; an empty value removes the column.")],
    why: Why,
    trust: Trust = "",
    replay: Annotated[bool, typer.Option("--replay", help="Send it at once, if nothing is wrong with it.")] = False,
    now: Now = None,
) -> None:
    """Change columns of a dead letter's record before replaying it. The original is kept."""
    with failing():
        changes = dict(_assignment(one) for one in set_)
        out(asyncio.run(Letters(target, trust, now).edit(letter, changes, why, replay=replay)))


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
        told = asyncio.run(Letters(target, trust, now).replay(letters or [], everything, code, why))
    if json_:
        out(told)
    else:
        for letter in told:
            typer.echo(f"{letter['id'][:12]}  {letter['state']}  {letter['code'] if letter['state'] == 'open' else ''}")


@app.command()
def discard(target: Target, letter: LetterId, why: Why, trust: Trust = "") -> None:
    """Close a dead letter without replay. A reason is needed. For many at once see 'dead plan --discard'."""
    with failing():
        out(asyncio.run(Letters(target, trust).discard(letter, why)))


@app.command()
def undo(
    target: Target,
    letter: Annotated[str, typer.Argument(help="A discarded letter's id.")] = "",
    why: Why = "undone from the command line",
    plan: Annotated[int, typer.Option("--plan", min=0, help="Instead: every letter that this plan discarded.")] = 0,
    trust: Trust = "",
) -> None:
    """Open a discarded letter again, or all that a plan discarded."""
    with failing():
        if bool(letter) == bool(plan):
            raise ConfigurationError("name a letter, or a plan with --plan")
        letters = Letters(target, trust)
        out(asyncio.run(letters.decide(plan, "undo", why) if plan else letters.undo(letter, why)))


@app.command()
def audit(
    target: Target,
    letter: Annotated[str, typer.Option("--letter", help="Only what was done to this letter: its whole id.")] = "",
    plan: Annotated[int, typer.Option("--plan", min=0, help="Only what was done in this plan.")] = 0,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    trust: Trust = "",
) -> None:
    """Tell who did what to dead letters, when and why, as JSON, oldest first."""
    with failing():
        told: Any = asyncio.run(Letters(target, trust).audit(letter, plan, after, limit))
    out(told)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigurationError("--set takes column=value")
    return name, value


letter_runs.add_to(app)
