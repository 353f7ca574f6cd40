"""Whether last night worked: what the services say, made into a few sentences. No I/O here.

A part is *act* only where somebody has to do something, and silence is such a thing. It is *wait* while work goes on by
itself, and *good* when there is nothing to see to. What cannot be read is *act* too: nobody knows that it is good.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from services.console.web import words
from shared.clock import LONDON

State = Literal["act", "wait", "good"]
Json = dict[str, Any]

RUNNING: Final = frozenset({"received", "checked", "ready", "splitting", "split"})
DECIDED_BY_PEOPLE: Final = frozenset({"F017", "F018"})
"""Codes of held files that wait for an operator; the others wait for another file."""
LOOK_BACK: Final = timedelta(days=2)
"""A refused file is a matter of tonight for so long; then it is history."""
_DATE: Final = re.compile(r"(?<!\d)(20\d{6})(?!\d)")
_RANK: Final[dict[State, int]] = {"act": 0, "wait": 1, "good": 2}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing an operator asks of a night."""

    key: str
    title: str
    state: State
    sentence: str
    facts: Sequence[tuple[str, int | str]] = ()
    page: str = ""
    """The page of the trust that tells more."""
    running: Sequence["Progress"] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """A file at work."""

    name: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Said:
    """What the services said. None: they could not be asked."""

    files: list[Json] | None = None
    alarms: list[Json] | None = None
    late: Mapping[str, list[Json] | None] = field(default_factory=dict)
    """Late steps by service."""
    nights: list[Json] | None = None
    refused: list[Json] | None = None
    guards: list[Json] | None = None
    matches: list[Json] | None = None
    site: Json | None = None
    letters: Mapping[str, int] = field(default_factory=dict)
    """Open dead letters by code."""
    uncounted: frozenset[str] = frozenset()
    """Codes of which there are more, and nobody has counted how many."""


def night(said: Said, today: date) -> list[Part]:
    """Return the parts of a trust's night, in the order an operator looks at them."""
    return [
        _unread("files", "Files from ESR and the LMS", "ingest")
        if said.files is None
        else came(said.files, said.alarms or [], today),
        _unread("accounted", "Every line accounted for", "ingest")
        if said.files is None
        else accounted(said.files, today),
        _unread("sent", "Completions sent to ESR", "confirmations")
        if said.nights is None or said.refused is None
        else sent(said.nights, said.refused),
        steps(said.late),
        letters(said.letters, said.uncounted),
        accounts(said, today),
    ]


def worst(parts: Sequence[Part]) -> State:
    """Return the state of a whole night."""
    return min((part.state for part in parts), key=_RANK.__getitem__, default="good")


def day_of(name: str) -> date | None:
    """Return the day in a file's name, if it has one."""
    found = _DATE.search(name)
    try:
        return datetime.strptime(found.group(1), "%Y%m%d").date() if found else None  # noqa: DTZ007 - a day only
    except ValueError:
        return None


def came_on(one: Json) -> date:
    """Return the day on which a file came, in UK time."""
    return datetime.fromisoformat(one["received_at"]).astimezone(LONDON).date()


def place_of(one: Json) -> str:
    """Return where a file stands in the list of files, as ``ingest`` says it: pages begin after or before that."""
    return f"{one['received_at']}~{one['name']}~{one['sha256']}"


def of_tonight(files: Sequence[Json], today: date) -> list[Json]:
    """Return the files of the newest day that has any, today's if there are, and those that are not settled."""
    days = [day for one in files if (day := day_of(one["name"])) and day <= today]
    newest = max(days, default=today)
    return [one for one in files if day_of(one["name"]) == newest or one["status"] in RUNNING | {"held"}]


def came(files: Sequence[Json], alarms: Sequence[Json], today: date) -> Part:
    """Tell whether the files came."""
    title = "Files from ESR and the LMS"
    if not files:
        return Part("files", title, "act", "No file has ever come for this trust.", page="files")
    tonight = of_tonight(files, today)
    silent = _silence(files, alarms)
    decide = [one for one in tonight if one["status"] == "held" and one["code"] in DECIDED_BY_PEOPLE]
    refused = _refused(files, today)
    missing = _missing(files, alarms)
    running = [Progress(one["name"], _settled(one), one["records"]) for one in tonight if one["status"] in RUNNING]
    waiting = [one for one in tonight if one["status"] == "held" and one not in decide]
    notes = [
        *silent,
        *missing,
        *(f"{one['name']} is held and waits for your decision ({one['code']})." for one in decide),
        *(f"{one['name']} was refused as a whole ({one['code']})." for one in refused),
        *(f"{one['name']} waits for an earlier file ({one['code']})." for one in waiting),
    ]
    newest = max((day for one in files if (day := day_of(one["name"]))), default=None)
    facts = [("Files of the newest day", len(tonight)), ("At work", len(running)), ("Held", len(decide) + len(waiting))]
    if silent or missing or decide or refused:
        return Part("files", title, "act", "Something did not come as it should.", facts, "files", running, notes)
    if running or waiting:
        return Part("files", title, "wait", "Files are being worked on.", facts, "files", running, notes)
    last = f"The newest is of {newest.day} {newest:%B %Y}." if newest else "None carries a date in its name."
    return Part("files", title, "good", f"All files that came were taken. {last}", facts, "files")


def accounted(files: Sequence[Json], today: date) -> Part:
    """Tell whether every line has a fate."""
    title = "Every line accounted for"
    tonight = [one for one in of_tonight(files, today) if one["accounted"]]
    if not tonight:
        return Part("accounted", title, "wait", "No file of the newest day has been applied yet.", page="files")
    groups: dict[str, int] = {}
    for one in tonight:
        for group, number in one["accounted"].items():
            groups[group] = groups.get(group, 0) + number
    records = sum(one["records"] for one in tonight)
    settled = sum(_settled(one) for one in tonight)
    names = [(group.replace("_", " ").capitalize(), number) for group, number in groups.items() if number]
    facts: list[tuple[str, int | str]] = [("Lines", records), *names]
    if all(one["adds_up"] for one in tonight):
        return Part("accounted", title, "good", "The sum over all lines is right.", facts, "files")
    rest = records - settled
    return Part("accounted", title, "wait", f"{rest:,} lines have no fate yet; work goes on.", facts, "files")


def sent(nights: Sequence[Json], refused: Sequence[Json]) -> Part:
    """What went to ESR, and what ESR said."""
    title = "Completions sent to ESR"
    standing = [one for one in refused if one.get("standing", one["number"])]
    overdue = sum(one["overdue"] for one in nights)
    if not nights:
        return Part("sent", title, "good", "Nothing was sent in the last seven days.", page="completions")
    newest = nights[0]
    facts: list[tuple[str, int | str]] = [
        ("Sent", newest["sent"]),
        ("Confirmed", newest["confirmed"]),
        ("Refused", newest["refused"]),
        ("Open", newest["open"]),
        ("Overdue", overdue),
    ]
    notes = [f"{one.get('standing', one['number'])} refused: {_words(one)}" for one in standing]
    last = date.fromisoformat(newest["day"])
    told = f"The last file left on {last.day} {last:%B %Y}."
    if overdue or standing:
        return Part(
            "sent", title, "act", f"ESR refused items, or owes answers. {told}", facts, "completions", notes=notes
        )
    if newest["open"]:
        return Part("sent", title, "wait", f"ESR has not answered everything yet. {told}", facts, "completions")
    return Part("sent", title, "good", f"ESR confirmed everything. {told}", facts, "completions")


def steps(late: Mapping[str, list[Json] | None]) -> Part:
    """Tell whether a step of the night is late, or failed."""
    title = "Steps of the night"
    silent = [service for service, found in late.items() if found is None]
    notes = [f"{service} cannot be asked." for service in silent]
    notes += [
        f"{one['step']} of {one['day']} in {service} {'failed: ' + one['code'] if one['code'] else 'is late'}."
        for service, found in late.items()
        for one in found or ()
    ]
    if notes:
        return Part("steps", title, "act", "A step is late or failed, or a service is silent.", notes=notes)
    return Part("steps", title, "good", "Every step ran when it was due.")


def letters(by_code: Mapping[str, int], uncounted: frozenset[str] = frozenset()) -> Part:
    """Tell whether there are records that could not succeed."""
    number = sum(by_code.values())
    if not number:
        return Part("letters", "Dead letters", "good", "No record waits for an operator.", page="dead-letters")
    sentence = "1 record waits for an operator." if number == 1 else f"{number:,} records wait for an operator."
    if uncounted:
        sentence = f"More than {number:,} records wait for an operator."
    ordered = sorted(by_code.items(), key=lambda one: -one[1])
    facts = [(code, f"more than {letters:,}" if code in uncounted else letters) for code, letters in ordered]
    return Part("letters", "Dead letters", "act", sentence, facts, "dead-letters")


def accounts(said: Said, today: date) -> Part:
    """Tell whether anything about accounts in the LMS waits for somebody."""
    title = "Accounts in the LMS"
    if said.guards is None or said.matches is None:
        return _unread("accounts", title, "outbound")
    held = sum(one["waiting"] for one in said.guards if one["day"] == today.isoformat())
    site = said.site or {}
    findings = [one["sentence"] for one in site.get("findings", [])]
    facts = [("People to match", len(said.matches)), ("Suspensions held", held)]
    if held or said.matches or findings:
        page = "guards" if held else "matches" if said.matches else ""
        return Part("accounts", title, "act", "Somebody has to decide about accounts.", facts, page, notes=findings)
    if site.get("waits"):
        note = f"The LMS is left alone for now ({site['code']}); it is tried again by itself."
        return Part("accounts", title, "wait", "The LMS is away.", facts, notes=[note])
    return Part("accounts", title, "good", "Nothing about accounts waits for a decision.", facts)


def _unread(key: str, title: str, service: str) -> Part:
    return Part(key, title, "act", f"This cannot be told: the service {service} does not answer.")


def _settled(one: Json) -> int:
    return sum(number for group, number in one["accounted"].items() if group != "pending")


def _silence(files: Sequence[Json], alarms: Sequence[Json]) -> list[str]:
    newest = max((day for one in files if (day := day_of(one["name"]))), default=None)
    since = [date.fromisoformat(one["subject"][:10]) for one in alarms if one["kind"] == "silent"]
    stands = [day for day in since if newest is None or newest <= day]
    return [f"Nothing has come from ESR since {max(stands).day} {max(stands):%B %Y}."] if stands else []


def _missing(files: Sequence[Json], alarms: Sequence[Json]) -> list[str]:
    """Return what is late still: neither that day's file nor one of a later day has come."""
    newest = max((day for one in files if (day := day_of(one["name"]))), default=None)
    late = sorted(one["subject"] for one in alarms if one["kind"] == "late")
    days = [date.fromisoformat(one) for one in late]
    stands = [day for day in days if newest is None or newest < day]
    return [f"The file of {day.day} {day:%B %Y} has not come." for day in stands]


def _refused(files: Sequence[Json], today: date) -> list[Json]:
    """Return files refused as a whole of late, which have not come again since and been taken."""
    taken = {one["name"] for one in files if one["status"] not in ("quarantined", "refused")}
    return [
        one
        for one in files
        if one["status"] == "quarantined"
        and one["name"] not in taken
        and today - (day_of(one["name"]) or came_on(one)) <= LOOK_BACK
    ]


def _words(one: Json) -> str:
    said = words.of_completion(one["code"])
    meaning = one.get("meaning") or said["meaning"]
    return f"{one['code']}, {meaning}. What to do: {said['advice']}"
