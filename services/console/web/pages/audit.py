"""Who did what at a trust, when and why."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.responses import RedirectResponse, Response, StreamingResponse

from services.console import trail
from services.console.trail import Asked, Place
from services.console.web.doing import handles
from services.console.web.sheets import attached, lines
from services.console.web.site import Visit
from shared.clock import LONDON

PAGE: Final = 50
COLUMNS: Final = ("at", "who", "deed", "about", "plan", "columns", "why", "before", "after")


async def listing(visit: Visit, wrong: tuple[str, str] | None = None) -> Response:
    """List deeds that match, the newest first, in pages. ``wrong``: what is wrong with a field."""
    asked, problem = _asked(visit)
    problem = wrong or problem
    place = Place.of(visit.asked("before"))
    async with visit.site.reader.trust(visit.vpd) as connection:
        rows = await trail.read(connection, visit.vpd, asked, before=place, limit=PAGE + 1)
    said = {name: visit.asked(name) for name in ("who", "deed", "about", "source", "since", "until")}
    return visit.page(
        "audit.html",
        422 if problem else 200,
        trust=visit.trust,
        rows=[_told(row) for row in rows[:PAGE]],
        said=said,
        filtered=any(said.values()),
        before=str(trail.place_of(rows[PAGE - 1])) if len(rows) > PAGE else "",
        paged=place is not None,
        problem=problem,
    )


async def find_person(visit: Visit) -> Response:
    """Lead to the deeds about a person. The number comes by a form; its keyed hash stands in the address."""
    number = visit.form.get("person", "").strip()[:60]
    if not number:
        return await listing(visit, ("person", "Enter a person ID"))
    return RedirectResponse(visit.path("audit", about=(await handles(visit))(number)), 303)


async def download(visit: Visit) -> Response:
    """Send all that matches as CSV. That somebody took it is written down, too."""
    asked, problem = _asked(visit)
    if problem:
        return await listing(visit)
    await visit.site.sessions.write_down(visit.vpd, visit.caller.who, "downloaded", subject="audit")

    async def written() -> AsyncIterator[str]:
        yield lines([COLUMNS])
        async for rows in trail.everything(visit.site.reader, visit.vpd, asked):
            yield lines([_row(row) for row in rows])

    name = f"audit-{visit.vpd}-{visit.site.clock.today()}.csv"
    return StreamingResponse(written(), media_type="text/csv", headers=attached(name))


def _asked(visit: Visit) -> tuple[Asked, tuple[str, str] | None]:
    """Return what is asked for, and which field is wrong."""
    problem: tuple[str, str] | None = None
    days: dict[str, datetime | None] = {"since": None, "until": None}
    for name in days:
        if said := visit.asked(name):
            try:
                days[name] = datetime.strptime(said, "%Y-%m-%d").replace(tzinfo=LONDON)
            except ValueError:
                problem = problem or (name, "Write the day as 2026-03-31")
    until = days["until"]
    source = visit.asked("source")
    asked = Asked(
        who=visit.asked("who"),
        deed=visit.asked("deed"),
        about=visit.asked("about"),
        source="letters" if source == "letters" else "pages" if source == "pages" else None,
        since=days["since"],
        until=until + timedelta(days=1) if until and until.year < 9999 else None,
    )
    return asked, problem


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the page shows it: what changed as one list, without empty names of columns."""
    changed = [
        {"name": name, "before": row["before"].get(name), "after": row["after"].get(name)}
        for name in sorted(row["before"].keys() | row["after"].keys())
        if row["before"].get(name) != row["after"].get(name)
    ]
    return row | {"changed": changed, "columns": [one for one in row["columns"] if one]}


def _row(row: dict[str, Any]) -> list[Any]:
    told = _told(row)
    return [
        row["at"].astimezone(LONDON).isoformat(timespec="seconds"),
        row["who"],
        row["deed"],
        row["about"],
        row["plan"] or "",
        " ".join(told["columns"]),
        row["why"],
        json.dumps(row["before"]) if row["before"] else "",
        json.dumps(row["after"]) if row["after"] else "",
    ]
