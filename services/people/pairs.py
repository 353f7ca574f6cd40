"""The SQL of suspected duplicates and of what operators decided about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, literal, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.people.duplicates import Identity
from services.people.schema import DUPLICATES
from services.people.store import PersonKey, columns_of

State = Literal["open", "gone", "same", "different"]

PairKey = tuple[str, str, str]
"""(trust, lower person ID, higher person ID)."""

MOST_ALIKE: Final = 20
"""A birth date and name (or an NI number) that more records share is a placeholder: it tells nobody apart, and to
compare each with each would be work without end."""

FACTS_LOOKED_AT: Final = 100
"""Date slices looked at to find so many records."""

_A_TO_Z: Final = frozenset("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records, in which columns they agree, and how often that was told."""

    key: PairKey
    agree: tuple[str, ...]
    revision: int


def pair_key(vpd: str, one: str, other: str) -> PairKey:
    """Return the key of two people, whichever is named first."""
    low, high = sorted((one, other))
    return vpd, low, high


async def lookalikes(
    connection: AsyncConnection, identities: Mapping[PersonKey, Identity]
) -> set[tuple[PersonKey, PersonKey]]:
    """Return each of these people with those who may share enough with them: a superset, found by index.

    Spelling is coarser here than where it is decided: only the letters a to z of a name count.
    """
    said: dict[str, list[str]] = {name: [] for name in ("vpd", "person_id", "ni_number", "birth", "name")}
    for (vpd, person_id), identity in identities.items():
        for name in sorted(identity.names) or [""]:
            row = (vpd, person_id, identity.ni_number, identity.birth_date, _coarse(name))
            for column, value in zip(said.values(), row, strict=True):
                column.append(value)
    rows = await connection.execute(_LOOKALIKES, said)
    return {((row.vpd, row.person_id), (row.vpd, row.other)) for row in rows}


async def pairs_of(connection: AsyncConnection, people: Iterable[PersonKey]) -> set[PairKey]:
    """Return the pairs, in whatever state, that these people are in."""
    rows = await connection.execute(_PAIRS_OF, columns_of(people))
    return {(row.vpd, row.person_id, row.other_person_id) for row in rows}


async def keep(connection: AsyncConnection, found: Mapping[PairKey, tuple[str, ...]]) -> list[Pair]:
    """Note in what pairs agree now, nothing where they do no more; return those that are newly open, or changed.

    What an operator decided stays decided. Pairs are written in key order.
    """
    ordered = sorted(found)
    if not ordered:
        return []
    said = {
        "vpd": [key[0] for key in ordered],
        "person_id": [key[1] for key in ordered],
        "other": [key[2] for key in ordered],
        "agree": [",".join(found[key]) for key in ordered],
    }
    await connection.execute(_NEW, said)
    rows = await connection.execute(_KEEP, said)
    return [
        Pair((row.vpd, row.person_id, row.other_person_id), tuple(row.agree), row.revision)
        for row in rows
        if row.state == "open"
    ]


async def same_groups(connection: AsyncConnection, people: Iterable[PersonKey]) -> dict[PersonKey, tuple[str, ...]]:
    """Return, for those of whom an operator said so, the person IDs of all records of the same human."""
    groups: dict[PersonKey, set[str]] = {}
    for row in await connection.execute(_GROUPS, columns_of(people)):
        groups.setdefault((row.vpd, row.person_id), {row.person_id}).add(row.other)
    return {key: tuple(sorted(members)) for key, members in groups.items()}


async def decide(
    connection: AsyncConnection, key: PairKey, state: State, who: str, why: str, at: datetime
) -> State | None:
    """Write down a decision, or take it back (``open``); return the state before, None where no such pair is known.

    A pair that nobody suspected can be called the same too.
    """
    said = dict(zip(("vpd", "person_id", "other"), key, strict=True))
    before: State | None = await connection.scalar(_BEFORE, said)
    decided = {"state": state, "who": who, "why": why, "at": None if state == "open" else at}
    await connection.execute(_DECIDE, said | decided)
    return before


async def listing(
    connection: AsyncConnection, vpd: str, state: str, limit: int, after: tuple[str, str] = ("", "")
) -> Sequence[Row[Any]]:
    """Return a page of a trust's pairs in a state, all where none is said: those after a pair of person IDs."""
    place = tuple_(DUPLICATES.c.person_id, DUPLICATES.c.other_person_id)
    query = select(DUPLICATES).where(DUPLICATES.c.vpd == vpd, place > tuple_(*map(literal, after)))
    if state:
        query = query.where(DUPLICATES.c.state == state)
    return (await connection.execute(query.order_by(*DUPLICATES.primary_key.columns).limit(limit))).all()


async def pair(connection: AsyncConnection, vpd: str, one: str, other: str) -> Sequence[Row[Any]]:
    """Return what is known of two records, whichever is named first: one row, or none."""
    key = dict(zip(("vpd", "person_id", "other_person_id"), pair_key(vpd, one, other), strict=True))
    return (await connection.execute(select(DUPLICATES).filter_by(**key))).all()


def _coarse(name: str) -> str:
    return "".join(sign for sign in name if sign in _A_TO_Z)


def _alike(condition: str, given: str) -> str:
    """SQL of the people who share something with each of those said, unless so many do that it tells nobody apart."""
    return f"""
    SELECT s.vpd, s.person_id, o.owner AS other FROM said s
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT f.owner) AS owners, count(*) AS facts FROM (
            SELECT f.owner FROM people.facts f WHERE f.vpd = s.vpd AND {condition} LIMIT {FACTS_LOOKED_AT}
        ) f
    ) g CROSS JOIN LATERAL unnest(g.owners) AS o(owner)
    WHERE {given} AND g.facts < {FACTS_LOOKED_AT} AND cardinality(g.owners) <= {MOST_ALIKE} AND o.owner <> s.person_id
    """


_NAMED: Final = "regexp_replace(lower((f.data ->> '{column}') COLLATE \"C\"), '[^a-z]', '', 'g') = s.name"
_BORN: Final = "f.data ->> 'date_of_birth' = s.birth"

_LOOKALIKES: Final = text(
    "WITH said AS MATERIALIZED (SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), "
    "CAST(:ni_number AS text[]), CAST(:birth AS text[]), CAST(:name AS text[])) "
    "AS t(vpd, person_id, ni_number, birth, name))"
    + " UNION ".join((
        _alike("f.data ->> 'ni_number' = s.ni_number", "s.ni_number <> ''"),
        _alike(f"{_BORN} AND {_NAMED.format(column='last_name')}", "s.birth <> '' AND s.name <> ''"),
        _alike(f"{_BORN} AND {_NAMED.format(column='previous_last_name')}", "s.birth <> '' AND s.name <> ''"),
    ))
)  # fmt: skip

_PAIRS_OF: Final = text("""
SELECT d.vpd, d.person_id, d.other_person_id FROM people.duplicates d
JOIN unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id) USING (vpd, person_id)
UNION
SELECT d.vpd, d.person_id, d.other_person_id FROM people.duplicates d
JOIN unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, other) ON d.vpd = t.vpd
    AND d.other_person_id = t.other
""")

_NEW: Final = text("""
INSERT INTO people.duplicates (vpd, person_id, other_person_id, agree, state, revision)
SELECT t.vpd, t.person_id, t.other, CAST('[]' AS jsonb), 'gone', 0
FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:other AS text[]), CAST(:agree AS text[]))
    AS t(vpd, person_id, other, agree)
WHERE t.agree <> '' ORDER BY 1, 2, 3 ON CONFLICT (vpd, person_id, other_person_id) DO NOTHING
""")

_KEEP: Final = text("""
WITH said AS (
    SELECT t.vpd, t.person_id, t.other, to_jsonb(string_to_array(t.agree, ',')) AS agree
    FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:other AS text[]), CAST(:agree AS text[]))
        AS t(vpd, person_id, other, agree)
), held AS MATERIALIZED (
    SELECT d.vpd, d.person_id, d.other_person_id, s.agree FROM people.duplicates d
    JOIN said s ON (d.vpd, d.person_id, d.other_person_id) = (s.vpd, s.person_id, s.other)
    WHERE d.agree <> s.agree ORDER BY 1, 2, 3 FOR UPDATE OF d
)
UPDATE people.duplicates d SET agree = h.agree, revision = d.revision + 1, state = CASE
    WHEN d.state NOT IN ('open', 'gone') THEN d.state WHEN h.agree = CAST('[]' AS jsonb) THEN 'gone' ELSE 'open' END
FROM held h WHERE (d.vpd, d.person_id, d.other_person_id) = (h.vpd, h.person_id, h.other_person_id)
RETURNING d.vpd, d.person_id, d.other_person_id, d.agree, d.state, d.revision
""")

_GROUPS: Final = text("""
WITH RECURSIVE asked AS (
    SELECT t.vpd, t.person_id, t.person_id AS other
    FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[])) AS t(vpd, person_id)
), linked AS (
    SELECT * FROM asked
    UNION
    SELECT l.vpd, l.person_id, d.other FROM linked l CROSS JOIN LATERAL (
        SELECT d.other_person_id AS other FROM people.duplicates d
        WHERE d.vpd = l.vpd AND d.person_id = l.other AND d.state = 'same'
        UNION ALL
        SELECT d.person_id FROM people.duplicates d
        WHERE d.vpd = l.vpd AND d.other_person_id = l.other AND d.state = 'same'
    ) d
)
SELECT vpd, person_id, other FROM linked WHERE other <> person_id
""")

_BEFORE: Final = text("""
SELECT state FROM people.duplicates WHERE (vpd, person_id, other_person_id) = (:vpd, :person_id, :other) FOR UPDATE
""")

_DECIDE: Final = text("""
INSERT INTO people.duplicates AS held (vpd, person_id, other_person_id, agree, state, revision, who, why, decided_at)
VALUES (:vpd, :person_id, :other, CAST('[]' AS jsonb), :state, 0, :who, :why, :at)
ON CONFLICT (vpd, person_id, other_person_id) DO UPDATE SET who = excluded.who, why = excluded.why,
    decided_at = excluded.decided_at, state = CASE WHEN excluded.state = 'open' AND held.agree = CAST('[]' AS jsonb)
    THEN 'gone' ELSE excluded.state END
""")
