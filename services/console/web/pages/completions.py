"""Completions: whether the nights add up, what needs somebody, one completion's life, and what is decided of it."""

import asyncio
from datetime import date, timedelta
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console.web.doing import SAY_WHY, act, ask, ask_if, handles, told, why_of
from services.console.web.pages import completion_lists
from services.console.web.pages.completion_life import decided_about, offers
from services.console.web.reads import RefusedError
from services.console.web.site import Page, PageError, Visit

NIGHTS: Final = timedelta(days=30)
LIVES: Final = 50
MOST_PEOPLE: Final = 5
"""People with one staff number: more than one is rare."""
COUNTED: Final = 1000

Problem = tuple[str, str]
Json = dict[str, Any]

DONE: Final = {
    "resend": "It is sent again with the next file, marked as a resend.",
    "withdraw": "ESR is asked to give it back with the next file, or is never sent it.",
    "restore": "It counts again; it goes with the next file.",
    "settle": "It is given up: nothing more is sent of it until the LMS says something new.",
    "reopen": "It is taken up again.",
    "write": "The file was written; what is not delivered is on its way.",
    "nothing": "There was nothing to write.",
}


async def overview(visit: Visit) -> Response:
    """Show the nights, what needs somebody, and the ways to find a completion."""
    return await _overview(visit, done=DONE.get(visit.asked("done"), ""))


async def _overview(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    since = (visit.site.clock.today() - NIGHTS).isoformat()
    nights = await ask(visit, "confirmations", "completions", "nights", since=since)
    refused, unmatched, late, cases = await asyncio.gather(
        ask_if(visit, "confirmations", "completions", "refused"),
        ask_if(visit, "confirmations", "completions", "unmatched", limit=COUNTED),
        ask_if(visit, "confirmations", "completions", overdue="true", limit=COUNTED),
        ask_if(visit, "outbound", "completion-cases", limit=COUNTED),
    )
    needs = {
        "refused": None if refused is None else sum(one.get("standing", one["number"]) for one in refused),
        "unmatched": None if unmatched is None else len(unmatched["unmatched"]),
        "overdue": None if late is None else len(late),
        "cases": None if cases is None else len(cases),
    }
    about = {"problem": None, "done": ""} | said
    today = visit.site.clock.today().isoformat()
    return visit.page(
        "completions.html",
        status,
        trust=visit.trust,
        nights=nights,
        needs=needs,
        most=COUNTED,
        today=today,
        form=visit.form,
        **about,
    )


async def find_person(visit: Visit) -> Response:
    """Show everything of a person. The staff number comes by a form, so that it stands in no address and no log."""
    number = told(visit, "staff", 60)
    if not number:
        return await _overview(visit, 422, problem=("staff", "Enter a staff number"))
    return await _person(visit, number)


async def _person(visit: Visit, number: str, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    people = await ask_if(visit, "people", "people", q=number)
    ids = sorted({number, *(one["person_id"] for one in people or ())})[:MOST_PEOPLE]
    found: list[Json] = []
    more = False
    for person_id in ids:
        page = await ask(visit, "confirmations", "completions", "ledger", person_id=person_id, limit=LIVES)
        found += page["completions"]
        more = more or bool(page["next"])
    handle, seen = await handles(visit), {one["person_id"] for one in found} or {number}
    for person_id in sorted(seen):
        who, deed = visit.caller.who, "looked up completions"
        await visit.site.sessions.write_down(visit.vpd, who, deed, subject=handle(person_id))
    return await _lives(visit, found, status, by_person=True, staff=number, more=more, away=people is None, **said)


async def life(visit: Visit) -> Response:
    """Show one completion's whole life, found by any of its references."""
    return await _life(visit, done=DONE.get(visit.asked("done"), ""))


async def _life(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    reference = str(visit.request.path_params.get("reference") or told(visit, "reference"))
    page = await ask(visit, "confirmations", "completions", "ledger", reference=reference, limit=LIVES)
    if not page["completions"]:
        raise PageError(404, "Nothing was sent under this reference.")
    return await _lives(visit, page["completions"], status, reference=reference, **said)


async def _lives(visit: Visit, found: list[Json], status: int, **said: Any) -> Response:  # noqa: ANN401 - for the template
    decisions = await asyncio.gather(*(decided_about(visit, one) for one in found))
    about = {
        "problem": None,
        "done": "",
        "by_person": False,
        "staff": "",
        "reference": "",
        "more": False,
        "away": False,
    }
    return visit.page(
        "completion.html",
        status,
        trust=visit.trust,
        lives=[
            {"said": one, "decisions": made, "offers": offers(one, made)}
            for one, made in zip(found, decisions, strict=True)
        ],
        **(about | said),
    )


async def decide(visit: Visit) -> Response:
    """Send again, withdraw, give up, or take that back: of one completion, of a file, or of a code."""
    decision, why = told(visit, "decision"), why_of(visit)
    named = {name: told(visit, name) for name in ("reference", "file", "code", "person_id", "key")}
    named = {name: value for name, value in named.items() if value}
    if not named:
        raise PageError(422, "The form does not say what it is about.")
    place = told(visit, "place", 20) or "decide"
    if decision not in ("resend", "withdraw", "restore", "settle", "reopen"):
        return await _again(visit, named, 422, (f"{place}-decision", "Choose what to do"))
    if not why:
        return await _again(visit, named, 422, (f"{place}-why", SAY_WHY))
    subject = named.get("reference") or named.get("file") or named.get("code") or ""
    if not subject:
        subject = (await handles(visit))(named.get("person_id", ""))
    said = {"decision": decision, "why": why, **named}
    try:
        deed = f"completions: {decision}"
        await act(visit, "outbound", "completion-decisions", deed=deed, subject=subject, said=said)
    except RefusedError as error:
        return await _again(visit, named, 409, (f"{place}-why", error.sentence))
    if "person_id" in named:
        return await _person(visit, named["person_id"], done=DONE[decision])
    return RedirectResponse(_back(visit, named, decision), 303)


def _back(visit: Visit, named: dict[str, str], decision: str) -> str:
    if "reference" in named:
        return visit.path("completions", "references", named["reference"], done=decision)
    if "file" in named:
        return visit.path("completions", "files", named["file"], done=decision)
    return visit.path("completions", "items", state="rejected", code=named["code"], done=decision)


async def _again(visit: Visit, named: dict[str, str], status: int, problem: Problem) -> Response:
    """Show the page that the form stood on, with what is wrong."""
    if "reference" in named:
        return await _life(visit, status, problem=problem)
    if "file" in named:
        return await completion_lists.show_file(visit, named["file"], status, problem=problem)
    if "code" in named:
        return await completion_lists.show_items(visit, {"code": named["code"], "state": "rejected"}, status, problem)
    return await _person(visit, named.get("person_id", ""), status, problem=problem)


async def write(visit: Visit) -> Response:
    """Write a completion file now, or what the cut-off of a day missed."""
    why, day = why_of(visit), told(visit, "day", 10)
    if day and not _is_day(day):
        return await _overview(visit, 422, problem=("write-day", "Write the day as 2026-03-31, or leave it empty"))
    if not why:
        return await _overview(visit, 422, problem=("write-why", SAY_WHY))
    said = {"why": why} | ({"day": day} if day else {})
    try:
        done = await act(
            visit, "outbound", "completion-files", deed="completions: write", subject=day or "now", said=said
        )
    except RefusedError as error:
        return await _overview(visit, 409, problem=("write-why", error.sentence))
    return RedirectResponse(visit.path("completions", done="write" if done["completions"] else "nothing"), 303)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_HERE: Final = "/trusts/{vpd}/completions"
PAGES: Final[dict[tuple[str, str], Page]] = {
    ("GET", _HERE): overview,
    ("POST", _HERE): find_person,
    ("GET", f"{_HERE}/items"): completion_lists.items,
    ("GET", f"{_HERE}/refused"): completion_lists.refused,
    ("GET", f"{_HERE}/unmatched"): completion_lists.unmatched,
    ("GET", f"{_HERE}/cases"): completion_lists.cases,
    ("POST", f"{_HERE}/cases"): completion_lists.more_cases,
    ("GET", f"{_HERE}/files"): completion_lists.files,
    ("GET", f"{_HERE}/files/{{name}}"): completion_lists.file,
    ("GET", f"{_HERE}/references/{{reference}}"): life,
    ("POST", f"{_HERE}/decide"): decide,
    ("POST", f"{_HERE}/write"): write,
}
