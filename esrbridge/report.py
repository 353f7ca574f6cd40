"""What a one-shot run tells: one object for programs, and tables for people. Nothing personal is in either."""

from typing import Any

from rich.console import Console
from rich.table import Table

from esrbridge.embedded import Bridge
from esrbridge.options import ATTENTION, FINE
from services.competency import store as competency
from services.confirmations import store as confirmations
from services.console import actions
from services.console import store as console
from services.ingest import roster, watch
from services.ingest import store as ingest
from services.ingest.requests import listing
from services.outbound import store as outbound
from services.outbound.desk import open_questions
from services.people import store as people


async def collect(bridge: Bridge) -> dict[str, Any]:
    """Return the whole report; its schema is in ``docs/cli.md``."""
    trusts = {trust.vpd: await _trust(bridge, trust.vpd, trust.name) for trust in bridge.config.trusts}
    attention = bool(bridge.waiting_for) or any(_needs_attention(trust) for trust in trusts.values())
    return {"exit": ATTENTION if attention else FINE, "waiting_for": bridge.waiting_for, "trusts": trusts}


async def _trust(bridge: Bridge, vpd: str, name: str) -> dict[str, Any]:
    readers = bridge.readers
    async with readers["ingest"].trust(vpd) as connection:
        files = await ingest.overview(connection, vpd)
        absent = await roster.absentees(connection, vpd)
        alarms = await watch.listing(connection, vpd)
        requests = await listing(connection, vpd)
    async with readers["people"].trust(vpd) as connection:
        states = await people.count_by_state(connection, vpd)
    async with readers["competency"].trust(vpd) as connection:
        verdicts = await competency.count_by_verdict(connection, vpd)
        parked = await competency.parked(connection, vpd)
    async with readers["outbound"].trust(vpd) as connection:
        counts = await outbound.counts(connection, vpd)
        questions = await open_questions(connection, vpd)
    async with readers["confirmations"].trust(vpd) as connection:
        refused = await confirmations.count_refused(connection, vpd)
        answers = await confirmations.attention(connection, vpd)
    async with readers["console"].trust(vpd) as connection:
        letters = [actions.summary(row) for row in await console.listing(connection, vpd)]
        by_code = await console.count_by_code(connection, vpd)
    late_steps = [one for name in bridge.components for one in await _late(bridge, name, vpd)]
    return {
        "name": name,
        "files": files,
        "absent": absent,
        "alarms": alarms,
        "requests": requests,
        "late_steps": late_steps,
        "people": states,
        "accounts": counts["accounts"],
        "operator": questions,
        "certifications": counts["certification"],
        "evidence": counts["evidence"],
        "completions": counts["completions"],
        "refused_by_esr": refused,
        "answers_of_esr": answers,
        "decisions": verdicts,
        "events": dict(bridge.events.get(vpd, {})),
        "parked": parked,
        "dead_letters": by_code,
        "dead_letter_list": letters,
    }


async def _late(bridge: Bridge, service: str, vpd: str) -> list[dict[str, Any]]:
    nights = bridge.components[service].nights
    if nights is None:
        return []
    async with bridge.readers[service].trust(vpd) as connection:
        return await nights.late(connection, vpd)


def _needs_attention(trust: dict[str, Any]) -> bool:
    """A quarantined file that came again in order, under the same name, needs nobody's attention any more."""
    complete = {file["name"] for file in trust["files"] if file["status"] == "complete"}
    return bool(trust["dead_letters"]) or any(
        file["status"] not in ("complete", "discarded")
        and not (file["status"] == "quarantined" and file["name"] in complete)
        for file in trust["files"]
    )


def show(report: dict[str, Any], screen: Console) -> None:
    """Print the report as tables that a trust manager understands."""
    for vpd, trust in report["trusts"].items():
        screen.print(f"\n[bold]Trust {vpd}[/bold] {trust['name']}")
        screen.print(_files_table(trust))
        screen.print(_state_table(trust))
        for file in trust["files"]:
            if file["status"] not in ("complete", "discarded"):
                screen.print(f"  {file['name']}: {file['status']}, {file['code']}: {file['reason']}", style="yellow")
            for reason, number in file["reasons"].items():
                screen.print(f"  {file['name']}: {number} {reason}", style="cyan")
        _show_questions(trust, screen)
        for letter in trust["dead_letter_list"][:10]:
            where = f"{letter['file']} line {letter['line']}"
            screen.print(
                f"  dead letter {letter['id'][:12]}  {where}  {letter['code']}: {letter['reason']}", style="red"
            )
    if report["waiting_for"]:
        screen.print(f"Waiting for something that is away: {report['waiting_for']}", style="yellow")


def _show_questions(trust: dict[str, Any], screen: Console) -> None:
    """Print what somebody should look at, or decide."""
    for alarm in trust["alarms"]:
        screen.print(f"  file calendar: {alarm['kind']}, {alarm['subject']}", style="yellow")
    for step in trust["late_steps"]:
        code = f", {step['code']}" if step["code"] else ""
        screen.print(f"  step {step['step']} of {step['day']}: {step['state']}, not done in time{code}", style="yellow")
    if trust["answers_of_esr"]["overdue"]:
        screen.print(f"  {trust['answers_of_esr']['overdue']} answers of ESR are overdue", style="yellow")
    if trust["answers_of_esr"]["unmatched"]:
        screen.print(f"  {trust['answers_of_esr']['unmatched']} answers of ESR are odd", style="yellow")
    if trust["absent"]:
        screen.print(f"  {len(trust['absent'])} people were left out of a full file", style="yellow")
    if trust["operator"]["matches"]:
        screen.print(f"  {trust['operator']['matches']} people may have an account already", style="yellow")
    if trust["operator"]["suspensions"]:
        screen.print(f"  {trust['operator']['suspensions']} suspensions wait for a release", style="yellow")


def _files_table(trust: dict[str, Any]) -> Table:
    table = Table(title="Every line accounted for", title_justify="left")
    groups = ("applied", "unchanged", "superseded", "parked", "ignored", "dead_lettered")
    table.add_column("file")
    table.add_column("status")
    for heading in ("records", *groups, "adds up"):
        table.add_column(heading.replace("_", " "), justify="right")
    for file in trust["files"]:
        accounted = file["accounted"]
        sums = [str(accounted.get(group, 0)) for group in groups]
        table.add_row(file["name"], file["status"], str(file["records"]), *sums, "yes" if file["adds_up"] else "no")
    return table


def _state_table(trust: dict[str, Any]) -> Table:
    table = Table(title="Where things stand", title_justify="left", show_header=False)
    table.add_column("what", style="bold")
    table.add_column("how many")
    rows = (
        ("People", trust["people"]),
        ("Accounts in the LMS", trust["accounts"]),
        ("Certifications to the LMS", trust["certifications"]),
        ("Evidence to the LMS", trust["evidence"]),
        ("Completions to ESR", trust["completions"]),
        ("Dead letters", trust["dead_letters"]),
    )
    for name, counts in rows:
        told = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in sorted(counts.items()))
        table.add_row(name, told or "none")
    return table
