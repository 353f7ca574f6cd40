"""Files: which came, what became of one, and of any line of it."""

from typing import Any, Final

from starlette.responses import Response

from services.console.web.night import RUNNING, day_of, place_of
from services.console.web.reads import ReadError, RefusedError
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
STATUSES: Final = (
    "received", "checked", "held", "ready", "splitting", "split", "complete", "quarantined", "refused", "discarded",
)  # fmt: skip
"""Where a file can stand, as ``ingest`` says."""


async def listing(visit: Visit) -> Response:
    """List files, the newest first, in pages: each knows where the older and the newer ones begin."""
    status, after, before = visit.asked("status"), visit.asked("after"), visit.asked("before")
    if status not in ("", *STATUSES):
        raise PageError(404, "There is no such status.")
    said = {"status": status, "after": after, "before": "" if after else before}
    found = await _page(visit, {name: value for name, value in said.items() if value})
    if said["before"] and len(found) <= PAGE:  # the first page, which is to be a whole one
        said["before"] = ""
        found = await _page(visit, {"status": status} if status else {})
    more = len(found) > PAGE
    shown = found[-PAGE:] if said["before"] else found[:PAGE]
    newer = more if said["before"] else bool(after)
    older = True if said["before"] else more
    return visit.page(
        "files.html",
        trust=visit.trust,
        files=[_told(one) for one in shown],
        chosen=status,
        statuses=STATUSES,
        newer=place_of(shown[0]) if newer and shown else "",
        older=place_of(shown[-1]) if older and shown else "",
        paged=bool(after),
    )


async def _page(visit: Visit, said: dict[str, str]) -> list[dict[str, Any]]:
    try:
        return list(await visit.site.reads.get("ingest", visit.vpd, "files", limit=PAGE + 1, **said))
    except RefusedError:
        raise PageError(404, "There is no such page of the list.") from None
    except ReadError:
        raise _away() from None


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
        raise _away() from None
    if found is None and must:
        raise PageError(404, "No file of this name has come for this trust.")
    return found


def _away() -> PageError:
    return PageError(503, "The service that keeps files does not answer. Try again in a moment.")
