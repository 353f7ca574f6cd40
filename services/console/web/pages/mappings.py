"""Mappings: what is in force, the draft, its faults and effects; put into force, and gone back from."""

import asyncio
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console.web.doing import SAY_WHY, act, ask, ask_if, told, why_of
from services.console.web.pages import mapping_edit
from services.console.web.pages.mapping_edit import CHANGED, current, is_day, keep
from services.console.web.pages.mapping_lines import rest_of, rows_of, seal
from services.console.web.reads import RefusedError
from services.console.web.site import Page, PageError, Visit
from shared.mapping_settings import as_yaml, from_json

Json = dict[str, Any]
SHOWN: Final = 20
SAMPLE: Final = 10
DONE: Final = {
    "draft": "The draft is changed. Nothing is in force until it is applied.",
    "discard": "The draft is thrown away.",
    "apply": "The draft is in force, or will be on its day. Those concerned are decided for again.",
    "undo": "The version before is in force again, or what was to come is called off.",
}


async def overview(visit: Visit) -> Response:
    """Show what is in force, what will be, the draft, what is not mapped, and what was done."""
    return await _overview(visit, done=DONE.get(visit.asked("done"), ""))


async def _overview(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    shown = await ask(visit, "competency", "mappings")
    missing, history = await asyncio.gather(
        ask_if(visit, "competency", "mappings", "missing"), ask_if(visit, "competency", "mappings", "history")
    )
    about = {"problem": None, "done": ""} | said
    return visit.page(
        "mappings.html",
        status,
        trust=visit.trust,
        shown=shown,
        lines=rows_of(shown["in_force"]),
        rest=as_yaml(rest_of(shown["in_force"])),
        missing=missing,
        most=SHOWN,
        history=history,
        **about,
    )


async def begin(visit: Visit) -> Response:
    """Begin a draft as what is in force; one that there is already stays as it is."""
    content, number = await current(visit)
    why = why_of(visit)
    if not number and not why:
        return await _overview(visit, 422, problem=("begin-why", SAY_WHY))
    try:
        if not number:
            await keep(visit, content, why)
    except RefusedError as error:
        return await _overview(visit, 409, problem=("begin-why", error.sentence))
    return RedirectResponse(visit.path("mappings", "draft"), 303)


async def draft(visit: Visit) -> Response:
    """Show the draft, what is wrong with it, and what can be done with it."""
    return await _draft(visit, done=DONE.get(visit.asked("done"), ""))


async def _draft(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    shown = await ask(visit, "competency", "mappings")
    if shown["draft"] is None:
        raise PageError(404, "There is no draft of the mappings. It may have been applied or thrown away.")
    content = shown["draft"]["content"]
    check = await ask_if(visit, "competency", "mappings", "check")
    about = {"problem": None, "done": ""} | said
    return visit.page(
        "mapping_draft.html",
        status,
        trust=visit.trust,
        draft=shown["draft"],
        lines=rows_of(content),
        rest=as_yaml(rest_of(content)),
        check=check,
        seen=seal(content),
        today=visit.site.clock.today().isoformat(),
        **about,
    )


async def preview(visit: Visit) -> Response:
    """Show whom applying the draft would change, and how."""
    try:
        found = await ask(visit, "competency", "mappings", "preview", limit=SAMPLE)
    except RefusedError as error:
        raise PageError(404, error.sentence) from None
    return visit.page("mapping_preview.html", trust=visit.trust, found=found)


async def version(visit: Visit) -> Response:
    """Show what one version says."""
    number = str(visit.request.path_params["version"])
    try:
        content = await ask(visit, "competency", "mappings", "versions", number)
    except RefusedError as error:
        raise PageError(404, error.sentence) from None
    rest = as_yaml(rest_of(content))
    return visit.page("mapping_version.html", trust=visit.trust, version=number, lines=rows_of(content), rest=rest)


async def download(visit: Visit) -> Response:
    """Give a version, or else the draft or what is in force, as YAML."""
    number = visit.asked("version")
    try:
        if number:
            content = await ask(visit, "competency", "mappings", "versions", number)
        else:
            content = (await current(visit))[0]
    except RefusedError as error:
        raise PageError(404, error.sentence) from None
    name = f"mappings-{visit.vpd}{f'-{number}' if number.isdecimal() else ''}.yaml"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_yaml(from_json(content)), media_type="application/yaml", headers=headers)


async def apply(visit: Visit) -> Response:
    """Put the draft into force, today or on a later day; the one that the visitor saw, no other."""
    why, day = why_of(visit), told(visit, "day", 10)
    if day and not is_day(day):
        return await _draft(visit, 422, problem=("apply-day", "Write the day as 2026-03-31, or leave it empty"))
    if not why:
        return await _draft(visit, 422, problem=("apply-why", SAY_WHY))
    content, number = await current(visit)
    if not number or seal(content) != told(visit, "seen"):
        return await _draft(visit, 409, problem=("apply-why", CHANGED))
    return await _do(visit, "apply", {"why": why, "day": day or None}, f"version {number}", _draft, "apply-why")


async def discard(visit: Visit) -> Response:
    """Throw the draft away."""
    why = why_of(visit)
    if not why:
        return await _draft(visit, 422, problem=("discard-why", SAY_WHY))
    return await _do(visit, "discard", {"why": why}, "draft", _draft, "discard-why")


async def undo(visit: Visit) -> Response:
    """Go back to the version before, or call off one that is to come; only from the one that the visitor saw."""
    why, seen = why_of(visit), told(visit, "seen", 20)
    if not why:
        return await _overview(visit, 422, problem=("undo-why", SAY_WHY))
    shown = await ask(visit, "competency", "mappings")
    stands = str((shown["later"] or shown)["version"])
    if stands != seen:
        return await _overview(visit, 409, problem=("undo-why", "Another version is in force by now. Look again"))
    return await _do(visit, "undo", {"why": why}, f"version {stands}", _overview, "undo-why")


async def _do(visit: Visit, action: str, said: Json, subject: str, page: Any, place: str) -> Response:  # noqa: ANN401 - a page
    try:
        await act(visit, "competency", "mappings", action, deed=f"mappings: {action}", subject=subject, said=said)
    except RefusedError as error:
        return await _again(visit, page, (place, error.sentence))
    return RedirectResponse(visit.path("mappings", done=action), 303)


async def _again(visit: Visit, page: Any, problem: tuple[str, str]) -> Response:  # noqa: ANN401 - a page
    answer: Response = await page(visit, 409, problem=problem)
    return answer


_HERE: Final = "/trusts/{vpd}/mappings"
_LINE: Final = f"{_HERE}/draft/lines/{{line}}"
PAGES: Final[dict[tuple[str, str], Page]] = {
    ("GET", _HERE): overview,
    ("GET", f"{_HERE}/draft"): draft,
    ("POST", f"{_HERE}/draft"): begin,
    ("GET", _LINE): mapping_edit.line,
    ("POST", _LINE): mapping_edit.save,
    ("POST", f"{_LINE}/remove"): mapping_edit.remove,
    ("GET", f"{_HERE}/yaml"): mapping_edit.written,
    ("POST", f"{_HERE}/yaml"): mapping_edit.write,
    ("GET", f"{_HERE}/download"): download,
    ("GET", f"{_HERE}/preview"): preview,
    ("GET", f"{_HERE}/versions/{{version}}"): version,
    ("POST", f"{_HERE}/apply"): apply,
    ("POST", f"{_HERE}/discard"): discard,
    ("POST", f"{_HERE}/undo"): undo,
}
