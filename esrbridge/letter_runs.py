"""``esrbridge dead``, for many letters: assign, hold, note, link, and plans that become runs."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import typer

from esrbridge.letter_target import Letters
from esrbridge.options import Now, failing, out
from services.console.planning import Pace
from services.console.search import Search, Selection
from shared.clock import LONDON
from shared.errors import ConfigurationError

Target = Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running console.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters.")]
Number = Annotated[int, typer.Argument(min=1, help="The plan's number.")]
Trust = Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")]
Why = Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")]
All = Annotated[bool, typer.Option("--all", help="Every open letter that passes the filters.")]
Code = Annotated[str, typer.Option("--code", help="With --all: only letters with this code.")]
Type = Annotated[str, typer.Option("--type", help="With --all: only records of this type.")]
Cause = Annotated[str, typer.Option("--cause", help="With --all: only this group, as 'dead groups' names it.")]
File = Annotated[str, typer.Option("--file", help="With --all: only letters of this file.")]
Staff = Annotated[str, typer.Option("--staff", help="With --all: only letters about this staff number.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to ``esrbridge dead``."""
    for command in (assign, hold, note, link, plan, runs, approve, run, pause, resume, stop):
        app.command()(command)


def assign(
    target: Target,
    letters: Ids = None,
    to: Annotated[str, typer.Option("--to", help="Who looks after them; empty for nobody.")] = "",
    why: Why = "assigned from the command line",
    everything: All = False, code: Code = "", type_: Type = "", cause: Cause = "", file: File = "", staff: Staff = "",
    trust: Trust = "",
) -> None:  # fmt: skip
    """Say who looks after dead letters."""
    chosen = _Chosen(letters, everything, code, type_, cause, file, staff)
    _change(target, trust, "assign", chosen, why, assignee=to)


def hold(
    target: Target,
    letters: Ids = None,
    until: Annotated[datetime | None, typer.Option("--until", help="UK local time; without it the hold ends.")] = None,
    why: Why = "held from the command line",
    everything: All = False, code: Code = "", type_: Type = "", cause: Cause = "", file: File = "", staff: Staff = "",
    trust: Trust = "",
) -> None:  # fmt: skip
    """Let nobody replay dead letters before a moment."""
    chosen = _Chosen(letters, everything, code, type_, cause, file, staff)
    _change(target, trust, "hold", chosen, why, until=until.replace(tzinfo=LONDON) if until else None)


def note(
    target: Target,
    why: Annotated[str, typer.Option("--why", help="The note.")],
    letters: Ids = None,
    everything: All = False, code: Code = "", type_: Type = "", cause: Cause = "", file: File = "", staff: Staff = "",
    trust: Trust = "",
) -> None:  # fmt: skip
    """Write a note beside dead letters."""
    _change(target, trust, "note", _Chosen(letters, everything, code, type_, cause, file, staff), why)


def link(
    target: Target,
    letters: Ids = None,
    ticket: Annotated[str, typer.Option("--ticket", help="The ticket's number or address; empty for none.")] = "",
    why: Why = "linked from the command line",
    everything: All = False, code: Code = "", type_: Type = "", cause: Cause = "", file: File = "", staff: Staff = "",
    trust: Trust = "",
) -> None:  # fmt: skip
    """Link dead letters to a ticket."""
    chosen = _Chosen(letters, everything, code, type_, cause, file, staff)
    _change(target, trust, "link", chosen, why, ticket=ticket)


def plan(
    target: Target,
    why: Why,
    letters: Ids = None,
    everything: All = False, code: Code = "", type_: Type = "", cause: Cause = "", file: File = "", staff: Staff = "",
    discard: Annotated[bool, typer.Option("--discard", help="Plan a discard, not a replay.")] = False,
    canary: Annotated[int | None, typer.Option(min=1, max=100, help="Letters that are sent first.")] = None,
    per_second: Annotated[int | None, typer.Option(min=1, max=10_000, help="Letters a second at most.")] = None,
    allowed_percent: Annotated[int | None, typer.Option(min=0, max=100, help="Failures before it halts.")] = None,
    insist: Annotated[bool, typer.Option("--insist", help="Send what is expected to fail again, too.")] = False,
    trust: Trust = "",
) -> None:  # fmt: skip
    """Fix which dead letters a replay is about and say what each would do; nothing is sent yet."""
    with failing():
        selection = _Chosen(letters, everything, code, type_, cause, file, staff).selection()
        pace = Pace(canary, per_second, allowed_percent, insist)
        out(asyncio.run(Letters(target, trust).plan("discard" if discard else "replay", selection, why, pace)))


def runs(
    target: Target,
    number: Annotated[int, typer.Argument(min=0, help="A plan's number; without it all are listed.")] = 0,
    letters: Annotated[bool, typer.Option("--letters", help="Show the plan's letters, one by one.")] = False,
    trust: Trust = "",
) -> None:
    """Show plans and runs, or how far one has come, as JSON."""
    with failing():
        out(asyncio.run(Letters(target, trust).runs(number, letters=letters)))


def approve(target: Target, number: Number, why: Why, trust: Trust = "") -> None:
    """Agree to a large plan as the second person; never whoever proposed it."""
    _decide(target, trust, number, "approve", why)


def run(
    target: Target, number: Number, why: Why = "started from the command line", trust: Trust = "", now: Now = None
) -> None:
    """Let a plan run: a canary, a ramp, then the rest. In a folder it is watched until it stands still."""
    _decide(target, trust, number, "start", why, now)


def pause(target: Target, number: Number, why: Why = "paused from the command line", trust: Trust = "") -> None:
    """Let a run send no more until it is resumed."""
    _decide(target, trust, number, "pause", why)


def resume(
    target: Target, number: Number, why: Why = "resumed from the command line", trust: Trust = "", now: Now = None
) -> None:
    """Let a run go on that was paused, or that halted by itself."""
    _decide(target, trust, number, "resume", why, now)


def stop(target: Target, number: Number, why: Why = "stopped from the command line", trust: Trust = "") -> None:
    """End a plan or run for good."""
    _decide(target, trust, number, "stop", why)


class _Chosen:
    """Letters named one by one, or all that pass filters."""

    def __init__(
        self, letters: list[str] | None, everything: bool, code: str, type_: str, cause: str, file: str, staff: str
    ) -> None:
        self._letters = tuple(letters or ())
        self._everything = everything
        self._search = Search(code=code, type=type_, cause=cause, file=file, staff=staff)

    def selection(self) -> Selection:
        """Return the selection. Raises ConfigurationError when nothing is chosen, or both ways at once."""
        if bool(self._letters) == self._everything:
            raise ConfigurationError("name the letters, or use --all")
        return Selection(ids=self._letters, search=self._search if self._everything else None)


def _change(target: str, trust: str, action: str, chosen: _Chosen, why: str, **values: Any) -> None:  # noqa: ANN401
    with failing():
        out(asyncio.run(Letters(target, trust).change(action, chosen.selection(), why, **values)))


def _decide(target: str, trust: str, number: int, action: str, why: str, now: datetime | None = None) -> None:
    with failing():
        out(asyncio.run(Letters(target, trust, now).decide(number, action, why)))
