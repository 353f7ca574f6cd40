"""A sandbox ESR that goes on: it looks at a trust's folders again and again and answers what it finds.

Confirmations and requests it reads too: a full file is written once the moment has come that was asked for. It also
takes in feed files that somebody else put into ``from-esr``: what a real ESR sends it holds, so it must be able
to judge completions of those people. An ESR that invented its own trust takes in nothing.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sandbox import database
from sandbox.esr import SandboxEsr
from sandbox.esr_format import LAYOUTS, FileName, lines_of, parse_name, split, values_of
from sandbox.esr_ledger import SENT, Ledger
from sandbox.esr_mail import Mail
from sandbox.esr_returns import Returns
from shared.clock import Clock, SystemClock

_FEEDS: Final = ("CSF", "CSC")
_DELETES: Final = ("ASD", "CMD")


def watch(
    state: Path,
    vpd: str,
    folder: Path,
    *,
    seed: int = 1,
    every: float = 2.0,
    rounds: int = 0,
    clock: Clock | None = None,
) -> Iterator[str]:
    """Yield a line for each file taken in or written; ``folder`` holds ``to-esr`` and ``from-esr``.

    ``every`` is the pause between two rounds in seconds; ``rounds`` ends the watch after so many, 0 never.
    Raises ConfigurationError when ``state`` belongs to another trust or seed.
    """
    esr = SandboxEsr(state, vpd, seed=seed)
    clock = clock or SystemClock()
    to_esr, from_esr = folder / "to-esr", folder / "from-esr"
    for inbox in (to_esr, from_esr):
        inbox.mkdir(parents=True, exist_ok=True)
    done = 0
    while True:
        yield from (f"took in {name}" for name in take_in(state, vpd, from_esr))
        yield from (f"wrote {path.name}" for path in esr.answer(to_esr, from_esr, clock.now()))
        yield from (f"wrote {path.name}" for path in esr.write_requested(from_esr, clock.now()))
        done += 1
        if done == rounds:
            return
        time.sleep(every)


def take_in(state: Path, vpd: str, from_esr: Path) -> list[str]:
    """Load feed files this ESR does not know yet, in the order of their numbers; return their names.

    A file without a trailer is still being written and waits for the next call. Records of the wrong width are left
    out, and so are deletes of anything but assignments and competences: this ESR keeps no history of the rest.
    """
    found = filter(None, (parse_name(path.name) for path in from_esr.glob("*")))
    feeds = sorted((one for one in found if one.vpd == vpd and one.kind in _FEEDS), key=lambda one: one.sequence)
    with database.transaction(state) as connection:
        ledger = Ledger(connection)
        if ledger.setting("populated") is not None:
            return []
        mail, returns = Mail(connection), Returns(connection)
        foreign = (name for name in feeds if not mail.is_ours(str(name)))
        return [str(name) for name in foreign if _load(ledger, returns, from_esr, name)]


def _load(ledger: Ledger, returns: Returns, folder: Path, name: FileName) -> bool:
    noted = f"taken in {name}"
    if ledger.setting(noted) is not None:
        return False
    lines = lines_of((folder / str(name)).read_bytes())
    if not lines or not lines[-1].startswith("TRL~"):
        return False
    for fields in map(split, lines[1:-1]):
        if fields[0] in _DELETES:
            ledger.remove(f"{fields[0][:-1]}A", fields[1])
        elif len(fields) == len(LAYOUTS.get(fields[0], ())) + 1:
            ledger.put(fields[0], values_of(fields), pending=SENT)
    # New records must not take a number that is in use, and the next feed file follows the last one.
    elements = [int(key) for key in ledger.keys("CMA", sent=True) if key.isdigit()]
    ledger.set("counter:element", str(max(elements, default=12_000_000)))
    ledger.set("counter:feed file", str(name.sequence))
    ledger.set("feed window end", name.day.isoformat())
    ledger.mark_sent(everything=True)
    returns.note_sent(str(name), lines[1:-1])
    ledger.set(noted, name.day.isoformat())
    return True
