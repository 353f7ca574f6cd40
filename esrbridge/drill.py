"""The drill: five incidents, a task sheet, and a way to tell whether an operator has cleared them.

Run with ``python -m esrbridge.drill``. Each incident happens in an invented trust of its own, in one folder, while the
business clock stands still. Which five of the kinds there are, and with what numbers, is drawn by a seed.
"""

import asyncio
import contextlib
import io
import json
import random
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from esrbridge.cli import app
from esrbridge.drill_accounts import Leavers, Mistaken
from esrbridge.drill_completions import Refused, Silence
from esrbridge.drill_files import Gap, Half
from esrbridge.drill_incidents import Incident, Verdict
from esrbridge.drill_letters import Burst, Poison
from esrbridge.drill_lms import SECRETS, TOKEN, Barred
from esrbridge.drill_stage import LAST_NIGHT, MAIL, NOW, Place, at, look
from esrbridge.embedded import Bridge
from esrbridge.once import CONFIG, with_bridge
from esrbridge.options import failing
from services.console.checking import forget_profiles
from shared.clock import FixedClock
from shared.errors import ConfigurationError

KINDS: Final[tuple[type[Incident], ...]] = (Poison, Burst, Gap, Half, Leavers, Mistaken, Silence, Refused, Barred)
DRAWN: Final = 5
FIRST_VPD: Final = 951
DRAW: Final = "drill.json"
SHEET: Final = "TASKS.md"
"""In the folder: what was drawn, and what the operator is told."""

Cleared = list[tuple[Incident, Verdict]]


@dataclass(frozen=True, slots=True)
class Draw:
    """Which incidents there are."""

    seed: int
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, seed: int) -> "Draw":
        """Draw incidents by a seed."""
        dice = random.Random(seed)  # noqa: S311 - a game
        return cls(seed, tuple(kind.kind for kind in dice.sample(KINDS, DRAWN)))

    def incidents(self, folder: Path) -> list[Incident]:
        """Return the incidents, each in a trust of its own."""
        known = {kind.kind: kind for kind in KINDS}
        return [known[kind](Place(folder, str(FIRST_VPD + place)), self.seed) for place, kind in enumerate(self.kinds)]


def drawn_in(folder: Path) -> Draw:
    """Return what was drawn for a folder. Raises ConfigurationError."""
    try:
        said = json.loads((folder / DRAW).read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{folder} holds no drill; begin one with: python -m esrbridge.drill") from None
    return Draw(said["seed"], tuple(said["kinds"]))


def begin(folder: Path, draw: Draw) -> None:
    """Make the folder anew, and live through the nights until the operator comes in."""
    if folder.exists():
        drawn_in(folder)  # what is no drill is not deleted
        shutil.rmtree(folder)
    incidents = draw.incidents(folder)
    folder.mkdir(parents=True)
    (folder / DRAW).write_text(json.dumps({"seed": draw.seed, "kinds": draw.kinds}), "utf-8")
    trusts = {"trusts": [one.section() for one in incidents]}
    (folder / CONFIG).write_text(yaml.safe_dump(trusts, sort_keys=False), "utf-8")
    for one in incidents:
        one.prepare()
        for name, content in one.mail():
            one.place.put(MAIL, name, content)
    clock = FixedClock(at(0, 6))

    async def live(bridge: Bridge) -> dict[str, Any]:
        for night in range(LAST_NIGHT + 1):
            clock.set(at(night, 6, 30))
            for one in incidents:
                one.happens(night)
            _deliver(incidents, "from-esr", night)
            await bridge.until_idle(at_once=False)
            if night == LAST_NIGHT:
                clock.set(datetime.fromisoformat(NOW))
            else:
                clock.set(at(night, 18, 5))
                _deliver(incidents, "from-lms", night)
            await bridge.until_idle(at_once=False)
        return {}

    asyncio.run(with_bridge(folder, clock, live))
    (folder / SHEET).write_text(sheet(folder, incidents), "utf-8")


def _deliver(incidents: Sequence[Incident], inbox: str, night: int) -> None:
    for one in incidents:
        for name, content in one.night(night) if inbox == "from-esr" else one.afternoon(night):
            one.place.put(inbox, name, content)


def check(folder: Path) -> Cleared:
    """Return every incident with what tells whether it is cleared."""
    incidents = drawn_in(folder).incidents(folder)
    found: Cleared = []

    async def judge(bridge: Bridge) -> dict[str, Any]:
        for one in incidents:
            found.append((one, one.check(await look(bridge, one.place))))
        return {}

    asyncio.run(with_bridge(folder, FixedClock(datetime.fromisoformat(NOW)), judge))
    return found


class Terminal:
    """The operator's shell, for the model solution. ``typed`` remembers each command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.typed: list[str] = []

    def esrbridge(self, *arguments: str) -> Any:  # noqa: ANN401 - what the command prints
        """Run a command; return what it prints. Raises ConfigurationError when it could not run."""
        self.typed.append(" ".join(["esrbridge", *arguments]))
        forget_profiles()
        given = [str(self.folder) if one == "FOLDER" else one for one in arguments]
        printed, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
            code = app(given, standalone_mode=False)
        if code not in (None, 0, 1):
            raise ConfigurationError(f"esrbridge {' '.join(arguments)}: {told.getvalue().strip()}")
        said = printed.getvalue()
        return json.loads(said) if said.startswith(("{", "[")) else said

    def copy_mail(self, vpd: str) -> None:
        """Copy what was sent to the operator into the trust's ``from-esr``."""
        self.typed.append(f"cp FOLDER/{MAIL}/{vpd}/* FOLDER/{vpd}/from-esr/")
        for path in sorted((self.folder / MAIL / vpd).iterdir()):
            shutil.copy(path, self.folder / vpd / "from-esr" / path.name)

    def renew_secret(self, vpd: str) -> None:
        """Put the token that was sent to the operator where the trust's old one stands."""
        self.typed.append(f"cp FOLDER/{MAIL}/{vpd}/{TOKEN} FOLDER/{SECRETS}/lms-{vpd}")
        shutil.copy(self.folder / MAIL / vpd / TOKEN, self.folder / SECRETS / f"lms-{vpd}")


def solve(folder: Path) -> list[str]:
    """Clear every incident as the runbook says; return what was typed."""
    shell = Terminal(folder)
    for one in drawn_in(folder).incidents(folder):
        one.solve(shell)
    return shell.typed


def sheet(folder: Path, incidents: Sequence[Incident]) -> str:
    """Return the task sheet."""
    tasks = "\n\n".join(
        f"## {place}. Trust {one.vpd}\n\n{textwrap.fill(one.task(), 100)}" for place, one in enumerate(incidents, 1)
    )
    return f"""# The drill

It is Monday, 9 March 2026, 11:00, and stays so. You operate a bridge of {len(incidents)} trusts; something has
gone wrong in each. Clear it, by what docs/operating.md says ("Runbook"). What others have sent you lies in mail/.

    export ESRBRIDGE_NOW={NOW}
    esrbridge status {folder}              and every other command of esrbridge, with {folder} as its target
    python -m esrbridge.console {folder} --now {NOW}     the pages, on http://127.0.0.1:8106

The pages and a command cannot work on the folder at the same time: end the one before the other.
Are you done? `python -m esrbridge.drill {folder} --check` tells, and why not. Give reasons for what you do.

{tasks}
"""


def show(found: Cleared) -> None:
    """Print which incidents are cleared, and by what that is told."""
    for one, verdict in found:
        typer.echo(f"Trust {one.vpd}: {'cleared' if verdict.cleared else 'NOT cleared'}")
        for holds, sentence in verdict.points:
            typer.echo(f"  {'yes' if holds else 'NO '}  {sentence}")
    typer.echo(f"{sum(verdict.cleared for _, verdict in found)} of {len(found)} incidents are cleared.")


def drill(
    folder: Annotated[Path, typer.Argument(help="The drill's own folder; made anew.")] = Path(".drill"),
    seed: Annotated[int, typer.Option(min=1, help="Another seed draws other incidents, with other numbers.")] = 1,
    check_: Annotated[bool, typer.Option("--check", help="Tell which incidents are cleared, and which not.")] = False,
    solve_: Annotated[bool, typer.Option("--solve", help="Clear them as the runbook says, showing how.")] = False,
) -> None:
    """Begin a drill: five incidents for an operator. Or tell how far it has come."""
    with failing():
        if solve_:
            typer.echo("\n".join(solve(folder)).replace("FOLDER", str(folder)))
        elif not check_:
            begin(folder, Draw.of(seed))
            typer.echo((folder / SHEET).read_text("utf-8"))
            return
        found = check(folder)
    show(found)
    raise typer.Exit(0 if all(verdict.cleared for _, verdict in found) else 1)


if __name__ == "__main__":
    typer.run(drill)
