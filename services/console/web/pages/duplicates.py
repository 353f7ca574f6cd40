"""Duplicates: records of ESR that may be one human, side by side, and what operators say of them.

A pair is named by a form and never by an address, which a history or a log would keep.
"""

from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console.web.doing import SAY_WHY, act, ask, handles, told, why_of
from services.console.web.reads import RefusedError
from services.console.web.rights import Right
from services.console.web.site import Page, PageError, Visit

Json = dict[str, Any]
PAGE: Final = 50
STATES: Final = {
    "open": "Nobody has decided",
    "same": "The same human",
    "different": "Different humans",
    "gone": "They agree no more",
}
FIELDS: Final = ("first_name", "last_name", "birth_date", "ni_number")
CHOICES: Final = {
    "same": "They are the same human: one record stands for both",
    "different": "They are different humans: it is not asked again",
    "undo": "Take back what was decided",
}
DONE: Final = {
    "same": "One record stands for both now. Have it put right in ESR too.",
    "different": "They stay apart, and it is not asked again.",
    "undo": "What was decided is taken back.",
}


async def listing(visit: Visit) -> Response:
    """List the pairs of a state."""
    return await _list(visit, visit.asked("state") or "open")


async def more(visit: Visit) -> Response:
    """Show the next of them; where the last page ended are two people, so it comes by a form."""
    return await _list(visit, told(visit, "state", 20), told(visit, "after", 200))


async def _list(visit: Visit, state: str, after: str = "") -> Response:
    if state not in STATES:
        raise PageError(404, "There is no such state.")
    found = await ask(visit, "people", "duplicates", state=state, limit=PAGE + 1, after=after)
    last = found[PAGE - 1] if len(found) > PAGE else None
    return visit.page(
        "duplicates.html",
        trust=visit.trust,
        pairs=found[:PAGE],
        state=state,
        states=STATES,
        paged=bool(after),
        after=f"{last['person_id']}~{last['other_person_id']}" if last else "",
        done=DONE.get(visit.asked("done"), ""),
    )


async def show(visit: Visit) -> Response:
    """Show two records side by side, values hidden."""
    return _pair(visit, await _one(visit))


async def reveal(visit: Visit) -> Response:
    """Show one field of both, after writing down of each who looked and why."""
    if not visit.may(Right.REVEAL):
        raise PageError(403, "Your roles at this trust do not include this.")
    one, field, why = await _one(visit), told(visit, "field", 100), why_of(visit)
    if field not in FIELDS:
        return _pair(visit, one, 422, problem=("reveal-field", "Choose the field you need to see"))
    if not why:
        problem = ("reveal-why", "Say why you need to see the values")
        return _pair(visit, one, 422, problem=problem, field=field)
    handle = await handles(visit)
    for person_id in (one["person_id"], one["other_person_id"]):
        subject, who = handle(person_id), visit.caller.who
        await visit.site.sessions.write_down(visit.vpd, who, "revealed", subject=subject, column=field, why=why)
    plain = await _one(visit, reveal="true")
    return _pair(visit, one, field=field, shown=[each[field] for each in plain["people"]])


async def decide(visit: Visit) -> Response:
    """Say that the two are one human or are not, or take that back."""
    one, decision, why = await _one(visit), told(visit, "decision"), why_of(visit)
    if decision not in _offered(one):
        return _pair(visit, one, 422, problem=("decision", "Choose what they are"))
    if not why:
        return _pair(visit, one, 422, problem=("decide-why", SAY_WHY))
    ids = (one["person_id"], one["other_person_id"])
    handle = await handles(visit)
    subject = f"{handle(ids[0])} {handle(ids[1])}"
    said = {"decision": decision, "why": why}
    try:
        await act(visit, "people", "duplicates", *ids, deed=f"duplicates: {decision}", subject=subject, said=said)
    except RefusedError as error:
        return _pair(visit, one, 409, problem=("decide-why", error.sentence))
    return RedirectResponse(visit.path("duplicates", done=decision), 303)


async def _one(visit: Visit, **asked: str) -> Json:
    ids = told(visit, "one", 60), told(visit, "other", 60)
    if not all(ids):
        raise PageError(422, "The form does not say whom it is about.")
    return dict(await ask(visit, "people", "duplicates", *ids, **asked))


def _offered(one: Json) -> list[str]:
    """Return what can be said of a pair as it stands."""
    decided = one["state"] in ("same", "different")
    return [name for name in CHOICES if name != one["state"] and (decided or name != "undo")]


def _pair(visit: Visit, one: Json, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    about = {"problem": None, "field": "", "shown": None} | said
    return visit.page(
        "duplicate.html",
        status,
        trust=visit.trust,
        one=one,
        states=STATES,
        fields=FIELDS,
        choices=[(name, CHOICES[name]) for name in _offered(one)],
        **about,
    )


_HERE: Final = "/trusts/{vpd}/duplicates"
PAGES: Final[dict[tuple[str, str], Page]] = {
    ("GET", _HERE): listing,
    ("POST", _HERE): more,
    ("POST", f"{_HERE}/pair"): show,
    ("POST", f"{_HERE}/reveal"): reveal,
    ("POST", f"{_HERE}/decide"): decide,
}
