"""The operator's desk for completions: send again, withdraw, give up, each written down with who and why."""

from typing import Any, Final, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound import matches
from services.outbound.matches import Decision
from shared.db.unit import Work
from shared.errors import DecisionError

Verdict = Literal["withdraw", "restore", "settle", "reopen"]
"""Of one completion: ESR is to give it back, or to hold it again; its case is given up, or taken up again."""

LISTED: Final = 1_000


class CompletionDesk:
    """Carries out and writes down what an operator decided. It takes effect with the next completion file."""

    def __init__(self, work: Work, who: str) -> None:
        self._work = work
        self._who = who

    async def resend(
        self, vpd: str, why: str, *, reference: str = "", file: str = "", code: str = ""
    ) -> dict[str, Any]:
        """Have sent again what left under a reference, in a file, or was refused with a code, unless ESR loaded it.

        Where something of a completion was sent later, that counts and this does not. Raises DecisionError when nothing
        is to be sent again, or not exactly one of the three is named.
        """
        named = {name: one for name, one in (("reference", reference), ("file", file), ("code", code)) if one}
        if len(named) != 1:
            raise DecisionError("name one of reference, file and code")
        (kind, subject), *_ = named.items()
        async with self._work.unit() as unit:
            said = {"vpd": vpd, "reference": reference, "file": file, "code": code}
            asked = (await unit.connection.execute(_RESEND, said)).rowcount
            if not asked:
                raise DecisionError("nothing is to be sent again: ESR loaded it, or nothing was sent under that")
            await self._note(unit.connection, vpd, subject, "resend", why, {kind: subject, "completions": asked})
        return {"decision": "resend", "completions": asked}

    async def decide(
        self, vpd: str, verdict: Verdict, why: str, *, reference: str = "", person_id: str = "", key: str = ""
    ) -> dict[str, Any]:
        """Decide on one completion, named by one of its references, or by person and key.

        Raises DecisionError for one that is not known, or of which this cannot be said as it stands.
        """
        async with self._work.unit() as unit:
            if reference:
                row = (await unit.connection.execute(_NAMED, {"vpd": vpd, "reference": reference})).first()
                person_id, key = (row.person_id, row.key) if row else ("", "")
            which = {"vpd": vpd, "person_id": person_id, "key": key}
            done = (await unit.connection.execute(_DECIDE[verdict], which)).first()
            if done is None:
                raise DecisionError(_NOT_SO[verdict])
            details = {"person_id": person_id, "key": key, "reference": reference}
            await self._note(unit.connection, vpd, reference or person_id, verdict, why, details)
        return {"decision": verdict, "person_id": person_id, "key": key, "state": done.state}

    async def wrote(self, vpd: str, why: str, day: int, completions: int) -> None:
        """Write down that a file was asked for: for the cut-off of ``day`` (yyyymmdd), or 0 for now."""
        async with self._work.unit() as unit:
            details = {"day": day, "completions": completions}
            await self._note(unit.connection, vpd, "completion-files", "write", why, details)

    async def _note(
        self, connection: AsyncConnection, vpd: str, subject: str, verdict: str, why: str, details: dict[str, Any]
    ) -> None:
        decision = Decision(subject, verdict, self._who, why, details)
        await matches.decided(connection, vpd, decision, self._work.clock.now())


async def open_cases(
    connection: AsyncConnection, vpd: str, *, person_id: str = "", key: str = "", limit: int = LISTED
) -> list[dict[str, Any]]:
    """Return completions that wait for an operator, in order of person and key, beyond the one named."""
    said = {"vpd": vpd, "person_id": person_id, "key": key, "limit": min(limit, LISTED)}
    return [dict(row) for row in (await connection.execute(_OPEN, said)).mappings()]


_RESEND: Final = text("""
UPDATE outbound.completions c SET asked = true, given_up = NULL, look_on = '0001-01-01'
FROM (SELECT DISTINCT vpd, person_id, key FROM outbound.items WHERE vpd = :vpd
    AND (reference = :reference OR sent_file = :file OR (:code <> '' AND state = 'rejected' AND code = :code))) chosen,
    LATERAL (SELECT i.reference, i.sent_file, i.state, i.code FROM outbound.items i
        WHERE (i.vpd, i.person_id, i.key) = (chosen.vpd, chosen.person_id, chosen.key)
        ORDER BY i.file_number DESC, i.position DESC LIMIT 1) newest
WHERE (c.vpd, c.person_id, c.key) = (chosen.vpd, chosen.person_id, chosen.key)
    AND newest.state IN ('sent', 'rejected')
    AND (newest.reference = :reference OR newest.sent_file = :file
        OR (:code <> '' AND newest.state = 'rejected' AND newest.code = :code))
""")

_NAMED: Final = text("SELECT person_id, key FROM outbound.items WHERE vpd = :vpd AND reference = :reference LIMIT 1")

_DECIDE: Final = {
    "withdraw": text("""
UPDATE outbound.completions SET barred = true, look_on = '0001-01-01'
WHERE (vpd, person_id, key) = (:vpd, :person_id, :key) AND NOT barred RETURNING state
"""),
    "restore": text("""
UPDATE outbound.completions SET barred = false, look_on = '0001-01-01'
WHERE (vpd, person_id, key) = (:vpd, :person_id, :key) AND barred RETURNING state
"""),
    "settle": text("""
UPDATE outbound.completions SET given_up = revision, state = 'settled', code = 'O202', waits_for = '', asked = false,
    look_on = NULL
WHERE (vpd, person_id, key) = (:vpd, :person_id, :key)
    AND state NOT IN ('confirmed', 'withdrawn', 'held_by_esr', 'written', 'settled') RETURNING state
"""),
    "reopen": text("""
UPDATE outbound.completions c SET given_up = NULL, code = '', look_on = '0001-01-01',
    state = COALESCE((SELECT i.state FROM outbound.items i WHERE (i.vpd, i.person_id, i.key) =
        (c.vpd, c.person_id, c.key) ORDER BY i.file_number DESC, i.position DESC LIMIT 1), 'waiting')
WHERE (c.vpd, c.person_id, c.key) = (:vpd, :person_id, :key) AND c.given_up IS NOT NULL RETURNING c.state
"""),
}

_NOT_SO: Final[dict[Verdict, str]] = {
    "withdraw": "no such completion is known, or it was withdrawn by an operator before",
    "restore": "no operator withdrew such a completion",
    "settle": "no such completion is known, or there is nothing about it to give up",
    "reopen": "no operator gave up such a completion",
}

_OPEN: Final = text("""
SELECT c.person_id, c.key, c.state, c.code, i.reference, i.change, i.sent_file, i.position
FROM outbound.completions c LEFT JOIN LATERAL (SELECT n.reference, n.change, n.sent_file, n.position
    FROM outbound.items n WHERE (n.vpd, n.person_id, n.key) = (c.vpd, c.person_id, c.key)
    ORDER BY n.file_number DESC, n.position DESC LIMIT 1) i ON true
WHERE c.vpd = :vpd AND c.waits_for = 'operator' AND (c.person_id, c.key) > (:person_id, :key)
ORDER BY c.person_id, c.key LIMIT :limit
""")
