"""``esrbridge demo``: three nights of an invented trust, from the full file to ESR's confirmations.

Everything is real but the two ends: the sandbox ESR writes and answers files by its own rules, the sandbox LMS keeps
accounts and certifications and lets its learners complete some. Both remember what they did, so that a second run finds
everything done and changes nothing.
"""

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from esrbridge.codes import advice
from esrbridge.embedded import Bridge
from esrbridge.lms import IN_PROCESS
from esrbridge.once import with_bridge
from esrbridge.progress import progress_bars
from esrbridge.report import collect
from esrbridge.simulation import trust_section, write_config
from sandbox.esr import SandboxEsr
from sandbox.lms import SandboxLms
from shared.accounting import GROUPS
from shared.clock import FixedClock

VPD: Final = "999"
FIRST_DAY: Final = date(2026, 3, 2)
ENDED_COMPETENCE: Final = "3100002"
"""Id of the competence that ESR ends during the story."""

LMS_STATE: Final = "sandbox-lms.sqlite"


async def run_demo(folder: Path, people: int, seed: int, screen: Console) -> None:
    """Run the story in ``folder`` and print its outcome. Raises ConfigurationError."""
    lms_address = {"driver": "sandbox", "url": f"{IN_PROCESS}{LMS_STATE}"}
    write_config(folder, [trust_section(VPD, "Example Hospital") | {"lms": lms_address}])
    story = _Story(folder, people, seed, screen)
    report = await with_bridge(folder, story.clock, story.tell)
    _show(report["trusts"][VPD], screen)
    screen.print(f"\nFiles from ESR:  {folder / VPD / 'from-esr'}\nFiles to ESR:    {folder / VPD / 'to-esr'}")
    screen.print(f"From the LMS:    {folder / VPD / 'from-lms'}\nState and log:   {folder / 'state'}")
    screen.print(f"More: esrbridge status {folder}   esrbridge dead list {folder}")


class _Story:
    """What happens, day by day."""

    def __init__(self, folder: Path, people: int, seed: int, screen: Console) -> None:
        self._trust = folder / VPD
        self._people = people
        self._screen = screen
        self._esr = SandboxEsr(folder / "sandbox-esr.sqlite", VPD, seed=seed)
        self._lms = SandboxLms(folder / LMS_STATE, VPD, seed=seed)
        self.clock = FixedClock(datetime.combine(FIRST_DAY, time(6, 0)))

    async def tell(self, bridge: Bridge) -> dict[str, Any]:
        from_esr, to_esr, from_lms = (self._trust / name for name in ("from-esr", "to-esr", "from-lms"))
        second, third = FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=2)
        with progress_bars(self._screen, shown=True) as bars:
            self._say("ESR's full file: people, assignments, competences")
            self._esr.populate(self._people, FIRST_DAY)
            self._esr.write_full(from_esr, FIRST_DAY)
            await bridge.until_idle(bars)
            self._say("The first night: ESR's changes")
            self.clock.set(datetime.combine(second, time(6, 0)))
            # ESR ends the competence without naming a successor: what learners complete of it will be refused.
            self._esr.end_competence(ENDED_COMPETENCE, FIRST_DAY)
            self._esr.write_changes(from_esr, second)
            await bridge.until_idle(bars)
            self._say("The day: learners complete certifications; they leave for ESR at the cut-off")
            self._lms.live(second)
            self._lms.export_completions(from_lms, datetime.combine(second, time(17, 30)))
            self.clock.set(datetime.combine(second, time(18, 0)))
            await bridge.until_idle(bars)
            self._say("The second night: ESR confirms, and sends the next changes")
            self.clock.set(datetime.combine(third, time(6, 30)))
            self._esr.answer(to_esr, from_esr, datetime.combine(third, time(6, 12)))
            self._esr.write_changes(from_esr, third)
            await bridge.until_idle(bars)
        return await collect(bridge)

    def _say(self, what: str) -> None:
        self._screen.print(f"[bold]{what}[/bold]")


def _show(trust: dict[str, Any], screen: Console) -> None:
    """Print what a trust manager wants to know."""
    table = Table(title=f"Trust {VPD}, {trust['name']}, after three nights", title_justify="left", show_header=False)
    table.add_column("what", style="bold")
    table.add_column("how many", justify="right")
    table.add_column("meaning", style="dim")
    people, accounts, completions = trust["people"], trust["accounts"], trust["completions"]
    _rows(table, "People", people, {
        "employee": "work here today", "applicant": "hold an offer", "leaver": "have left",
        "out_of_scope": "applied, no offer yet",
    })  # fmt: skip
    _rows(table, "Accounts", accounts, {
        "permanent": "employees", "temporary": "applicants, from the offer on", "suspended": "leavers and withdrawn",
        "none": "never had one and need none", "refused": "the LMS refused",
    })  # fmt: skip
    table.add_row(
        "Certifications in the LMS", f"{trust['certifications'].get('delivered', 0):,}", "from ESR competences"
    )
    table.add_row(
        "Evidence in the LMS", f"{trust['evidence'].get('delivered', 0):,}", "competences that are not mapped"
    )
    table.add_section()
    sent = sum(completions.get(state, 0) for state in ("sent", "confirmed", "rejected"))
    table.add_row("Completions sent to ESR", f"{sent:,}", "")
    table.add_row("  confirmed", f"{completions.get('confirmed', 0):,}", "ESR holds them")
    table.add_row("  failed", f"{completions.get('rejected', 0):,}", "ESR refused them")
    table.add_row("  open", f"{completions.get('sent', 0):,}", "not answered yet")
    table.add_section()
    sums = {group: sum(file["accounted"].get(group, 0) for file in trust["files"]) for group in GROUPS[1:]}
    lines = sum(file["records"] for file in trust["files"])
    table.add_row("Lines received", f"{lines:,}", f"in {len(trust['files'])} files")
    for group, number in sums.items():
        table.add_row(f"  {group.replace('_', ' ')}", f"{number:,}", "")
    table.add_row(
        "  accounted for", f"{sum(sums.values()):,}", "every one" if sum(sums.values()) == lines else "MISSING"
    )
    screen.print(table)
    for code, number in trust["refused_by_esr"].items():
        screen.print(f"refused by ESR: {number} with {code}: {advice(code)}")
    for letter in trust["dead_letter_list"]:
        screen.print(f"dead letter: {letter['file']} line {letter['line']}: {letter['code']}: {letter['reason']}")


def _rows(table: Table, title: str, counts: dict[str, int], meanings: dict[str, str]) -> None:
    table.add_row(title, f"{sum(counts.values()):,}", "")
    for state, meaning in meanings.items():
        if counts.get(state):
            table.add_row(f"  {state.replace('_', ' ')}", f"{counts[state]:,}", meaning)
    table.add_section()
