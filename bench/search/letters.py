"""What is asked about dead letters: by the functions of the API and the pages, by the role that sees one trust only."""

import hashlib
import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.search.asking import Ask, Question
from bench.search.filling import PEOPLE, PER_FILE, START, VPD
from services.console import audit, store, trail
from services.console.age import oldest
from services.console.grouping import by_code, groups
from services.console.operations import items, listed, shown
from services.console.search import Search, page
from services.console.trail import Asked as Wanted
from shared.db.engine import Reader

GROUP: Final = "dead letters"
DICE: Final = random.Random(1)
RARE: Final = "R999:people.records:assignment.upsert"


def letter() -> str:
    """Return the id of any letter."""
    return _md5(VPD + str(DICE.randrange(_Size.letters)))


def searches(letters: int) -> dict[str, Callable[[], Search]]:
    """Return searches by name; each call is about other values."""
    _Size.letters = letters

    def moment() -> datetime:
        return START + timedelta(seconds=4 * DICE.randrange(letters))

    def file() -> str:
        return file_of(DICE.randrange(1 + letters // 10 // PER_FILE, letters // PER_FILE))

    def person() -> str:
        return _md5(f"p{DICE.randrange(PEOPLE)}")

    return {
        "open": Search,
        "in any state": lambda: Search(state=None),
        "resolved": lambda: Search(state="resolved"),
        "by code": lambda: Search(code=DICE.choice(["R103", "R101", "R902"])),
        "by code, in any state": lambda: Search(code=DICE.choice(["R103", "R101"]), state=None),
        "by rare code": lambda: Search(code="R999"),
        "by rare code, in any state": lambda: Search(code="R999", state=None),
        "by code that is not there": lambda: Search(code="R111"),
        "by type": lambda: Search(type=DICE.choice(["assignment.upsert", "person.upsert"])),
        "by queue": lambda: Search(queue="competency.records"),
        "by rare queue": lambda: Search(queue="outbound.events"),
        "by queue that is not there": lambda: Search(queue="people.events"),
        "by cause": lambda: Search(cause="R103:people.records:person.upsert"),
        "by rare code and type": lambda: Search(code="R999", type="assignment.upsert"),
        "by code and type that never meet": lambda: Search(code="R103", type="person.delete"),
        "by file": lambda: Search(file=file()),
        "by the largest file": lambda: Search(file=file_of(0)),
        "discarded ones of the largest file": lambda: Search(file=file_of(0), state="discarded"),
        "by the largest file and a rare code": lambda: Search(file=file_of(0), code="R999"),
        "by file and line": lambda: Search(file=file(), line=DICE.randrange(2, PER_FILE), state=None),
        "by staff number": lambda: Search(staff=str(DICE.randrange(PEOPLE)), state=None),
        "by staff number that is there": lambda: Search(staff_hash=person(), state=None),
        "by assignee": lambda: Search(assignee=f"person{DICE.randrange(7)}"),
        "by assignee of very many": lambda: Search(assignee="team"),
        "by assignee of very many, since": lambda: Search(assignee="team", since=moment()),
        "by ticket of very many, in any state": lambda: Search(ticket="INC-1", state=None),
        "by assignee of very many and a code that none has": lambda: Search(assignee="team", code="R101"),
        "by ticket of very many, not held, of a queue": _of_ticket,
        "by assignee that is not there": lambda: Search(assignee="nobody"),
        "unassigned": lambda: Search(unassigned=True),
        "unassigned, of a code that all are assigned of": lambda: Search(code="R902", unassigned=True),
        "by ticket": lambda: Search(ticket=f"INC-{DICE.randrange(letters // 500)}"),
        "by ticket of very many": lambda: Search(ticket="INC-1"),
        "by ticket that is not there": lambda: Search(ticket="INC-0815"),
        "held": lambda: Search(held=True),
        "not held": lambda: Search(held=False),
        "held, of a rare code": lambda: Search(held=True, code="R999"),
        "since": lambda: Search(since=moment()),
        "until": lambda: Search(until=moment()),
        "by code, since": lambda: Search(code="R101", since=moment()),
        "by rare code, since": lambda: Search(code="R999", since=moment()),
        "by type, since": lambda: Search(type="assignment.upsert", since=moment()),
        "by file, since": lambda: Search(file=file(), since=moment()),
        "by queue, in a day": lambda: _day(moment()),
        "not held, until": lambda: Search(held=False, until=START + timedelta(seconds=2 * letters)),
    }


async def questions(reader: Reader, letters: int) -> list[Question]:
    """Return everything that is asked about dead letters and plans."""
    now = datetime.now(UTC)

    def within(ask: Callable[[AsyncConnection], Awaitable[Any]]) -> Ask:
        async def run() -> Any:  # noqa: ANN401 - whatever it answers
            async with reader.trust(VPD) as connection:
                return await ask(connection)

        return run

    def page_of(search: Callable[[], Search], after: str, connection: AsyncConnection) -> Awaitable[Any]:
        return page(connection, VPD, search(), now, after=after)

    found = {name: partial(page_of, search, "") for name, search in searches(letters).items()}
    async with reader.trust(VPD) as connection:
        deep = _md5(f"{VPD}{letters // 2}")
        plans = (await connection.scalars(text("SELECT id FROM console.operations ORDER BY total DESC LIMIT 2"))).all()
    found["a page in the middle"] = partial(page_of, Search, deep)
    found["a page in the middle, by code"] = partial(page_of, lambda: Search(code="R103"), deep)
    found["a page in the middle, in any state"] = partial(page_of, lambda: Search(state=None), deep)
    asks = found | dict(_others(now, plans[0], plans[1]))
    return [Question(GROUP, name, within(ask)) for name, ask in asks.items()]


def _others(
    now: datetime, plan: int, discard: int
) -> Iterator[tuple[str, Callable[[AsyncConnection], Awaitable[Any]]]]:
    yield "causes", lambda c: groups(c, VPD)
    yield "causes of what is resolved", lambda c: groups(c, VPD, "resolved")
    yield "the oldest that is not held", lambda c: oldest(c, VPD, now)
    yield "how many of each code (Tonight)", lambda c: by_code(c, VPD)
    yield "one letter", lambda c: store.find(c, VPD, letter())
    yield "one letter by the beginning of its id", lambda c: store.starting_with(c, VPD, letter()[:8])
    yield "what was done with one letter", lambda c: audit.read(c, VPD, letter=letter())
    yield "plans and runs", lambda c: listed(c, VPD, limit=51)
    yield "a plan of nearly all", lambda c: shown(c, VPD, plan)
    yield "a discard of a quarter", lambda c: shown(c, VPD, discard)
    yield "letters of a plan", lambda c: items(c, VPD, plan, after=DICE.randrange(100_000))
    yield "letters of a plan that failed", lambda c: items(c, VPD, plan, state="failed")
    yield "letters of a plan in a state that none has", lambda c: items(c, VPD, plan, state="quiet")
    yield "audit", lambda c: trail.read(c, VPD, Wanted())
    yield "audit of one person", lambda c: trail.read(c, VPD, Wanted(who="person-3"))
    yield "audit of one who did little", lambda c: trail.read(c, VPD, Wanted(who="person-rare"))
    yield "audit of one who did nothing", lambda c: trail.read(c, VPD, Wanted(who="nobody"))
    yield "audit of a rare deed", lambda c: trail.read(c, VPD, Wanted(deed="link"))
    yield "audit of a plan", lambda c: audit.read(c, VPD, operation=1)
    yield "audit of a day", lambda c: trail.read(c, VPD, _wanted_day())


def file_of(number: int) -> str:
    """Return the name of a file that dead letters came from."""
    return f"CS_{VPD}_CST_CSC_{number}.DAT"


class _Size:
    letters = 1


def _of_ticket() -> Search:
    return Search(ticket="INC-1", queue="outbound.events", held=False)


def _day(moment: datetime) -> Search:
    return Search(queue="outbound.events", since=moment, until=moment + timedelta(days=1))


def _wanted_day() -> Wanted:
    moment = START + timedelta(seconds=4 * DICE.randrange(_Size.letters))
    return Wanted(who="nobody", since=moment, until=moment + timedelta(days=1))


def _md5(said: str) -> str:
    return hashlib.md5(said.encode()).hexdigest()
