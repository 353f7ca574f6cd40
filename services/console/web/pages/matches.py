"""Matches: people of whom it is not certain which account in the LMS is theirs, side by side, and who decided what."""

from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console.web.doing import SAY_WHY, act, ask, ask_if, handles, number_of, told, why_of
from services.console.web.reads import RefusedError
from services.console.web.site import Page, PageError, Visit

Json = dict[str, Any]

REASONS: Final = {
    "ni-number-agrees-alone": "The NI number is the same, but birth date or last name are not, or are not known.",
    "ni-number-differs": "Names and birth date are the same, the NI number is not: a typing error, or two people.",
    "ni-number-missing": "The LMS does not know the NI number, and the rest may be the same human.",
    "name-differs": "The key agrees, the last name does not.",
    "several-candidates": "More than one account may be theirs.",
    "belongs-to-another": "The account is linked to somebody else already.",
    "username-taken": "A new account could not be made: an account of somebody has the user name.",
    "email-taken": "A new account could not be made: an account of somebody has the address.",
    "undone": "A link was taken back.",
}
MASK: Final = "***"
DONE: Final = {
    "link": "The account is theirs. It keeps its learning and gets their key.",
    "new": "None of the accounts is theirs. They get one of their own.",
    "undo": "The link is taken back: the account gets its former key, and the question is asked again.",
}
PAGE: Final = 50
MOST_PEOPLE: Final = 5
"""People with one staff number: more than one is rare."""
LARGEST: Final = 2**63 - 2


async def listing(visit: Visit) -> Response:
    """List the people to decide about, and what was decided, a page of it."""
    after = visit.asked("after")
    place = number_of(after, LARGEST)
    if after and not place:
        raise PageError(404, "There is no such page of the list.")
    decided = await _decided(visit, after=place, limit=PAGE + 1)
    older = str(decided[PAGE - 1]["number"]) if decided and len(decided) > PAGE else ""
    return await _list(visit, decided=decided and decided[:PAGE], older=older, paged=bool(after))


async def find(visit: Visit) -> Response:
    """Show what was decided about one person. The staff number comes by a form, so that it stands in no address."""
    number = told(visit, "staff", 60)
    if not number:
        decided = await _decided(visit, limit=PAGE)
        return await _list(visit, 422, decided=decided, problem=("staff", "Enter a staff number"))
    people = await ask_if(visit, "people", "people", q=number)
    ids = sorted({number, *(one["person_id"] for one in people or ())})[:MOST_PEOPLE]
    found = [await _decided(visit, subject=person_id, limit=PAGE) for person_id in ids]
    handle = await handles(visit)
    for person_id in ids:
        await visit.site.sessions.write_down(
            visit.vpd, visit.caller.who, "looked up matches", subject=handle(person_id)
        )
    decided = None if None in found else [one for each in found for one in each or ()]
    return await _list(visit, decided=decided, staff=number, away=people is None)


async def _list(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    about = {"older": "", "paged": False, "staff": "", "problem": None, "away": False} | said
    asked, handle = await ask(visit, "outbound", "matches"), await handles(visit)
    people = [
        {"handle": handle(one["person_id"]), "person_id": one["person_id"], "why": _reason(one)}
        | {"accounts": len(one["candidates"])}
        for one in asked
    ]
    return visit.page(
        "matches.html",
        status,
        trust=visit.trust,
        people=people,
        done=DONE.get(visit.asked("done"), ""),
        **about,
    )


async def show(visit: Visit) -> Response:
    """Show a person and the accounts in question side by side, values hidden."""
    return await _page(visit, await _open(visit))


async def reveal(visit: Visit) -> Response:
    """Show one field, of the person and of each account, after writing down who looked and why."""
    one, field, why = await _open(visit), told(visit, "field", 100), why_of(visit)
    if field not in _fields(one):
        return await _page(visit, one, 422, problem=("reveal-field", "Choose the field you need to see"))
    if not why:
        problem = ("reveal-why", "Say why you need to see the values")
        return await _page(visit, one, 422, problem=problem, field=field)
    sessions, subject = visit.site.sessions, _handle(visit)
    await sessions.write_down(visit.vpd, visit.caller.who, "revealed", subject=subject, column=field, why=why)
    plain = await ask(visit, "outbound", "matches", reveal="true")
    shown = next((each for each in plain if each["person_id"] == one["person_id"]), None)
    if shown is None:
        raise PageError(404, "This has just been decided.")
    return await _page(visit, _with(one, shown, field), field=field)


async def decide(visit: Visit) -> Response:
    """Say which account is theirs, or that none is."""
    one, why = await _open(visit), why_of(visit)
    verdict, _, lms_id = told(visit, "decision").partition(":")
    if verdict not in ("link", "new"):
        return await _page(visit, one, 422, problem=("decision", "Choose whose account it is"))
    if not why:
        return await _page(visit, one, 422, problem=("decide-why", SAY_WHY))
    return await _act(visit, one["person_id"], verdict, why, lms_id, one)


async def undo(visit: Visit) -> Response:
    """Take a link back."""
    one, why = await _linked(visit), why_of(visit)
    if not why:
        return visit.page("match_undo.html", 422, trust=visit.trust, one=one, problem=("undo-why", SAY_WHY))
    return await _act(visit, one["person_id"], "undo", why, "", None)


async def ask_undo(visit: Visit) -> Response:
    """Show what taking a link back means, before it is done."""
    return visit.page("match_undo.html", trust=visit.trust, one=await _linked(visit), problem=None)


async def _act(visit: Visit, person_id: str, verdict: str, why: str, lms_id: str, one: Json | None) -> Response:
    said = {"decision": verdict, "why": why, "lms_id": lms_id}
    deed, subject = f"matches: {verdict}", _handle(visit)
    try:
        await act(visit, "outbound", "matches", person_id, "decision", deed=deed, subject=subject, said=said)
    except RefusedError as error:
        if one is None:
            linked = {"person_id": person_id, "handle": _handle(visit), "number": number_of(told(visit, "n"), LARGEST)}
            problem = ("undo-why", error.sentence)
            return visit.page("match_undo.html", 409, trust=visit.trust, one=linked, problem=problem)
        return await _page(visit, one, 409, problem=("decide-why", error.sentence))
    return RedirectResponse(visit.path("matches", done=verdict), 303)


async def _open(visit: Visit) -> Json:
    """Return the question that the address stands for."""
    wanted, handle = _handle(visit), await handles(visit)
    for one in await ask(visit, "outbound", "matches"):
        if handle(one["person_id"]) == wanted:
            return dict(one)
    raise PageError(404, "There is no such question. It may have been decided.")


async def _linked(visit: Visit) -> Json:
    """Return the link that the address stands for: by its number, so that it may be any, however old."""
    number = number_of(told(visit, "n") or visit.asked("n"), LARGEST)
    for one in (await _decided(visit, after=number + 1, limit=1) or ()) if number else ():
        if (one["number"], one["handle"]) == (number, _handle(visit)) and one["undo"]:
            return one
    raise PageError(404, "There is no link of this person that can be taken back.")


async def _decided(visit: Visit, **asked: str | int) -> list[Json] | None:
    """Return decisions on accounts, newest first; ``undo``: it is a link that still stands. None: nobody can tell."""
    made = await ask_if(visit, "outbound", "decisions", accounts="true", **asked)
    if made is None:
        return None
    handle = await handles(visit)
    return [
        one
        | {"person_id": one["subject"], "handle": handle(one["subject"])}
        | {"undo": one["stands"] and one["decision"] == "link"}
        for one in made
    ]


async def _page(visit: Visit, one: Json, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    about = {"problem": None, "field": ""} | said
    choices = [(f"link:{each['lms_id']}", f"Account {each['lms_id']} is theirs") for each in one["candidates"]]
    return visit.page(
        "match.html",
        status,
        trust=visit.trust,
        one=one,
        handle=_handle(visit),
        why_asked=_reason(one),
        fields=_fields(one),
        mask=MASK,
        choices=[*choices, ("new", "None of them: they get an account of their own")],
        **about,
    )


def _handle(visit: Visit) -> str:
    return str(visit.request.path_params["person"])


def _reason(one: Json) -> str:
    return REASONS.get(one["reason"], str(one["reason"]))


def _fields(one: Json) -> list[str]:
    """Return the names of all fields of the person and of the accounts, the person's first."""
    names = [*one["person"], *(name for each in one["candidates"] for name in each["account"])]
    return list(dict.fromkeys(names))


def _with(one: Json, shown: Json, field: str) -> Json:
    """Return the question with one field shown and the others hidden."""
    plain = {each["lms_id"]: each["account"].get(field, "") for each in shown["candidates"]}
    person = one["person"] | ({field: shown["person"][field]} if field in shown["person"] else {})
    accounts = [
        each | {"account": each["account"] | ({field: plain[each["lms_id"]]} if field in each["account"] else {})}
        for each in one["candidates"]
        if each["lms_id"] in plain
    ]
    return one | {"person": person, "candidates": accounts}


_HERE: Final = "/trusts/{vpd}/matches"
_ONE: Final = f"{_HERE}/{{person}}"
PAGES: Final[dict[tuple[str, str], Page]] = {
    ("GET", _HERE): listing,
    ("POST", _HERE): find,
    ("GET", _ONE): show,
    ("POST", f"{_ONE}/reveal"): reveal,
    ("POST", f"{_ONE}/decide"): decide,
    ("GET", f"{_ONE}/undo"): ask_undo,
    ("POST", f"{_ONE}/undo"): undo,
}
