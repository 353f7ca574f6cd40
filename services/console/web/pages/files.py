"""Files: which came, what became of one, and of any line of it."""

from typing import Any, Final

from starlette.responses import Response

from services.console.web.night import RUNNING, day_of
from services.console.web.reads import ReadError
from services.console.web.site import PageError, Visit

PAGE: Final = 50
MOST_LINE: Final = 2_000_000_000
STATES: Final = {
    "complete": ("green", "Complete"),
    "held": ("orange", "Held"),
    "quarantined": ("red", "Refused as a whole"),
    "refused": ("grey", "Refused"),
    "discarded": ("grey", "Discarded"),
    "ignored": ("grey", "Ignored"),
}
"""Colour and words for a file's status; what is at work is blue."""


async def listing(visit: Visit) -> Response:
    """List files, the newest first, in pages."""
    found: list[dict[str, Any]] = await _read(visit, "files")
    status = visit.asked("status")
    chosen = [one for one in reversed(found) if not status or one["status"] == status]
    number = visit.asked("page")
    page = max(1, int(number)) if number.isascii() and number.isdecimal() and len(number) < 7 else 1
    first = (page - 1) * PAGE
    return visit.page(
        "files.html",
        trust=visit.trust,
        files=[_told(one) for one in chosen[first : first + PAGE]],
        chosen=status,
        statuses=sorted({one["status"] for one in found}),
        total=len(chosen),
        page=page,
        pages=max(1, -(-len(chosen) // PAGE)),
    )


async def show(visit: Visit) -> Response:
    """Show every arrival of a name, its account, and on request the fate of one line."""
    name = str(visit.request.path_params["name"])
    arrivals = await _read(visit, "files", name)
    line, fate, problem = visit.asked("line"), None, ""
    if line:
        if not (line.isascii() and line.isdecimal() and 0 < int(line[:12]) <= MOST_LINE and len(line) < 12):
            problem = "Enter the number of a line, for example 17"
        else:
            fate = await _read(visit, "files", name, "lines", str(int(line)), must=False)
            problem = "" if fate else f"Line {int(line)} has no fate: there is no such line, or it is still at work"
    return visit.page(
        "file.html",
        trust=visit.trust,
        name=name,
        arrivals=[_told(one) for one in arrivals],
        line=line,
        fate=fate,
        problem=problem,
    )


def _told(one: dict[str, Any]) -> dict[str, Any]:
    colour, word = STATES.get(one["status"], ("blue", one["status"].capitalize()))
    settled = sum(number for group, number in one["accounted"].items() if group != "pending")
    share = 100 * settled // one["records"] if one["records"] else 100
    at_work = one["status"] in RUNNING
    return one | {
        "colour": colour,
        "word": word,
        "settled": settled,
        "share": share,
        "at_work": at_work,
        "day": day_of(one["name"]),
    }


async def _read(visit: Visit, *path: str, must: bool = True) -> Any:  # noqa: ANN401 - JSON
    try:
        found = await visit.site.reads.get("ingest", visit.vpd, *path)
    except ReadError:
        raise PageError(503, "The service that keeps files does not answer. Try again in a moment.") from None
    if found is None and must:
        raise PageError(404, "No file of this name has come for this trust.")
    return found
