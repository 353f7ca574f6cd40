"""Plans for many dead letters, and their runs: made, looked at, approved, started, stopped, taken back."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal

from starlette.responses import RedirectResponse, Response

from services.console.checking import Schemas
from services.console.domain import DeadLetterError, same_person
from services.console.limits import Limits
from services.console.operations import items, listed, shown
from services.console.planning import Pace, Planner
from services.console.search import Selection
from services.console.web.pages import letters
from services.console.web.rights import Right
from services.console.web.site import Page, PageError, Visit

PAGE: Final = 50
MOST: Final = 2**63 - 1
LIVE: Final = ("collecting", "running")
"""States in which the page renews itself."""

STATES: Final = {
    "collecting": ("blue", "Being collected"),
    "proposed": ("orange", "Waits for a second person"),
    "planned": ("yellow", "Ready to start"),
    "running": ("blue", "Running"),
    "paused": ("grey", "Paused"),
    "halted": ("red", "Halted by itself"),
    "stopped": ("grey", "Stopped"),
    "done": ("green", "Done"),
}
"""Colour and words for where a plan stands."""

EXPECTED: Final = {
    "apply": "Would be applied",
    "fail_again": "Would fail again",
    "superseded": "Something newer was applied",
    "unchanged": "Settled already",
    "unknown": "Only trying tells",
    "left_out": "Left out",
    "close": "Would be closed",
}

BECAME: Final = {
    "waiting": "Not sent yet",
    "sent": "Sent, not known yet whether it was applied",
    "applied": "Applied",
    "unchanged": "Applied, changed nothing",
    "superseded": "Something newer was applied",
    "parked": "Parked until something else comes",
    "ignored": "Ignored by a rule",
    "quiet": "Sent, and has not come back",
    "failed": "Failed again",
    "skipped": "Left out",
    "discarded": "Closed without a replay",
    "undone": "Opened again",
}
"""What became of a record, in the order in which pages tell it."""

SKIPPED: Final = {
    "CHANGED": "somebody touched it after the plan was made",
    "HELD": "it is held",
    "EXPECTED_TO_FAIL": "it would fail again",
    "NO_QUEUE": "it does not say which queue it came from",
}

DONE: Final = {
    "plan": "The plan is made. Nothing is sent or closed yet.",
    "approve": "The plan is approved. It can be started.",
    "start": "The plan has started.",
    "pause": "It sends no more until it is resumed.",
    "resume": "It goes on.",
    "stop": "It has ended for good. What was sent stays sent.",
    "undo": "What the plan closed is open again.",
}

_NUMBERS: Final = {
    "canary": (1, 100, "Enter how many records go first: 1 to 100"),
    "per_second": (1, 10_000, "Enter how many records go in a second: 1 to 10,000"),
    "allowed_percent": (0, 100, "Enter how many in a hundred may fail: 0 to 100"),
}


async def listing(visit: Visit) -> Response:
    """List plans and runs, the newest first, in pages."""
    before = visit.asked("before")
    last = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else 0
    async with visit.site.reader.trust(visit.vpd) as connection:
        found = await listed(connection, visit.vpd, before=last, limit=PAGE + 1)
    return visit.page(
        "runs.html",
        trust=visit.trust,
        runs=found[:PAGE],
        states=STATES,
        before=str(found[PAGE - 1]["operation"]) if len(found) > PAGE else "",
        paged=bool(last),
    )


async def prepare(visit: Visit) -> Response:
    """Ask what is to be done with records that were chosen in the list, and how fast."""
    picked = tuple(value for name, value in sorted(visit.form.items()) if name.startswith("pick-") and value)
    if visit.form.get("which") != "all" and not picked:
        return await letters.choose_again(visit, "Choose at least one record, or plan for all that match")
    return _prepared(visit, () if visit.form.get("which") == "all" else picked)


async def make(visit: Visit) -> Response:
    """Make a plan, and show it. Nothing is sent or closed yet."""
    ids = tuple(one for one in visit.form.get("ids", "").split() if one)[:PAGE]
    kind: Literal["replay", "discard"] = "discard" if visit.form.get("kind") == "discard" else "replay"
    if visit.form.get("kind") not in ("replay", "discard"):
        return _prepared(visit, ids, ("kind", "Choose what is to be done"))
    if kind == "discard" and not visit.may(Right.DISCARD):
        raise PageError(403, "Your roles at this trust do not include closing records.")
    pace, problem = _pace(visit.form)
    why = visit.form.get("why", "").strip()[:1000]
    if not why:
        problem = problem or ("why", "Say why, so that others can understand it later")
    if problem:
        return _prepared(visit, ids, problem)
    selection = Selection(ids=ids) if ids else Selection(search=letters.search_of(visit.form))
    try:
        plan = await _planner(visit).plan(visit.vpd, kind, selection, visit.caller.who, why, pace, at_once=False)
    except DeadLetterError as error:
        return _prepared(visit, ids, ("why", error.sentence), status=409)
    return RedirectResponse(visit.path("dead-letter-runs", str(plan["operation"]), done="plan"), 303)


async def show(visit: Visit) -> Response:
    """Show one: exactly which records, what each would do, and what has become of them."""
    return await _page(visit, done=DONE.get(visit.asked("done"), ""))


def _pace(form: Mapping[str, str]) -> tuple[Pace, tuple[str, str] | None]:
    said: dict[str, int | None] = {}
    for name, (least, most, sentence) in _NUMBERS.items():
        value = form.get(name, "").strip()
        if value and not (value.isascii() and value.isdecimal() and len(value) < 5 and least <= int(value) <= most):
            return Pace(), (name, sentence)
        said[name] = int(value) if value else None
    return Pace(insist=bool(form.get("insist")), **said), None


def _prepared(
    visit: Visit, ids: tuple[str, ...], problem: tuple[str, str] | None = None, *, status: int = 0
) -> Response:
    wanted, limits = letters.search_of(visit.form), Limits()
    told = {name: str(getattr(wanted, name) or "") for name in letters.HANDED_ON}
    return visit.page(
        "run_new.html",
        status or (422 if problem else 200),
        trust=visit.trust,
        ids=ids,
        search=told,
        limits=limits,
        said=visit.form,
        problem=problem,
    )


_Decision = Callable[[Planner, str, int, str, str], Awaitable[dict[str, Any]]]


def _decision(name: str, decide: _Decision) -> Page:
    async def act(visit: Visit) -> Response:
        why = visit.form.get("why", "").strip()[:1000]
        if not why:
            return await _page(visit, 422, problem=(f"{name}-why", "Say why, so that others can understand it later"))
        number = _number(visit)
        try:
            if name == "start":
                await _check_start(visit, number)
            await decide(_planner(visit), visit.vpd, number, visit.caller.who, why)
        except DeadLetterError as error:
            return await _page(visit, 409, problem=(f"{name}-why", error.sentence))
        return RedirectResponse(visit.path("dead-letter-runs", str(number), done=name), 303)

    return act


approve: Final = _decision("approve", Planner.approve)
start: Final = _decision("start", Planner.start)
pause: Final = _decision("pause", Planner.pause)
resume: Final = _decision("resume", Planner.resume)
stop: Final = _decision("stop", Planner.stop)
undo: Final = _decision("undo", Planner.undo)


async def _check_start(visit: Visit, number: int) -> None:
    plan = await _planner(visit).show(visit.vpd, number)
    if plan["kind"] == "discard" and not visit.may(Right.DISCARD):
        raise PageError(403, "Your roles at this trust do not include closing records.")


def _planner(visit: Visit) -> Planner:
    return Planner(visit.site.work, Schemas(visit.site.config), Limits())


def _number(visit: Visit) -> int:
    said = str(visit.request.path_params["number"])
    if not (said.isascii() and said.isdecimal() and len(said) < 20 and 0 < int(said) <= MOST):
        raise PageError(404, "There is no such plan at this trust.")
    return int(said)


async def _page(visit: Visit, status: int = 200, **said: Any) -> Response:  # noqa: ANN401 - for the template
    number, state, after = _number(visit), visit.asked("state"), visit.asked("after")
    place = int(after) if after.isascii() and after.isdecimal() and len(after) < 10 else 0
    async with visit.site.reader.trust(visit.vpd) as connection:
        try:
            plan = await shown(connection, visit.vpd, number)
        except DeadLetterError:
            raise PageError(404, "There is no such plan at this trust.") from None
        found = await items(connection, visit.vpd, number, state=state, after=place, limit=PAGE + 1)
    told = {"problem": None, "done": ""} | said
    return visit.page(
        "run.html",
        status,
        trust=visit.trust,
        plan=plan,
        progress=_progress(plan),
        offers=_offers(visit, plan),
        mine=same_person(plan["who"], visit.caller.who),
        letters=found[:PAGE],
        after=str(found[PAGE - 1]["place"]) if len(found) > PAGE else "",
        paged=place > 0,
        state=state if state in BECAME else "",
        live=plan["state"] in LIVE and visit.asked("updates") != "off",
        states=STATES,
        expected=EXPECTED,
        became=BECAME,
        skipped=SKIPPED,
        now=visit.site.clock.now(),
        **told,
    )


def _progress(plan: Mapping[str, Any]) -> dict[str, int]:
    """Return how many records were sent, and of how many of those what became is known."""
    told = plan["letters"]
    return {"known": plan["sent"] - told.get("sent", 0), "failed": told.get("failed", 0)}


def _offers(visit: Visit, plan: Mapping[str, Any]) -> list[str]:
    """Return what this visitor may decide about the plan as it stands."""
    closes = plan["kind"] == "discard"
    by_state = {
        "collecting": ["stop"],
        "proposed": ["approve", "stop"],
        "planned": ["start", "stop"],
        "running": ["pause", "stop"],
        "paused": ["resume", "stop"],
        "halted": ["resume", "stop"],
        "done": ["undo"] if closes else [],
        "stopped": ["undo"] if closes else [],
    }
    rights = {"approve": Right.APPROVE, "undo": Right.DISCARD, "start": Right.DISCARD if closes else Right.MEND}
    offered = [one for one in by_state[plan["state"]] if visit.may(rights.get(one, Right.MEND))]
    if same_person(plan["who"], visit.caller.who):
        offered = [one for one in offered if one != "approve"]
    if not plan["letters"].get("discarded"):
        offered = [one for one in offered if one != "undo"]
    return offered
