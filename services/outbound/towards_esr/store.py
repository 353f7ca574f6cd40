"""The SQL of completions on their way to ESR: which have to be decided on, and what was decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.tables import COUNTERS
from services.outbound.towards_esr.content import Content, content_of, person_columns
from services.outbound.towards_esr.held import Item
from services.outbound.towards_esr.terms import Next, Wanted, Whose
from shared.clock import LONDON
from shared.events import Person

NOW: Final = date.min
"""``look_on`` of what has to be decided on at the next file, whatever the day."""

Key = tuple[str, str]
"""(person ID, key) within the trust."""


@dataclass(frozen=True, slots=True)
class Case:
    """A completion that has to be decided on, with everything that the decision rests on."""

    person_id: str
    key: str
    revision: int
    said: dict[str, Any]
    wanted: Wanted
    items: tuple[Item, ...]
    person: Person | None
    barred: bool
    state: str
    code: str

    @property
    def whose(self) -> Whose | None:
        """The person as the rules see them; None while ESR has told us nothing of them."""
        if self.person is None or not self.person.last_name:
            return None
        return Whose(self.person.state, self.person.revision, person_columns(self.person))


async def due(connection: AsyncConnection, vpd: str, day: date, after: Key, rows: int) -> list[Key]:
    """Lock and return the next completions that have to be decided on, in order of their key.

    They are read by another statement, so that it sees whatever was written before the lock was had.
    """
    said = {"vpd": vpd, "day": day, "person_id": after[0], "key": after[1], "rows": rows}
    return [(row.person_id, row.key) for row in await connection.execute(_DUE, said)]


async def cases(connection: AsyncConnection, vpd: str, keys: Sequence[Key]) -> list[Case]:
    """Return completions in order of their key."""
    said = {"vpd": vpd, "person_id": [one for one, _ in keys], "key": [one for _, one in keys]}
    return [_case(row) for row in (await connection.execute(_CASES, said)).mappings()]


def _case(row: RowMapping) -> Case:
    return Case(
        person_id=row["person_id"],
        key=row["key"],
        revision=row["revision"],
        said=row["content"],
        wanted=Wanted(
            content_of(row["content"]),
            stands=not (row["withdrawn"] or row["barred"]),
            given_up=row["given_up"] == row["revision"],
            asked=row["asked"],
            held_by_esr=row["mirrored"],
        ),
        items=tuple(item_of(one) for one in row["items"] or ()),
        person=msgspec.convert(row["person"], Person) if row["person"] else None,
        barred=row["barred"],
        state=row["state"],
        code=row["code"],
    )


def item_of(row: Mapping[str, Any]) -> Item:
    """Return a row of the table ``items``, read as JSON."""
    late = row["overdue_since"]
    return Item(
        reference=row["reference"],
        change=row["change"],
        content=msgspec.convert(row["content"], Content),
        state=row["state"],
        replaces=row["replaces"],
        code=row["code"],
        esr_record_id=row["esr_record_id"],
        overdue_since=datetime.fromisoformat(late).astimezone(LONDON).date() if late else None,
        written_on=datetime.fromisoformat(row["written_at"]).astimezone(LONDON).date(),
        person_revision=row["person_revision"],
        person=row["person"],
    )


async def save(connection: AsyncConnection, vpd: str, decided: Sequence[tuple[Case, Next]]) -> None:
    """Note where completions stand now, and when to decide again. The caller holds their locks."""
    if not decided:
        return
    await connection.execute(
        _SAVE,
        {
            "vpd": vpd,
            "person_id": [case.person_id for case, _ in decided],
            "key": [case.key for case, _ in decided],
            "state": ["written" if one.change else one.state for _, one in decided],
            "code": [one.code for _, one in decided],
            "waits_for": ["answer" if one.change else one.waits_for for _, one in decided],
            "look_on": [one.look_on for _, one in decided],
        },
    )


async def counter(connection: AsyncConnection, vpd: str, name: str) -> int:
    """Return a counter's value, zero at first; the caller holds the trust's lock."""
    query = select(COUNTERS.c.value).where(COUNTERS.c.vpd == vpd, COUNTERS.c.name == name)
    return int(await connection.scalar(query) or 0)


async def set_counter(connection: AsyncConnection, vpd: str, name: str, value: int) -> None:
    """Set a counter."""
    row = insert(COUNTERS).values(vpd=vpd, name=name, value=value)
    await connection.execute(row.on_conflict_do_update(index_elements=["vpd", "name"], set_={"value": value}))


async def look_again(connection: AsyncConnection, vpd: str, states: Sequence[str]) -> int:
    """Have completions in some states decided on at the next file: the trust's policy is another."""
    return (await connection.execute(_LOOK_AGAIN, {"vpd": vpd, "state": list(states)})).rowcount


_DUE: Final = text(
    "SELECT c.person_id, c.key FROM outbound.completions c WHERE c.vpd = :vpd AND c.look_on <= :day "
    "AND (c.person_id, c.key) > (:person_id, :key) AND c.file_no <= "
    "COALESCE((SELECT g.upto FROM outbound.gates g WHERE g.vpd = c.vpd AND g.stream = 'lms'), 0) "
    "ORDER BY c.person_id, c.key LIMIT :rows FOR UPDATE OF c"
)

# OFFSET 0 has each row looked up by its key, also where the planner has no figures of a table yet.
_CASES: Final = text("""
SELECT c.person_id, c.key, c.revision, c.content, c.withdrawn, c.barred, c.given_up, c.asked, c.state, c.code,
    a.person,
    EXISTS (SELECT FROM outbound.mirrors m WHERE (m.vpd, m.person_id, m.competence_id, m.completed_on) =
        (c.vpd, c.person_id, c.content->>'competence_id', c.content->>'achieved_on')) AS mirrored,
    (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.file_number, i.position) FROM outbound.items i
        WHERE (i.vpd, i.person_id, i.key) = (c.vpd, c.person_id, c.key)) AS items
FROM unnest(CAST(:person_id AS text[]), CAST(:key AS text[])) AS t(person_id, key)
CROSS JOIN LATERAL (SELECT * FROM outbound.completions o
    WHERE (o.vpd, o.person_id, o.key) = (:vpd, t.person_id, t.key) OFFSET 0) c
LEFT JOIN outbound.accounts a ON (a.vpd, a.person_id) = (c.vpd, c.person_id)
ORDER BY c.person_id, c.key
""")

_SAVE: Final = text(
    "UPDATE outbound.completions c SET state = t.state, code = t.code, waits_for = t.waits_for, look_on = t.look_on, "
    "asked = false FROM unnest(CAST(:person_id AS text[]), CAST(:key AS text[]), CAST(:state AS text[]), "
    "CAST(:code AS text[]), CAST(:waits_for AS text[]), CAST(:look_on AS date[])) "
    "AS t(person_id, key, state, code, waits_for, look_on) "
    "WHERE (c.vpd, c.person_id, c.key) = (:vpd, t.person_id, t.key)"
)

_LOOK_AGAIN: Final = text(
    "UPDATE outbound.completions SET look_on = '0001-01-01' WHERE vpd = :vpd AND state = ANY(CAST(:state AS text[]))"
)
