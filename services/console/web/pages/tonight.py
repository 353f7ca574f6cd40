"""The first page tells whether last night worked."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from services.console import grouping
from services.console.web.night import Said, came_on, night, place_of, worst
from services.console.web.reads import STEPS, ReadError
from services.console.web.rights import Right
from services.console.web.site import PageError, Visit

PAGE: Final = 200
"""Files that are asked for at once: in most trusts those of weeks."""
MOST: Final = 1000
"""Files that a night is told from, besides what an LMS sends by requests."""
DAYS: Final = timedelta(days=3)
"""What came longer before the newest is history, unless it is not settled."""


async def home(visit: Visit) -> Response:
    """List the trusts somebody has a role at; go straight on where it is only one."""
    vpds = [trust.vpd for trust in visit.site.config.trusts if visit.caller.may(trust.vpd, Right.SEE)]
    if len(vpds) == 1:
        return RedirectResponse(f"/trusts/{vpds[0]}/tonight", 303)
    return visit.page("home.html")


async def switch(visit: Visit) -> Response:
    """Go to another trust's night."""
    vpd = visit.asked("trust")
    if vpd not in visit.caller.trusts:
        raise PageError(404, "There is no such trust, or you have no role at it.")
    return RedirectResponse(f"/trusts/{vpd}/tonight", 303)


async def tonight(visit: Visit) -> Response:
    """Show a trust's night. With ``updates=off`` the page stays as it is until it is loaded again."""
    parts = night(await _said(visit), visit.site.clock.today())
    return visit.page(
        "tonight.html",
        trust=visit.trust,
        parts=parts,
        state=worst(parts),
        live=visit.asked("updates") != "off",
        now=visit.site.clock.now(),
    )


async def _said(visit: Visit) -> Said:
    since = (visit.site.clock.today() - timedelta(days=7)).isoformat()
    files, alarms, nights, refused, guards, matches, site, *late = await asyncio.gather(
        _files(visit),
        _ask(visit, "ingest", "alarms"),
        _ask(visit, "confirmations", "completions", "nights", since=since),
        _ask(visit, "confirmations", "completions", "refused"),
        _ask(visit, "outbound", "guards"),
        _ask(visit, "outbound", "matches"),
        _ask(visit, "outbound", "site"),
        *(_ask(visit, service, "nights") for service in STEPS),
    )
    async with visit.site.reader.trust(visit.vpd) as connection:
        letters, uncounted = await grouping.by_code(connection, visit.vpd)
    return Said(
        files=files,
        alarms=alarms,
        nights=nights,
        refused=refused,
        guards=guards,
        matches=matches,
        site=site,
        late={service: None if told is None else told["late"] for service, told in zip(STEPS, late, strict=True)},
        letters=letters,
        uncounted=uncounted,
    )


async def _files(visit: Visit) -> list[dict[str, Any]] | None:
    """Return the files of the last days in which any came, and what is not settled; None: nobody can tell."""
    try:
        found = await _newest(visit)
        open_ = await visit.site.reads.get("ingest", visit.vpd, "files", unsettled="true", limit=MOST)
    except ReadError:
        return None
    kept = {(one["name"], one["sha256"]): one for one in (*open_, *found)}
    return list(kept.values())


async def _newest(visit: Visit) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < MOST:
        after = place_of(found[-1]) if found else ""
        more = await visit.site.reads.get("ingest", visit.vpd, "files", limit=PAGE, after=after, requests="false")
        found += more
        if len(more) < PAGE or came_on(more[-1]) < came_on(found[0]) - DAYS:
            break
    return found


async def _ask(visit: Visit, service: str, *path: str, **params: str) -> Any:  # noqa: ANN401 - JSON
    """Ask a service; None when it cannot be asked, so that one that is away leaves the rest of the page as it is."""
    try:
        return await visit.site.reads.get(service, visit.vpd, *path, **params)
    except ReadError:
        return None
