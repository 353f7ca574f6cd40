"""The draft of the mappings, edited: begun, line by line, or as a whole file."""

from datetime import date
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console.web.doing import SAY_WHY, act, ask, number_of, told, why_of
from services.console.web.pages.mapping_lines import (
    DIRECTIONS,
    EXPIRIES,
    FIELDS,
    form_of,
    read_form,
    seal,
    with_row,
)
from services.console.web.reads import RefusedError
from services.console.web.site import PageError, Visit
from services.console.web.uploads import LONGEST
from shared.errors import DecisionError
from shared.mapping_settings import Row, as_json, as_yaml, from_json, from_yaml

Json = dict[str, Any]
CHANGED: Final = "Somebody changed the mappings meanwhile. Look at them again, then decide"
NEW: Final = "new"


async def current(visit: Visit) -> tuple[Json, int]:
    """Return the draft's content and number; where there is none, what is in force and 0."""
    shown = await ask(visit, "competency", "mappings")
    if shown["draft"]:
        return shown["draft"]["content"], int(shown["draft"]["version"])
    return shown["in_force"], 0


async def line(visit: Visit) -> Response:
    """Show one mapping of the draft as a form; a new one may begin with what is not mapped yet."""
    content, _ = await current(visit)
    number, row = _row(visit, content)
    blank = dict.fromkeys(FIELDS, "") | {"direction": "both", "expiry": "lms"}
    asked = {name: visit.asked(name) for name in ("competence_id", "competence", "certification")}
    return _form(visit, number, form_of(row) if row else blank | asked, seal(content))


async def save(visit: Visit) -> Response:
    """Change or add one mapping of the draft."""
    content, _ = await current(visit)
    number, before = _row(visit, content)
    said = {name: told(visit, name, 700) for name in FIELDS}
    row, problem = read_form(said, before)
    why = why_of(visit)
    if problem is None and not why:
        problem = ("line-why", SAY_WHY)
    if problem is None and seal(content) != told(visit, "seen"):
        problem = ("line-why", CHANGED)
    if problem is not None or row is None:
        return _form(visit, number, said, told(visit, "seen"), 422, problem)
    try:
        await keep(visit, with_row(content, number, row), why)
    except RefusedError as error:
        return _form(visit, number, said, seal(content), 409, ("line-why", error.sentence))
    return RedirectResponse(visit.path("mappings", "draft", done="draft"), 303)


async def remove(visit: Visit) -> Response:
    """Take one mapping out of the draft."""
    content, _ = await current(visit)
    number, row = _row(visit, content)
    if row is None:
        raise PageError(404, "There is no such mapping in the draft.")
    why = why_of(visit)
    problem = None if why else ("remove-why", SAY_WHY)
    if problem is None and seal(content) != told(visit, "seen"):
        problem = ("remove-why", CHANGED)
    if problem is not None:
        return _form(visit, number, form_of(row), told(visit, "seen"), 422, problem)
    try:
        await keep(visit, with_row(content, number, None), why)
    except RefusedError as error:
        return _form(visit, number, form_of(row), seal(content), 409, ("remove-why", error.sentence))
    return RedirectResponse(visit.path("mappings", "draft", done="draft"), 303)


async def written(visit: Visit) -> Response:
    """Show the whole draft as YAML, to be changed here or put in as a file."""
    content, number = await current(visit)
    return _yaml(visit, as_yaml(from_json(content)), number, seal(content))


async def write(visit: Visit) -> Response:
    """Make a whole file, or what was written on the page, the draft."""
    text = visit.form.get("file", "")[:LONGEST]
    text = text if text.strip() else visit.form.get("content", "").replace("\r\n", "\n")
    content, number = await current(visit)
    why, seen = why_of(visit), told(visit, "seen")
    try:
        said = from_yaml(text)
    except DecisionError as error:
        sentence = error.sentence[:1].upper() + error.sentence[1:]
        return _yaml(visit, text, number, seen, 422, ("yaml-content", sentence))
    if not why:
        return _yaml(visit, text, number, seen, 422, ("yaml-why", SAY_WHY))
    if seal(content) != seen:
        return _yaml(visit, text, number, seal(content), 409, ("yaml-why", CHANGED))
    try:
        await keep(visit, as_json(said), why)
    except RefusedError as error:
        return _yaml(visit, text, number, seen, 409, ("yaml-content", error.sentence))
    return RedirectResponse(visit.path("mappings", "draft", done="draft"), 303)


def is_day(text: str) -> bool:
    """Whether this is a day as 2026-03-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


async def keep(visit: Visit, content: Json, why: str) -> None:
    """Make this the draft's content. Raises RefusedError."""
    said = {"why": why, "content": content}
    await act(visit, "competency", "mappings", "draft", deed="mappings: draft", subject="draft", said=said)


def _row(visit: Visit, content: Json) -> tuple[int, Row | None]:
    """Return the number of the mapping that the address names, and the mapping; 0 and None for a new one."""
    name = str(visit.request.path_params["line"])
    rows = from_json(content).mappings
    number = number_of(name)
    if name != NEW and not 0 < number <= len(rows):
        raise PageError(404, "There is no such mapping in the draft.")
    return (0, None) if name == NEW else (number, rows[number - 1])


def _form(
    visit: Visit,
    number: int,
    said: dict[str, str],
    seen: str,
    status: int = 200,
    problem: tuple[str, str] | None = None,
) -> Response:
    return visit.page(
        "mapping_line.html",
        status,
        trust=visit.trust,
        number=number,
        line=str(number) if number else NEW,
        said=said,
        seen=seen,
        directions=DIRECTIONS,
        expiries=EXPIRIES,
        problem=problem,
    )


def _yaml(
    visit: Visit, text: str, number: int, seen: str, status: int = 200, problem: tuple[str, str] | None = None
) -> Response:
    return visit.page(
        "mapping_yaml.html", status, trust=visit.trust, text=text, number=number, seen=seen, problem=problem
    )
