"""The SQL of the difference for accounts: what has to be done, and what the LMS made of it.

Nothing is due before the file it rests on is wholly accounted for, and nothing whose outcome is unknown before it can
be looked up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.lms.port import Account
from shared.events import Person

GATE: Final = (
    "{row}.file_no <= COALESCE((SELECT g.upto FROM outbound.gates g WHERE g.vpd = {row}.vpd AND g.stream = 'feed'), 0)"
)
"""Whether the file of ESR that a row rests on is wholly accounted for."""

ACCOUNT_GATE: Final = (
    "a.file_no <= COALESCE((SELECT g.upto FROM outbound.gates g WHERE g.vpd = a.vpd AND g.stream = a.stream), 0)"
)
"""The same for an account, which may rest on a trust's own list of people."""

CLOSING: Final = (
    "{row}.closes_on <= :day AND {row}.seen IS NOT NULL AND NOT (CAST({row}.seen->>'suspended' AS boolean)) "
    "AND NOT {row}.released"
)
"""Whether an account is to be closed, and nobody has released that."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A person as last told, and their account as last accepted."""

    person_id: str
    revision: int
    person: Person
    seen: Account | None
    matched: str = ""
    directory_name: str = ""
    closes_on: date | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of one account. ``done``: no step follows. None leaves a column as it is.

    ``account``: as it now is. ``refused``: a code, until the person changes. ``not_before``: its outcome is unknown.
    ``look_on``: business day on which to look again.
    """

    person_id: str
    revision: int
    account: Account | None = None
    refused: str = ""
    done: bool = True
    closed_on: date | None = None
    matched: str | None = None
    not_before: datetime | None = None
    look_on: date | None = None
    directory_name: str | None = None


async def trusts(connection: AsyncConnection, vpds: Sequence[str], day: date, now: datetime) -> set[str]:
    """Return those of the trusts for whose LMS there may be something to do."""
    return set(await connection.scalars(_TRUSTS, {"vpds": list(vpds), "day": day, "now": now}))


async def accounts(
    connection: AsyncConnection, vpd: str, day: date, now: datetime, rows: int, *, closing_held: bool
) -> list[AccountRow]:
    """Return accounts that may not be as they should be; those to be closed not while a guard holds them."""
    found = await connection.execute(_DIRTY, {"vpd": vpd, "day": day, "now": now, "rows": rows, "held": closing_held})
    return [
        AccountRow(
            row.person_id,
            row.revision,
            msgspec.convert(row.person, Person),
            msgspec.convert(row.seen, Account) if row.seen else None,
            row.matched,
            row.directory_name,
            row.closes_on,
        )
        for row in found
    ]


async def last_seen(connection: AsyncConnection, vpd: str, idnumber: str) -> Account | None:
    """Return the account with an idnumber as the LMS last accepted it."""
    seen = await connection.scalar(_SEEN, {"vpd": vpd, "person_id": idnumber.removeprefix(f"{vpd}-")})
    return msgspec.convert(seen, Account) if seen else None


async def note_accounts(connection: AsyncConnection, vpd: str, noted: Sequence[Noted]) -> None:
    """Write down what became of accounts."""
    if not noted:
        return
    ordered = sorted(noted, key=lambda one: one.person_id)
    await connection.execute(
        _NOTE,
        {
            "vpd": vpd,
            "person_id": [one.person_id for one in ordered],
            "revision": [one.revision for one in ordered],
            "seen": [msgspec.json.encode(one.account).decode() if one.account else None for one in ordered],
            "refused": [one.refused for one in ordered],
            "done": [one.done for one in ordered],
            "closed_on": [one.closed_on for one in ordered],
            "matched": [one.matched for one in ordered],
            "not_before": [one.not_before for one in ordered],
            "look_on": [one.look_on for one in ordered],
            "directory_name": [one.directory_name for one in ordered],
        },
    )


_SEEN: Final = text("SELECT seen FROM outbound.accounts WHERE vpd = :vpd AND person_id = :person_id")

_MAY_BE_TOUCHED: Final = f"(a.not_before IS NULL OR a.not_before <= :now) AND {ACCOUNT_GATE}"

_DIRTY: Final = text(
    "SELECT a.person_id, a.revision, a.person, a.seen, a.matched, a.directory_name, a.closes_on "
    "FROM outbound.accounts a "
    f"WHERE a.vpd = :vpd AND (a.dirty OR a.look_on <= :day) AND {_MAY_BE_TOUCHED} "
    f"AND NOT (CAST(:held AS boolean) AND COALESCE({CLOSING.format(row='a')}, false)) "
    "ORDER BY a.person_id LIMIT :rows"
)

_NEWEST_GATE: Final = "(SELECT COALESCE(max(g.upto), 0) FROM outbound.gates g WHERE g.vpd = t.vpd)"

_TRUSTS: Final = text(f"""
SELECT t.vpd FROM unnest(CAST(:vpds AS text[])) AS t(vpd) WHERE
COALESCE((SELECT min(a.file_no) FROM outbound.accounts a WHERE a.vpd = t.vpd AND a.dirty) <= {_NEWEST_GATE}, false)
    AND (SELECT true FROM outbound.accounts a WHERE a.vpd = t.vpd AND a.dirty AND {_MAY_BE_TOUCHED}
        ORDER BY a.file_no LIMIT 1)
OR (SELECT true FROM outbound.accounts a WHERE a.vpd = t.vpd AND a.look_on <= :day AND {_MAY_BE_TOUCHED} LIMIT 1)
OR (SELECT true FROM outbound.accounts a
    WHERE a.vpd = t.vpd AND a.jobs_dirty AND a.seen IS NOT NULL AND {ACCOUNT_GATE} ORDER BY a.file_no LIMIT 1)
OR (SELECT true FROM outbound.hierarchy h WHERE h.vpd = t.vpd AND h.dirty AND {GATE.format(row="h")} LIMIT 1)
OR (SELECT true FROM outbound.matches m WHERE m.vpd = t.vpd AND m.state = 'returning' LIMIT 1)
OR COALESCE((SELECT min(d.file_no) FROM outbound.deliveries d
        WHERE d.vpd = t.vpd AND d.state IN ('wanted', 'withdrawing')) <= {_NEWEST_GATE}, false)
    AND (SELECT true FROM outbound.deliveries d JOIN outbound.accounts a USING (vpd, person_id)
        WHERE d.vpd = t.vpd AND d.state IN ('wanted', 'withdrawing') AND d.content <> '{{}}'
        AND (a.seen IS NOT NULL OR a.person->>'same_as' <> '') AND {GATE.format(row="d")} ORDER BY d.file_no LIMIT 1)
""")
"""While a file comes in, all that it brings is dirty and waits for it. The oldest of it is found by an index, and where
even that has to wait, the rest is not read: this is asked after every batch of events. Not by EXISTS: where a table has
just grown from nothing, a planner would rather read the rows of all trusts once than those of one when it is asked."""

_NOTE: Final = text("""
UPDATE outbound.accounts a SET seen = COALESCE(CAST(t.seen AS jsonb), a.seen),
    refused = CASE WHEN a.revision = t.revision THEN t.refused ELSE a.refused END,
    dirty = a.dirty AND NOT (a.revision = t.revision AND t.done),
    closed_on = COALESCE(t.closed_on, a.closed_on), matched = COALESCE(t.matched, a.matched),
    not_before = t.not_before, directory_name = COALESCE(t.directory_name, a.directory_name),
    look_on = CASE WHEN a.revision = t.revision AND t.done THEN t.look_on ELSE a.look_on END,
    jobs_dirty = a.jobs_dirty OR t.seen IS NOT NULL
        AND a.seen->>'suspended' IS DISTINCT FROM CAST(t.seen AS jsonb)->>'suspended'
FROM unnest(CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:seen AS text[]), CAST(:refused AS text[]),
    CAST(:done AS boolean[]), CAST(:closed_on AS date[]), CAST(:matched AS text[]),
    CAST(:not_before AS timestamptz[]), CAST(:look_on AS date[]), CAST(:directory_name AS text[]))
    AS t(person_id, revision, seen, refused, done, closed_on, matched, not_before, look_on, directory_name)
WHERE a.vpd = :vpd AND a.person_id = t.person_id
""")
