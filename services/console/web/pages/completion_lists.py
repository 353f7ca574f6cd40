"""Lists of completions: items, refusals by code, odd answers, cases, and the files that were sent."""

from typing import Any, Final

from starlette.responses import Response

from services.console.web.doing import ask, ask_if, told
from services.console.web.reads import RefusedError
from services.console.web.site import PageError, Visit

PAGE: Final = 50
STATES: Final = ("open", "overdue", "confirmed", "rejected")
NO_PAGE: Final = "There is no such page of the list."
DONE: Final = "They are sent again with the next file, marked as resends."

Problem = tuple[str, str]


async def items(visit: Visit) -> Response:
    """List items: all, or those of a state, a code or a file."""
    asked = {name: visit.asked(name) for name in ("state", "code", "file", "reference")}
    if asked["state"] not in ("", *STATES):
        raise PageError(404, "There is no such state.")
    return await show_items(visit, {name: value for name, value in asked.items() if value})


async def show_items(
    visit: Visit, asked: dict[str, str], status: int = 200, problem: Problem | None = None
) -> Response:
    """Show a page of items."""
    params: dict[str, str | int] = {name: value for name, value in asked.items() if name != "state"}
    if asked.get("state") == "overdue":
        params["overdue"] = "true"
    elif "state" in asked:
        params["state"] = asked["state"]
    after = visit.asked("after")
    found = await _paged(visit, "completions", limit=PAGE + 1, after=after, **params)
    shown = found[:PAGE]
    last = shown[-1]["sent"] if len(found) > PAGE else None
    return visit.page(
        "completion_items.html",
        status,
        trust=visit.trust,
        records=shown,
        asked=asked,
        states=STATES,
        paged=bool(after),
        after=f"{last['sent_file']}~{last['position']}" if last else "",
        of_code=set(asked) == {"state", "code"} and asked["state"] == "rejected",
        problem=problem,
        done=DONE if visit.asked("done") == "resend" else "",
    )


async def refused(visit: Visit) -> Response:
    """Show refusals by ESR's code, with plain words, what to do, and what follows by itself."""
    found = await ask(visit, "confirmations", "completions", "refused")
    return visit.page("completion_refused.html", trust=visit.trust, refused=found)


async def unmatched(visit: Visit) -> Response:
    """Show answers of ESR that fit nothing that was sent, or contradict others."""
    after = visit.asked("after")
    found = await _paged(visit, "completions", "unmatched", after=after, limit=PAGE)
    return visit.page(
        "completion_unmatched.html", trust=visit.trust, odd=found["unmatched"], after=found["next"], paged=bool(after)
    )


async def cases(visit: Visit) -> Response:
    """Show the completions that wait for an operator."""
    return await _cases(visit, "", "")


async def more_cases(visit: Visit) -> Response:
    """Show the next of them; where the last page ended is a person, so it comes by a form."""
    return await _cases(visit, told(visit, "person_id"), told(visit, "key"))


async def _cases(visit: Visit, person_id: str, key: str) -> Response:
    params: dict[str, str | int] = {"person_id": person_id, "key": key, "limit": PAGE + 1}
    found = await ask(visit, "outbound", "completion-cases", **params)
    return visit.page(
        "completion_cases.html",
        trust=visit.trust,
        cases=found[:PAGE],
        last=found[PAGE - 1] if len(found) > PAGE else None,
        paged=bool(person_id),
    )


async def files(visit: Visit) -> Response:
    """Show the completion files, newest first."""
    after = visit.asked("after")
    found = await _paged(visit, "completions", "files", after=after, limit=PAGE)
    return visit.page(
        "completion_files.html", trust=visit.trust, files=found["files"], after=found["next"], paged=bool(after)
    )


async def file(visit: Visit) -> Response:
    """Show one completion file: its sum, what ESR answered, and what is open."""
    done = DONE if visit.asked("done") == "resend" else ""
    return await show_file(visit, str(visit.request.path_params["name"]), done=done)


async def show_file(
    visit: Visit, name: str, status: int = 200, problem: Problem | None = None, done: str = ""
) -> Response:
    """Show one completion file."""
    found = await ask(visit, "confirmations", "completions", "files", file=name, limit=1)
    if not found["files"]:
        raise PageError(404, "No completion file of this name has been sent.")
    first = await ask_if(visit, "confirmations", "completions", file=name, limit=PAGE)
    return visit.page(
        "completion_file.html",
        status,
        trust=visit.trust,
        file=found["files"][0],
        records=first,
        problem=problem,
        done=done,
    )


async def _paged(visit: Visit, *path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON
    try:
        return await ask(visit, "confirmations", *path, **params)
    except RefusedError:
        raise PageError(404, NO_PAGE) from None
