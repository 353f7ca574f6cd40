"""Who holds what is required of them: figures with charts, who runs out soon, and names for who may see them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from starlette.responses import Response

from services.console.web.doing import number_of
from services.console.web.reads import ReadError
from services.console.web.sheets import sheet
from services.console.web.site import PageError, Visit

BY: Final = {
    "subject": ("Subject", "by subject"),
    "organisation": ("Organisation", "by organisation"),
    "staff-group": ("Staff group", "by staff group"),
}
"""What figures are for."""

STATUSES: Final = {
    "compliant": "Valid for more than 90 days",
    "due_30": "Valid, runs out within 30 days",
    "due_60": "Valid, runs out in 31 to 60 days",
    "due_90": "Valid, runs out in 61 to 90 days",
    "expired": "Ran out",
    "never": "Never achieved",
}
CHOICES: Final = {
    "due": "Valid, runs out within 90 days",
    "due_30": STATUSES["due_30"],
    "lacking": "Ran out or never achieved",
    "expired": STATUSES["expired"],
    "never": STATUSES["never"],
}
"""Of whom the list of people tells."""

NARROWING: Final = {"subject": "subject", "organisation": "organisation", "staff-group": "staff_group"}
"""By what a figure is narrowed down, as the service calls it."""

NOBODYS: Final = "-"
"""In an address: people without an organisation or staff group. Empty stands for everybody there."""

PAGE: Final = 50
MOST: Final = 5_000
"""Rows that are listed on pages; a download holds all."""
MOST_OF_ALL: Final = 1_000_000
COLUMNS: Final = (
    "person_id", "name", "employee_number", "organisation", "staff_group", "position", "requirement", "status",
    "expires_on",
)  # fmt: skip
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address or a form asks for."""

    day: str = ""
    by: str = "subject"
    status: str = "due"
    subject: str = ""
    organisation: str = ""
    staff_group: str = ""
    page: int = 1

    @property
    def params(self) -> dict[str, str]:
        """What the service is asked with."""
        said = {"day": self.day, **{name: getattr(self, name) for name in NARROWING.values()}}
        return {name: "" if value == NOBODYS else value for name, value in said.items() if value}

    @property
    def kept(self) -> dict[str, str]:
        """What goes from page to page."""
        return {"day": self.day, **{name: getattr(self, name) for name in NARROWING.values()}}


async def show(visit: Visit) -> Response:
    """Show how far people hold what is required, for each subject, organisation or staff group."""
    asked, problem = _asked(visit.asked)
    figures = await _ask(visit, "compliance", by=asked.by, **asked.params)
    rows = [_bar(row, asked) for row in figures["rows"]]
    return visit.page(
        "compliance.html",
        422 if problem else 200,
        trust=visit.trust,
        rows=rows,
        total=_bar(figures["total"], asked) if figures["total"] else None,
        day=figures["day"],
        asked=asked,
        by=BY,
        narrowed=_narrowed(asked),
        statuses=STATUSES,
        problem=problem,
    )


async def download(visit: Visit) -> Response:
    """Send the figures as CSV; nobody is named in them."""
    asked, problem = _asked(visit.asked)
    if problem:
        return await show(visit)
    figures = await _ask(visit, "compliance", by=asked.by, **asked.params)
    names = ("key", "name", "people", "lacking_people", "required", "valid", "percent", *STATUSES)
    total = [figures["total"] | {"key": "", "name": "total"}] if figures["total"] else []
    rows = [[row[name] for name in names] for row in (*figures["rows"], *total)]
    return sheet(f"compliance-{visit.vpd}-{asked.by}-{figures['day']}.csv", [names, *rows])


async def people(visit: Visit) -> Response:
    """List who stands behind a figure, without who they are."""
    asked, problem = _asked(visit.asked)
    return await _people(visit, asked, problem)


async def names(visit: Visit) -> Response:
    """Show or send the same list with names, after writing down who asked for them, and why."""
    asked, problem = _asked(lambda name: visit.form.get(name, "").strip()[:300])
    why = visit.form.get("why", "").strip()[:1000]
    if not why:
        problem = problem or ("why", "Say why you need the names")
    if problem:
        return await _people(visit, asked, problem)
    whole = visit.form.get("as") == "csv"
    about = ", ".join((asked.status, *(value for value in asked.kept.values() if value)))
    deed = "downloaded names of compliance" if whole else "revealed names of compliance"
    await visit.site.sessions.write_down(visit.vpd, visit.caller.who, deed, subject=about, why=why)
    if not whole:
        return await _people(visit, asked, None, named=True)
    said = await _ask(
        visit, "compliance", "people", status=asked.status, reveal="true", limit=str(MOST_OF_ALL), **asked.params
    )
    rows = [[row[name] for name in COLUMNS] for row in said["rows"]]
    return sheet(f"compliance-{visit.vpd}-{asked.status}-{said['day']}.csv", [COLUMNS, *rows])


async def _people(visit: Visit, asked: Asked, problem: tuple[str, str] | None, *, named: bool = False) -> Response:
    limit, reveal = str(min(asked.page * PAGE, MOST)), "true" if named else "false"
    said = await _ask(visit, "compliance", "people", status=asked.status, reveal=reveal, limit=limit, **asked.params)
    first = (asked.page - 1) * PAGE
    return visit.page(
        "compliance_people.html",
        422 if problem else 200,
        trust=visit.trust,
        rows=said["rows"][first : first + PAGE],
        total=said["total"],
        pages=max(1, -(-min(said["total"], MOST) // PAGE)),
        day=said["day"],
        asked=asked,
        choices=CHOICES,
        narrowed=_narrowed(asked),
        statuses=STATUSES,
        named=named,
        most=MOST,
        problem=problem,
    )


def _asked(said: Any) -> tuple[Asked, tuple[str, str] | None]:  # noqa: ANN401 - a function from name to text
    """Return what is asked for, and which field is wrong. ``said`` tells what stands under a name."""
    day, problem = said("day"), None
    if day:
        try:
            day = date.fromisoformat(day).isoformat() if _DAY.fullmatch(day) else ""
        except ValueError:
            day = ""
        problem = None if day else ("day", "Write the day as 2026-03-31")
    by, status, page = said("by"), said("status"), said("page")
    return Asked(
        day=day,
        by=by if by in BY else "subject",
        status=status if status in CHOICES else "due",
        subject=said("subject"),
        organisation=said("organisation"),
        staff_group=said("staff_group"),
        page=max(1, number_of(page, MOST // PAGE)),
    ), problem


def _bar(row: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """Return a row with the shares that its bar shows, and where it leads."""
    required = row["required"]
    due = row["due_30"] + row["due_60"] + row["due_90"]
    lacking = row["expired"] + row["never"]
    shares = [round(100 * number / required, 2) if required else 0.0 for number in (row["compliant"], due, lacking)]
    narrowed = asked.kept | {NARROWING[asked.by]: row["key"] or NOBODYS}
    return dict(row) | {"due": due, "lacking": lacking, "shares": shares, "narrowed": narrowed}


def _narrowed(asked: Asked) -> list[tuple[str, str]]:
    """Return what the figures are narrowed down to, in words."""
    words = {"subject": "Subject", "organisation": "Organisation", "staff_group": "Staff group"}
    return [
        (word, "none" if getattr(asked, name) == NOBODYS else getattr(asked, name))
        for name, word in words.items()
        if getattr(asked, name)
    ]


async def _ask(visit: Visit, *path: str, **params: str) -> dict[str, Any]:
    try:
        said = await visit.site.reads.get("competency", visit.vpd, *path, **params)
    except ReadError:
        said = None
    if said is None:
        raise PageError(503, "The service that knows who has learnt what does not answer. Try again in a moment.")
    return dict(said)
