"""What operators do about accounts: say whose account is whose, and let held suspensions go."""

from dataclasses import replace
from typing import Any, Final, Literal, get_args

from sqlalchemy import and_, exists, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound import guard, matches
from services.outbound.linking import NO_CAUSE
from services.outbound.lms.port import Candidate
from services.outbound.matches import Decision, Held
from services.outbound.matching import plain
from services.outbound.tables import ACCOUNTS, DECISIONS, GUARDS
from shared.db.unit import Work
from shared.errors import DecisionError
from shared.events import PersonLinked

Verdict = Literal["link", "new", "undo"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

LISTED: Final = 1_000
_HIDDEN: Final = "***"


class AccountDesk:
    """Carries out and writes down what an operator decided."""

    def __init__(self, work: Work, who: str) -> None:
        self._work = work
        self._who = who

    async def decide(self, vpd: str, person_id: str, verdict: Verdict, why: str, lms_id: str = "") -> dict[str, Any]:
        """Say whose account a person's is.

        ``link``: the candidate ``lms_id`` is theirs. ``new``: none is, they get one of their own. ``undo``: the account
        that was linked is not theirs; it gets its former idnumber back, and the question is open again. Raises
        DecisionError for what cannot be decided so.
        """
        async with self._work.unit() as unit:
            on_record = (await matches.held(unit.connection, vpd, [person_id])).get(person_id)
            if on_record is None:
                raise DecisionError("nothing is to be decided about this person's account")
            changed = _changed(on_record, verdict, lms_id)
            if changed.lms_id and changed.lms_id != on_record.lms_id:
                owner = (await matches.taken(unit.connection, vpd, [lms_id])).get(lms_id)
                if owner not in (None, person_id):
                    raise DecisionError(f"this account is linked to person {owner}; undo that first")
            now = self._work.clock.now()
            await matches.change(unit.connection, vpd, changed, now)
            state = "asked" if verdict == "undo" else changed.state
            await matches.set_account(unit.connection, vpd, person_id, state, forget=verdict == "undo")
            decision = Decision(person_id, verdict, self._who, why, {"lms_id": lms_id or on_record.lms_id})
            await matches.decided(unit.connection, vpd, decision, now)
            if verdict == "link":
                linked = PersonLinked(
                    vpd=vpd, cause=NO_CAUSE, person_id=person_id, revision=on_record.revision, decided_by="operator"
                )
                unit.emit(linked, person_id, on_record.revision, lms_id)
        return {"person_id": person_id, "decision": verdict, "state": changed.state}

    async def release(self, vpd: str, expected: int, why: str) -> dict[str, Any]:
        """Let the suspensions that wait now go. Raises DecisionError when they are not ``expected`` many any more."""
        async with self._work.unit() as unit:
            day = self._work.clock.today()
            released = await guard.release(unit, vpd, day, expected=expected, who=self._who, why=why)
        return {"released": released}

    async def refuse(self, vpd: str, expected: int, why: str) -> dict[str, Any]:
        """Write down that the suspensions that wait now are not to go; they stay held. Raises DecisionError."""
        async with self._work.unit() as unit:
            day = self._work.clock.today()
            await guard.refuse(unit, vpd, day, expected=expected, who=self._who, why=why)
        return {"refused": expected}


def _changed(row: Held, verdict: Verdict, lms_id: str) -> Held:
    if verdict == "undo":
        if row.state != "linked":
            raise DecisionError("no account is linked to this person")
        return replace(row, state="returning", reason="undone")
    if row.state != "asked":
        raise DecisionError(f"this has been decided: {row.state}; undo it first")
    if verdict == "new":
        others = tuple({*row.excluded, *(one.lms_id for one in row.candidates)})
        return replace(row, state="new", reason="decided", excluded=others)
    candidate = row.candidate(lms_id)
    if candidate is None:
        raise DecisionError("this account is not among the candidates")
    return replace(row, state="linked", reason="decided", lms_id=lms_id, idnumber_before=candidate.idnumber)


async def open_matches(connection: AsyncConnection, vpd: str, *, reveal: bool) -> list[dict[str, Any]]:
    """Return what waits for an operator: each person with the accounts in question.

    Personal values are hidden unless ``reveal``; whether they agree with the person's is told always.
    """
    asked = await matches.by_state(connection, vpd, "asked", LISTED)
    query = select(ACCOUNTS.c.person_id, ACCOUNTS.c.person).where(
        ACCOUNTS.c.vpd == vpd, ACCOUNTS.c.person_id.in_([one.person_id for one in asked])
    )
    people = {row.person_id: dict(row.person) for row in await connection.execute(query)}
    return [
        {
            "person_id": one.person_id,
            "reason": one.reason,
            "person": _person(people.get(one.person_id, {}), reveal=reveal),
            "candidates": [_candidate(found, people.get(one.person_id, {}), reveal=reveal) for found in one.candidates],
            "excluded": list(one.excluded),
        }
        for one in asked
    ]


async def open_questions(connection: AsyncConnection, vpd: str) -> dict[str, int]:
    """Return how many decisions of each kind wait for an operator: ``matches`` and ``suspensions``."""
    matches = int(await connection.scalar(_QUESTIONS, {"vpd": vpd}) or 0)
    return {"matches": matches, "suspensions": await guard.still_held(connection, vpd)}


async def decisions(
    connection: AsyncConnection,
    vpd: str,
    subject: str = "",
    *,
    accounts: bool = False,
    after: int = 0,
    limit: int = LISTED,
) -> list[dict[str, Any]]:
    """Return a page of what was decided, newest first; about one person (or ``suspensions``), or about all.

    ``accounts``: only whose account is whose. The next page is after the last one's ``number``. ``stands``: it says
    whose account is whose, and nothing else was decided of that person since.
    """
    newer = DECISIONS.alias()
    same = (newer.c.vpd == DECISIONS.c.vpd) & (newer.c.subject == DECISIONS.c.subject)
    since = exists().where(same, newer.c.number > DECISIONS.c.number, newer.c.decision.in_(VERDICTS))
    of_accounts = DECISIONS.c.decision.in_(VERDICTS)
    asked = [DECISIONS.c.vpd == vpd]
    asked += [DECISIONS.c.subject == subject] if subject else []
    asked += [of_accounts] if accounts else []
    asked += [DECISIONS.c.number < after] if after else []
    query = select(DECISIONS, and_(of_accounts, ~since).label("stands")).where(*asked)
    return [
        {
            "number": row.number,
            "subject": row.subject,
            "decision": row.decision,
            "who": row.who,
            "why": row.why,
            "at": row.decided_at.isoformat(),
            "details": row.details,
            "stands": row.stands,
        }
        for row in await connection.execute(query.order_by(DECISIONS.c.number.desc()).limit(limit))
    ]


async def guards(connection: AsyncConnection, vpd: str) -> list[dict[str, Any]]:
    """Return the days on which suspensions were held, newest first; ``waiting``: how many of them wait still."""
    query = select(GUARDS).where(GUARDS.c.vpd == vpd).order_by(GUARDS.c.day.desc()).limit(LISTED)
    rows = (await connection.execute(query)).all()
    held = await guard.still_held(connection, vpd)
    newest = next((row.day for row in rows if row.released_at is None), None)
    return [
        {
            "day": row.day.isoformat(),
            "suspensions": row.suspensions,
            "accounts": row.accounts,
            "held_at": row.held_at.isoformat(),
            "released_at": row.released_at.isoformat() if row.released_at else None,
            "waiting": held if row.day == newest else 0,
        }
        for row in rows
    ]


async def account(connection: AsyncConnection, vpd: str, person_id: str) -> dict[str, Any] | None:
    """Return how a person's account stands: keys, states and codes, no personal values."""
    found = await connection.execute(_ACCOUNT, {"vpd": vpd, "person_id": person_id})
    row = found.mappings().one_or_none()
    if row is None:
        return None
    return {**row, "closes_on": row["closes_on"].isoformat() if row["closes_on"] else None}


def _person(person: dict[str, Any], *, reveal: bool) -> dict[str, str]:
    names = ("first_name", "last_name", "birth_date", "email", "employee_number")
    return {name: person.get(name, "") if reveal else _mask(person.get(name, "")) for name in names}


def _candidate(found: Candidate, person: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    told = {
        "first_name": found.first_name,
        "last_name": found.last_name,
        "email": found.email,
        "username": found.username,
        **found.fields,
    }
    return {
        "lms_id": found.lms_id,
        "idnumber": found.idnumber,
        "suspended": found.suspended,
        "agrees": [name for name in ("first_name", "last_name", "email")
                   if plain(str(person.get(name, ""))) == plain(told[name]) != ""],
        "account": {name: value if reveal else _mask(value) for name, value in told.items()},
    }  # fmt: skip


def _mask(value: str) -> str:
    return _HIDDEN if value else ""


_QUESTIONS: Final = text("SELECT count(*) FROM outbound.matches WHERE vpd = :vpd AND state = 'asked'")

_ACCOUNT: Final = text("""
SELECT person_id, person->>'state' AS state, seen->>'idnumber' AS idnumber, seen IS NOT NULL AS made,
    CAST(seen->>'suspended' AS boolean) AS suspended, seen->>'account_type' AS account_type, dirty AS waiting, refused,
    matched, closes_on, jobs_refused, (SELECT array_agg(key) FROM jsonb_object_keys(jobs) AS key) AS jobs
FROM outbound.accounts WHERE vpd = :vpd AND person_id = :person_id
""")
