"""One person's file: found by a form, masked until somebody says why they need it, then shown or handed out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from services.console import person_file
from services.console.web.doing import handles
from services.console.web.reads import ReadError
from services.console.web.sheets import attached, sheet
from services.console.web.site import PageError, Visit
from services.console.web.words import coded

LONGEST: Final = 60
COLUMNS: Final = ("service", "part", "row", "name", "value")
PARTS: Final = {
    "people": "Person",
    "competency": "Learning",
    "outbound": "Towards the LMS and ESR",
    "confirmations": "What ESR answered",
    "ingest": "Files",
    "console": "Records that failed",
}
"""What the services are called for whom the file is for."""


async def ask(visit: Visit) -> Response:
    """Ask whose file it is about."""
    return _page(visit)


async def find(visit: Visit) -> Response:
    """Show what is held of whoever has this number, values hidden. It comes by a form, so it stands in no address."""
    number = visit.form.get("number", "").strip()[:LONGEST]
    if not number:
        return _page(visit, 422, problem=("number", "Enter a person ID or an employee number"))
    found = [] if visit.form.get("exactly") else await _known_as(visit, number)
    if len(found) > 1:
        return _page(visit, found=found)
    person_id = found[0]["person_id"] if found else number
    file = await _whole(visit, person_id)
    if not file["services"]:
        return _page(visit, 422, problem=("number", "Nothing is held of anybody with this number"))
    await _write_down(visit, "looked up a person", person_id)
    return _page(visit, file=file)


async def reveal(visit: Visit) -> Response:
    """Show or hand out the whole file, after writing down who asked for it, and why."""
    person_id = visit.form.get("person", "").strip()[:LONGEST]
    why = visit.form.get("why", "").strip()[:1000]
    if not person_id:
        return _page(visit, 422, problem=("number", "Enter a person ID or an employee number"))
    file = await _whole(visit, person_id)
    if not file["services"]:
        return _page(visit, 422, problem=("number", "Nothing is held of anybody with this number"))
    if not why:
        return _page(visit, 422, file=file, problem=("why", "Say why you need it, for example a request's number"))
    form = visit.form.get("as", "page")
    deed = f"downloaded a person's file ({form})" if form in _FORMS else "revealed a person's file"
    await _write_down(visit, deed, person_id, why)
    if form in _FORMS:
        return _FORMS[form](visit, file)
    return _page(visit, file=file, shown=True)


async def _known_as(visit: Visit, number: str) -> list[dict[str, Any]]:
    try:
        found = await visit.site.reads.get("people", visit.vpd, "people", q=number)
    except ReadError:
        raise _away("people") from None
    return list(found or [])


async def _whole(visit: Visit, person_id: str) -> dict[str, Any]:
    async def held(service: str) -> list[dict[str, Any]]:
        try:
            said = await visit.site.reads.get(service, visit.vpd, "people", person_id, "file")
        except ReadError:
            raise _away(service) from None
        if said is None:
            raise _away(service)
        return list(said["sections"])

    site = visit.site
    return await person_file.whole(held, site.reader, site.clock, visit.vpd, person_id)


def _away(service: str) -> PageError:
    return PageError(503, f"The service {service} does not answer; the file would have a gap. Try again in a moment.")


async def _write_down(visit: Visit, deed: str, person_id: str, why: str = "") -> None:
    subject = (await handles(visit))(person_id)
    await visit.site.sessions.write_down(visit.vpd, visit.caller.who, deed, subject=subject, why=why)


def _as_json(_: Visit, file: dict[str, Any]) -> Response:
    return JSONResponse(file, headers=attached(person_file.name_of(file, "json", _made(file))))


def _as_csv(_: Visit, file: dict[str, Any]) -> Response:
    rows = [COLUMNS, *person_file.rows_of(file)]
    return sheet(person_file.name_of(file, "csv", _made(file)), rows)


def _as_html(visit: Visit, file: dict[str, Any]) -> Response:
    written = visit.site.templates.get_template("person_download.html").render(trust=visit.trust, file=_told(file))
    headers = attached(person_file.name_of(file, "html", _made(file)))
    return Response(written, media_type="text/html", headers=headers)


_FORMS: Final[dict[str, Callable[[Visit, dict[str, Any]], Response]]] = {
    "json": _as_json,
    "csv": _as_csv,
    "html": _as_html,
}
"""Forms in which a file is handed out."""


def _made(file: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(file["made_at"])


def _told(file: dict[str, Any]) -> dict[str, Any]:
    """Return the file with every row as a list of names, values and, where the value is a code, what it means."""

    def told(service: str, section: dict[str, Any]) -> dict[str, Any]:
        rows = (
            [(name, value, coded(service, name, value)) for name, value in person_file.flat(row)]
            for row in section["rows"]
        )
        return section | {"rows": list(rows)}

    services = [
        {"title": PARTS[service["service"]], "sections": [told(service["service"], one) for one in service["sections"]]}
        for service in file["services"]
    ]
    return file | {"services": services}


def _page(
    visit: Visit,
    status: int = 200,
    *,
    file: dict[str, Any] | None = None,
    found: list[dict[str, Any]] | None = None,
    problem: tuple[str, str] | None = None,
    shown: bool = False,
) -> Response:
    masked = [one | {"title": PARTS[one["service"]]} for one in person_file.counted(file)] if file else []
    return visit.page(
        "person.html",
        status,
        trust=visit.trust,
        person_id=file["person_id"] if file else "",
        masked=masked,
        file=_told(file) if file and shown else None,
        not_included=person_file.NOT_INCLUDED,
        found=found or [],
        problem=problem,
    )
