"""Guards: runs that wait until somebody lets them go, with how many, what share and whom; let go or refused."""

import asyncio
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console.web.doing import SAY_WHY, act, ask_if, number_of, told, why_of
from services.console.web.reads import RefusedError
from services.console.web.site import Page, Visit

Json = dict[str, Any]
PEOPLE: Final = 20
DAYS: Final = 10
HELD: Final = 1000
"""Held files that are looked at: a trust has a few."""
DONE: Final = {
    "release": "They are released: the accounts are closed within minutes. What comes later is not released.",
    "refuse": "It is written down. They stay held until what brought them is put right.",
    "file-release": "The file is let in.",
    "file-discard": "The file is discarded; nothing of it is applied.",
}
CHOICES: Final = (
    ("release", "Release them: the accounts are closed"),
    ("refuse", "Refuse: they stay held, and the cause is put right"),
)
FILE_CHOICES: Final = {
    "release": "Release it: the file is applied as if nothing kept it back",
    "discard": "Refuse it: the file is discarded, and nothing of it is applied",
}


async def listing(visit: Visit) -> Response:
    """Show what waits, and what was decided about such things before."""
    return await _page(visit, done=DONE.get(visit.asked("done"), ""))


async def _page(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    waiting, days, decisions, files = await asyncio.gather(
        ask_if(visit, "outbound", "guards", "suspensions", limit=PEOPLE),
        ask_if(visit, "outbound", "guards"),
        ask_if(visit, "outbound", "decisions", subject="suspensions"),
        _held(visit),
    )
    about = {"problem": None, "done": "", "place": ""} | said
    return visit.page(
        "guards.html",
        status,
        trust=visit.trust,
        waiting=waiting,
        share=_share(waiting),
        days=(days or [])[:DAYS],
        decisions=(decisions or [])[:DAYS],
        files=files,
        choices=CHOICES,
        **about,
    )


def _share(waiting: Json | None) -> str:
    """Return the share of open accounts that would be closed, with one decimal."""
    if not waiting or not waiting["accounts"]:
        return "0%"
    return f"{100 * waiting['suspensions'] / waiting['accounts']:.1f}%"


async def _held(visit: Visit) -> list[Json] | None:
    """Return the held files that an operator may let in, each with what may be done. None: nobody can tell."""
    found = await ask_if(visit, "ingest", "files", status="held", limit=HELD)
    if found is None:
        return None
    names = list(dict.fromkeys(one["name"] for one in found if one["status"] == "held"))
    arrivals = await asyncio.gather(*(ask_if(visit, "ingest", "files", name) for name in names))
    return [
        one | {"choices": [(name, FILE_CHOICES[name]) for name in FILE_CHOICES if name in one["offers"]]}
        for arrival in arrivals
        for one in arrival or ()
        if "release" in one["offers"]
    ]


async def suspensions(visit: Visit) -> Response:
    """Release or refuse the suspensions that the visitor saw waiting."""
    decision, why, expected = told(visit, "decision"), why_of(visit), number_of(told(visit, "expected"))
    if decision not in ("release", "refuse"):
        return await _page(visit, 422, problem=("suspensions-decision", "Choose what to do"))
    if not why:
        return await _page(visit, 422, problem=("suspensions-why", SAY_WHY))
    said = {"why": why, "expected": expected}
    try:
        deed = f"guards: {decision}"
        await act(visit, "outbound", "guards", "suspensions", decision, deed=deed, subject="suspensions", said=said)
    except RefusedError as error:
        return await _page(visit, 409, problem=("suspensions-why", error.sentence))
    return RedirectResponse(visit.path("guards", done=decision), 303)


async def file(visit: Visit) -> Response:
    """Let a held file in, or discard it."""
    name, decision, why = str(visit.request.path_params["name"]), told(visit, "decision"), why_of(visit)
    place = told(visit, "place", 20) or "file-1"
    if decision not in FILE_CHOICES:
        return await _page(visit, 422, problem=(f"{place}-decision", "Choose what to do"))
    if not why:
        return await _page(visit, 422, problem=(f"{place}-why", SAY_WHY))
    said = {"why": why, "sha256": told(visit, "sha256", 64)}
    try:
        await act(visit, "ingest", "files", name, decision, deed=f"guards: {decision} file", subject=name, said=said)
    except RefusedError as error:
        return await _page(visit, 409, problem=(f"{place}-why", error.sentence))
    return RedirectResponse(visit.path("guards", done=f"file-{decision}"), 303)


_HERE: Final = "/trusts/{vpd}/guards"
PAGES: Final[dict[tuple[str, str], Page]] = {
    ("GET", _HERE): listing,
    ("POST", f"{_HERE}/suspensions"): suspensions,
    ("POST", f"{_HERE}/files/{{name}}"): file,
}
